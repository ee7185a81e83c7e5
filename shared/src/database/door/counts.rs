//! What has become of the writes, for operators.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{Write, WriteError};
use crate::metrics::Metrics;

/// How many writes have ended in which way.
#[derive(Debug, Default)]
pub(super) struct Counts {
    committed: AtomicU64,
    failed: AtomicU64,
    /// Not done, for nobody waited any more when the group formed.
    dropped: AtomicU64,
    /// Done or failed, but nobody waited for the answer any more.
    unclaimed: AtomicU64,
}

impl Counts {
    /// Counts writes that are not begun.
    pub(super) fn not_begun(&self, writes: usize) {
        self.dropped.fetch_add(u64::try_from(writes).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts a write that is about to be answered.
    pub(super) fn settle(&self, write: &impl Write, outcome: &Result<(), WriteError>) {
        let ended = if outcome.is_ok() { &self.committed } else { &self.failed };
        ended.fetch_add(1, Relaxed);
        if write.is_abandoned() {
            self.unclaimed.fetch_add(1, Relaxed);
        }
    }

    /// Shows them to Prometheus.
    pub(super) fn report(counts: &Arc<Self>, metrics: &mut Metrics) {
        let mut count = |name, help, read: fn(&Self) -> &AtomicU64| {
            let counts = Arc::clone(counts);
            metrics.count(name, help, move || read(&counts).load(Relaxed));
        };
        count("db_writes_committed", "Writes that are in the database", |it| &it.committed);
        count("db_writes_failed", "Writes that have failed", |it| &it.failed);
        count("db_writes_dropped", "Writes whose caller had gone before they began", |it| {
            &it.dropped
        });
        count("db_writes_unclaimed", "Writes whose caller had gone when they were done", |it| {
            &it.unclaimed
        });
    }
}
