//! Wakes those who watch an owner, as soon as there is something to tell.
//!
//! A write of this process wakes them after its commit; a hint of another process's has the owners
//! whom somebody watches looked at, and so has twice a second whatever happens.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use shared::database::Engine;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use crate::store::Vault;

/// How often the owners who are watched are looked at, at the least.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often at the most: hints may come without end. So often, too, others are told.
const PAUSE: Duration = Duration::from_millis(10);
/// How many owners are looked at in one statement.
const OWNERS: usize = 1_000;

/// The last revision of each owner whom somebody watches, as far as it has been seen.
#[derive(Debug, Default)]
pub struct Heads {
    watched: Mutex<HashMap<Uuid, watch::Sender<i64>>>,
    committed: Notify,
}

impl Heads {
    /// Begins to watch an owner.
    pub fn watch(&self, owner: Uuid) -> watch::Receiver<i64> {
        self.lock().entry(owner).or_default().subscribe()
    }

    /// Notes what this process has committed.
    pub fn committed(&self, heads: &[(Uuid, i64)]) {
        if !heads.is_empty() {
            self.saw(heads);
            self.committed.notify_one();
        }
    }

    /// Wakes those who watch these owners and do not know of these revisions yet.
    fn saw(&self, heads: &[(Uuid, i64)]) {
        let watched = self.lock();
        for (owner, revision) in heads {
            if let Some(head) = watched.get(owner) {
                head.send_if_modified(|known| {
                    let is_news = revision > known;
                    *known = *revision.max(known);
                    is_news
                });
            }
        }
    }

    /// The owners whom somebody watches.
    fn watched(&self) -> Vec<Uuid> {
        let mut watched = self.lock();
        watched.retain(|_, head| head.receiver_count() > 0);
        watched.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<i64>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes whoever watches, for as long as it is polled.
///
/// Dropping the future ends it at any point.
pub async fn follow<DB: Engine>(vault: Vault<DB>, heads: Arc<Heads>) -> Infallible {
    let heard = Arc::<Notify>::default();
    tokio::select! {
        never = vault.listen(Arc::clone(&heard)) => never,
        never = announce(&vault, &heads) => never,
        never = look(&vault, &heads, &heard) => never,
    }
}

/// Tells other processes of what this one has committed. Nobody waits for that.
async fn announce<DB: Engine>(vault: &Vault<DB>, heads: &Heads) -> Infallible {
    let mut announcer = vault.announcer();
    loop {
        heads.committed.notified().await;
        let next = Instant::now() + PAUSE;
        announcer.announce().await;
        sleep_until(next).await;
    }
}

/// Looks at the owners who are watched.
async fn look<DB: Engine>(vault: &Vault<DB>, heads: &Heads, heard: &Notify) -> Infallible {
    let mut failing = false;
    loop {
        let began = Instant::now();
        let mut seen = Ok(());
        for owners in heads.watched().chunks(OWNERS) {
            match vault.heads(owners).await {
                Ok(news) => heads.saw(&news),
                Err(error) => seen = Err(error),
            }
        }
        if let Err(error) = &seen
            && !failing
        {
            tracing::warn!(%error, "changes of other processes can not be read");
        }
        failing = seen.is_err();
        sleep_until(began + PAUSE).await;
        tokio::select! {
            () = heard.notified() => {}
            () = sleep_until(began + INTERVAL) => {}
        }
    }
}
