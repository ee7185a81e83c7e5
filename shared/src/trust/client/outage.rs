//! What the operator is told of an issuer that can not be followed.

use tokio::time::Instant;

/// Why the issuer can not be followed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The secret of the service can not be read.
    #[error("the secret of this service can not be read: {0}")]
    Secret(String),
    /// The issuer has understood and refused.
    #[error("{0}")]
    Refused(String),
    /// The issuer does not answer, or not with sense.
    #[error("{0}")]
    Away(String),
}

/// The time since the issuer could last be followed.
#[derive(Debug, Default)]
pub(super) struct Outage {
    began: Option<Instant>,
    /// The kinds of faults that the operator has been told of.
    told: Vec<std::mem::Discriminant<Fault>>,
}

impl Outage {
    /// Tells of a fault. Once for each kind of it is enough for the operator, who is told when it is
    /// over too.
    pub(super) fn goes_on(&mut self, fault: &Fault, url: &http::Uri) {
        self.began.get_or_insert_with(Instant::now);
        let kind = std::mem::discriminant(fault);
        if self.told.contains(&kind) {
            return;
        }
        self.told.push(kind);
        match fault {
            Fault::Away(reason) => {
                tracing::warn!(%url, reason, "cut off from the issuer: revocations do not arrive");
            }
            Fault::Secret(_) => {
                tracing::warn!(%url, reason = %fault, "the issuer can not be asked");
            }
            Fault::Refused(reason) => {
                tracing::error!(%url, reason, "the issuer refuses this service: check its name and its secret");
            }
        }
    }

    /// Tells that it is over, if it was.
    pub(super) fn is_over(&mut self) {
        if let Some(began) = self.began.take() {
            let seconds = began.elapsed().as_secs_f64();
            tracing::info!(seconds, "the issuer is heard of again");
        }
        self.told.clear();
    }
}
