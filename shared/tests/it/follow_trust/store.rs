//! A store that tells of each save, waits and breaks on demand.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use shared::{
    clock::Time,
    trust::{Head, News, Snapshot, SnapshotStore, Update},
};
use tokio::sync::{Semaphore, mpsc};

#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) saved: Option<Snapshot>,
    pub(crate) saves: mpsc::UnboundedSender<Saved>,
    /// Nothing is loaded or saved.
    pub(crate) broken: Arc<AtomicBool>,
    /// A save waits for one of these.
    pub(crate) permits: Arc<Semaphore>,
}

/// What was to be saved.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) since: Option<Head>,
    pub(crate) head: Head,
    pub(crate) heard: Time,
    pub(crate) news: News,
    pub(crate) all: News,
}

impl Store {
    fn answer<T>(&self, answer: T) -> Result<T, &'static str> {
        if self.broken.load(Ordering::SeqCst) { Err("broken") } else { Ok(answer) }
    }
}

impl SnapshotStore for Store {
    type Error = &'static str;

    async fn load(&self) -> Result<Option<Snapshot>, &'static str> {
        self.answer(self.saved.clone())
    }

    async fn save(&self, update: Update<'_>) -> Result<(), &'static str> {
        let Update { since, head, heard, news, all } = update;
        let saved = Saved { since, head, heard, news: news.clone(), all: all() };
        let answer = self.answer(());
        let _ = self.saves.send(saved);
        self.permits.acquire().await.unwrap().forget();
        answer
    }
}
