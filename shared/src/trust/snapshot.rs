//! What a verifier knows, kept through a restart.

mod encoding;
mod file;

pub use file::{FileFault, FileStore};

use std::fmt::Display;

use super::{Head, News};
use crate::clock::Time;

/// Where a verifier keeps what it knows, so that its service starts and works while the issuer is
/// away.
pub trait SnapshotStore: Send + Sync + 'static {
    /// Why nothing can be loaded or saved.
    type Error: Display + Send;

    /// What was saved last; `None` if there never was anything. What is damaged, or not whole, is an
    /// error and never an answer.
    fn load(&self) -> impl Future<Output = Result<Option<Snapshot>, Self::Error>> + Send;

    /// Keeps what was heard, on the disk by the time that this returns.
    fn save(&self, update: Update<'_>) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What a verifier knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// How far that goes.
    pub head: Head,
    /// When the issuer was last heard of.
    pub heard: Time,
    /// All of it: the head once more, the keys, every revocation.
    pub news: News,
}

/// What a verifier has heard since it was last saved.
pub struct Update<'u> {
    /// What a store must have for the news to be all that it misses. A store that has anything else,
    /// as another process on the same database may have left it, keeps [`Update::all`] instead,
    /// unless it has more than that already. `None`: whatever it has is to be replaced, on the same
    /// terms.
    pub since: Option<Head>,
    /// How far the verifier is now.
    pub head: Head,
    /// When the issuer was last heard of.
    pub heard: Time,
    /// What is new since then; often nothing but that the issuer was heard of. Revocations that have
    /// expired before the time that it says was forgotten need not be kept any more.
    pub news: &'u News,
    /// Everything that the verifier knows.
    pub all: &'u (dyn Fn() -> News + Sync),
}

impl std::fmt::Debug for Update<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Update")
            .field("since", &self.since)
            .field("head", &self.head)
            .field("heard", &self.heard)
            .field("revocations", &self.news.revocations.len())
            .finish_non_exhaustive()
    }
}
