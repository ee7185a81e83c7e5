//! What the operator is told of an issuer that can not be followed.

use tokio::time::Instant;

/// Why the issuer can not be followed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The secret of the service can not be read.
    #[error("the secret of this service can not be read: {0}")]
    Secret(String),
    /// The issuer has understood and refused.
    #[error("{0}")]
    Refused(String),
    /// The issuer does not answer, or not with sense.
    #[error("{0}")]
    Away(String),
    /// The service itself can not do what it is asked.
    #[error("{0}")]
    Unable(String),
}

/// The time since the issuer could last be followed.
#[derive(Debug)]
pub(crate) struct Outage {
    /// What does not happen meanwhile.
    price: &'static str,
    began: Option<Instant>,
    /// The kinds of faults that the operator has been told of.
    told: Vec<std::mem::Discriminant<Fault>>,
}

impl Outage {
    /// None yet; while there is one, this does not happen: "revocations do not arrive".
    pub(crate) fn without(price: &'static str) -> Self {
        Self { price, began: None, told: Vec::new() }
    }

    /// Tells of a fault. Once for each kind of it is enough for the operator, who is told when it is
    /// over too.
    pub(crate) fn goes_on(&mut self, fault: &Fault, url: &http::Uri) {
        self.began.get_or_insert_with(Instant::now);
        let kind = std::mem::discriminant(fault);
        if self.told.contains(&kind) {
            return;
        }
        self.told.push(kind);
        let price = self.price;
        match fault {
            Fault::Away(reason) => {
                tracing::warn!(%url, reason, "cut off from the issuer: {price}");
            }
            Fault::Unable(reason) => {
                tracing::warn!(%url, reason, "what the issuer asks for can not be done: {price}");
            }
            Fault::Secret(_) => {
                tracing::warn!(%url, reason = %fault, "the issuer can not be asked: {price}");
            }
            Fault::Refused(reason) => tracing::error!(
                %url, reason,
                "the issuer refuses this service: {price}; check its name, its secret and its scopes"
            ),
        }
    }

    /// Tells that it is over, if it was.
    pub(crate) fn is_over(&mut self) {
        if let Some(began) = self.began.take() {
            let seconds = began.elapsed().as_secs_f64();
            tracing::info!(seconds, "the issuer is heard of again");
        }
        self.told.clear();
    }
}
