//! What an operator watches of a verifier.

use std::sync::Arc;

use super::{Verifier, verifier::SILENCE};
use crate::metrics::Metrics;

impl Verifier {
    /// Shows how well it knows its issuer.
    pub fn report(self: &Arc<Self>, metrics: &mut Metrics) {
        let it = Arc::clone(self);
        let help = "How long the issuer of tokens has not been heard of";
        metrics.gauge("trust_staleness_seconds", help, move || {
            it.staleness().map_or(f64::INFINITY, |staleness| staleness.as_secs_f64())
        });
        let it = Arc::clone(self);
        let help = "Whether the issuer of tokens was heard of in the last two seconds";
        metrics.gauge("trust_connected", help, move || {
            usize::from(it.staleness().is_some_and(|staleness| staleness <= SILENCE))
        });
        let it = Arc::clone(self);
        let help = "Revocations of tokens that have not expired";
        metrics.gauge("trust_revocations", help, move || it.revocations());
    }
}
