//! What a verifier is told, and what it knows by that.

use std::time::Duration;

use tokio::sync::watch;

use super::{LEEWAY, Verifier};
use crate::{
    clock::Time,
    trust::{Head, News},
};

impl Verifier {
    /// Takes in what the issuer says, and that it was heard of now if the news have a head.
    pub fn learn(&self, news: &News) {
        self.known.learn(news);
        self.heard.send_modify(|count| *count = count.wrapping_add(1));
        self.look_at_readiness();
    }

    /// Takes in what the issuer said before a restart. It was last heard of at this time.
    pub fn recall(&self, news: &News, heard: Time) {
        self.known.learn(&News { head: None, ..news.clone() });
        self.known.heard_at(heard);
        self.look_at_readiness();
    }

    /// Forgets the revocations of tokens that have expired anyway.
    pub fn forget(&self) {
        self.known.forget();
    }

    /// Tokens that expired before this time may have been revoked unknown to it; `None` if there are
    /// none such.
    #[must_use]
    pub fn forgotten(&self) -> Option<Time> {
        self.known.forgotten()
    }

    /// Whether it has forgotten revocations of tokens that have not expired. It has when the clock was
    /// set forward and back; only a snapshot can tell what they were.
    #[must_use]
    pub fn has_forgotten_too_much(&self) -> bool {
        self.known.has_forgotten(self.clock.now().minus(LEEWAY))
    }

    /// The time on its clock.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Everything that a verifier must be told to know what this one does. The head is the caller's
    /// to know.
    #[must_use]
    pub fn knowledge(&self, head: Head) -> News {
        News {
            head: Some(head),
            is_snapshot: true,
            keys: Some(self.known.keys().values().cloned().collect()),
            revocations: self.known.revocations().collect(),
            forgotten: self.known.forgotten(),
        }
    }

    /// How many revocations it knows.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.known.count()
    }

    /// How long the issuer has not been heard of; `None` if it never was.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        self.known.staleness()
    }

    /// Whether it can decide upon tokens, now and as that changes.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Tells those who wait for it whether it can decide upon tokens now. Time alone can end that.
    pub fn look_at_readiness(&self) {
        let ready = !self.known.keys().is_empty() && !self.is_stale();
        if self.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready) {
            let silent_seconds = self.staleness().map(|staleness| staleness.as_secs());
            if ready {
                tracing::info!("tokens can be verified");
            } else {
                tracing::error!(silent_seconds, "tokens can not be verified any more");
            }
        }
    }
}
