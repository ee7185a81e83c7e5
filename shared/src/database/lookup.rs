//! The read door: rows that callers look up by their keys at the same moment come from one statement.
//!
//! A lookup is handed to a task that keeps a reading connection of its own. The task takes what has queued
//! up while its last statement ran and asks for all of it at once: like the write door it waits for
//! nobody, so whoever is alone is served at once, and the more there are the less each costs. A lookup joins
//! only a statement that has not begun, so everybody finds what was committed before they asked. It runs
//! to its end although its caller goes away, so the connection is never left in the midst of a statement.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    ops::ControlFlow,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::{
    Database, Engine, Statement,
    fault::{is_late, is_lost, within},
};
use crate::metrics::Metrics;

/// How many lookups may wait. More are refused rather than delayed.
const QUEUE: usize = 4096;
/// How many lookups share a statement at the most.
pub(super) const GROUP: usize = 256;
/// How long a connection is kept: behind a name there may be another server by then.
const LIFETIME: Duration = Duration::from_mins(30);

/// How the rows of a table are found by their keys, many with one statement.
pub trait Lookup<DB: Engine>: Send + Sync + 'static {
    /// What a row is found by.
    type Key: Clone + Ord + Send + Sync + 'static;
    /// What it holds.
    type Found: Clone + Send + Sync + 'static;

    /// The statement that returns the row of this key: for whoever is alone, a set of one is dear.
    fn select_one(&self, key: &Self::Key) -> Statement<DB>;

    /// The statement that returns the rows of these keys, in any order.
    ///
    /// # Errors
    /// When the keys can not be written down.
    fn select(&self, keys: &BTreeSet<Self::Key>) -> Result<Statement<DB>, sqlx::Error>;

    /// Whose row it is.
    ///
    /// # Errors
    /// When the row has no key.
    fn key(&self, row: &DB::Row) -> Result<Self::Key, sqlx::Error>;

    /// What the row holds.
    ///
    /// # Errors
    /// When it is damaged: the answer to those alone who have asked for it.
    fn found(&self, row: &DB::Row) -> Result<Self::Found, sqlx::Error>;
}

/// Why a lookup has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookupError {
    /// Too many of them are waiting.
    #[error("too many lookups are waiting")]
    Overloaded,
    /// The database did not answer, refused the statement, or holds a row that can not be read.
    #[error(transparent)]
    Failed(Arc<sqlx::Error>),
    /// The code that looks up panicked.
    #[error("the lookup panicked")]
    Panicked,
}

/// The way in for lookups. Cheap to clone; the door closes when the last clone is gone.
pub struct ReadDoor<K, T> {
    queue: mpsc::Sender<Ask<K, T>>,
}

impl<K, T> std::fmt::Debug for ReadDoor<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadDoor").field("room", &self.queue.capacity()).finish_non_exhaustive()
    }
}

impl<K, T> Clone for ReadDoor<K, T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

/// A key, and who asks for it.
struct Ask<K, T> {
    key: K,
    reply: oneshot::Sender<Result<Option<T>, LookupError>>,
}

impl<K: Clone + Ord + Send + Sync + 'static, T: Clone + Send + Sync + 'static> ReadDoor<K, T> {
    /// Starts the task that looks up, on a connection of its own.
    pub fn open<DB, L>(database: Database<DB>, lookup: L) -> Self
    where
        DB: Engine,
        L: Lookup<DB, Key = K, Found = T>,
    {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(Keeper { database, lookup, idle: None }.serve(waiting));
        Self { queue }
    }

    /// Looks a row up; nothing if there is none.
    ///
    /// # Errors
    /// See [`LookupError`].
    pub async fn find(&self, key: K) -> Result<Option<T>, LookupError> {
        let (reply, answer) = oneshot::channel();
        let closed = || failed(sqlx::Error::WorkerCrashed);
        self.queue.try_send(Ask { key, reply }).map_err(|refusal| match refusal {
            mpsc::error::TrySendError::Full(_) => LookupError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Shows how many lookups wait. It does not keep the door open.
    pub fn report(&self, name: &'static str, help: &'static str, metrics: &mut Metrics) {
        let queue = self.queue.downgrade();
        metrics.gauge(name, help, move || {
            queue.upgrade().map_or(0, |queue| queue.max_capacity() - queue.capacity())
        });
    }
}

/// The task behind the door.
struct Keeper<DB: Engine, L> {
    database: Database<DB>,
    lookup: L,
    /// The connection, while no statement runs on it, and since when it is open.
    idle: Option<(DB::Connection, Instant)>,
}

/// Rows by their keys; one that is damaged is an error of its own.
type Rows<K, T> = BTreeMap<K, Result<T, LookupError>>;

impl<DB: Engine, L: Lookup<DB>> Keeper<DB, L> {
    /// Answers what comes through the door until it is closed.
    async fn serve(mut self, mut waiting: mpsc::Receiver<Ask<L::Key, L::Found>>) {
        let mut asks = Vec::new();
        while waiting.recv_many(&mut asks, GROUP).await > 0 {
            asks.retain(|ask| !ask.reply.is_closed());
            let keys: BTreeSet<_> = asks.iter().map(|ask| ask.key.clone()).collect();
            if keys.is_empty() {
                continue;
            }
            // A panic is a bug in one statement; the door stays open.
            let found = AssertUnwindSafe(self.find(&keys)).catch_unwind().await;
            let found = match found {
                Ok(found) => found.map_err(failed),
                Err(_) => Err(LookupError::Panicked),
            };
            if matches!(&found, Err(LookupError::Failed(error)) if is_lost(error)) {
                // The database is away. Those who came meanwhile need not wait as long once more, each group
                // after the other.
                asks.extend(iter::from_fn(|| waiting.try_recv().ok()));
            }
            for Ask { key, reply } in asks.drain(..) {
                let answer = match &found {
                    Ok(rows) => rows.get(&key).cloned().transpose(),
                    Err(error) => Err(error.clone()),
                };
                // Whoever has gone away does not need it.
                drop(reply.send(answer));
            }
        }
    }

    /// Runs the statement, a second time if the connection has gone stale while it was idle.
    async fn find(
        &mut self,
        keys: &BTreeSet<L::Key>,
    ) -> Result<Rows<L::Key, L::Found>, sqlx::Error> {
        let idle = self.idle.take().filter(|(_, since)| since.elapsed() < LIFETIME);
        if let Some((connection, since)) = idle {
            match self.find_on(connection, since, keys).await {
                Err(error) if is_lost(&error) && !is_late(&error) => {
                    tracing::info!(%error, "a reading connection is made anew");
                }
                done => return done,
            }
        }
        let connection = self.database.connect_lookup().await?;
        self.find_on(connection, Instant::now(), keys).await
    }

    async fn find_on(
        &mut self,
        mut connection: DB::Connection,
        since: Instant,
        keys: &BTreeSet<L::Key>,
    ) -> Result<Rows<L::Key, L::Found>, sqlx::Error> {
        let (lookup, limit) = (&self.lookup, self.database.timeout);
        let statement = match keys.first() {
            Some(key) if keys.len() == 1 => lookup.select_one(key),
            _ => lookup.select(keys)?,
        };
        let (mut found, mut fault) = (BTreeMap::new(), None);
        let mut take = |row: DB::Row| {
            match lookup.key(&row) {
                Ok(key) => drop(found.insert(key, lookup.found(&row).map_err(failed))),
                Err(error) => fault = Some(error),
            }
            if DB::ENDS_ELSEWHERE && found.len() == keys.len() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let done = within(limit, statement.each(&mut connection, &mut take)).await;
        if !done.as_ref().is_err_and(is_lost) {
            self.idle = Some((connection, since));
        }
        done.and(fault.map_or(Ok(found), Err))
    }
}

fn failed(error: sqlx::Error) -> LookupError {
    LookupError::Failed(Arc::new(error))
}
