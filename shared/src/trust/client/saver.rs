//! Saves what is heard, beside the stream that it is heard from.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::unsaved::{Schedule, Unsaved};
use crate::trust::{Snapshot, SnapshotStore, Update, Verifier};

/// What has been heard and not been saved, between the one who hears and the one who saves.
#[derive(Debug)]
pub(super) struct Ledger {
    unsaved: Mutex<Unsaved>,
    changed: Notify,
}

impl Ledger {
    pub(super) fn since(loaded: Option<&Snapshot>) -> Self {
        Self { unsaved: Mutex::new(Unsaved::since(loaded)), changed: Notify::new() }
    }

    /// Writes something down.
    pub(super) fn note(&self, entry: impl FnOnce(&mut Unsaved)) {
        entry(&mut self.lock());
        self.changed.notify_one();
    }

    /// Waits until a save is due.
    async fn due(&self, schedule: &Schedule) {
        loop {
            let due = schedule.due(self.lock().waiting());
            tokio::select! {
                () = at(due) => return,
                () = self.changed.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Unsaved> {
        // Nothing that holds the lock can panic half-way.
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Saves what is in the ledger whenever it is due, for as long as it is polled.
pub(super) async fn save<S: SnapshotStore>(
    verifier: &Verifier,
    store: &S,
    ledger: &Ledger,
) -> Infallible {
    let mut schedule = Schedule::default();
    loop {
        ledger.due(&schedule).await;
        let Some(batch) = ledger.lock().take() else { continue };
        let all = || verifier.knowledge(batch.head);
        let update = Update {
            since: batch.since,
            head: batch.head,
            heard: batch.heard,
            news: &batch.news,
            all: &all,
        };
        let saved = store.save(update).await;
        let is_other = schedule.ended(saved.is_err());
        match saved {
            Ok(()) if is_other => tracing::info!("what the issuer says is saved again"),
            Ok(()) => {}
            Err(error) => {
                ledger.note(Unsaved::failed);
                if is_other {
                    tracing::warn!(%error, "what the issuer says can not be saved");
                }
            }
        }
    }
}
