//! The write door: the one way for a write to reach the database.
//!
//! A write is handed to a task that owns the writing connection, never run in the request's own
//! future, so a client that goes away can not leave a transaction half open. The task takes what
//! has queued up while it was busy, runs it as one transaction and answers after the commit: the
//! group grows with the load and waits for nobody, and its members share one flush to the disk.

mod counts;
mod keeper;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Database, Engine};
use crate::metrics::Metrics;
use counts::Counts;
use keeper::Doorkeeper;

/// How many writes may wait. More are refused rather than delayed.
const QUEUE: usize = 4096;

/// A write on its way through the door: a value that says what to do, with a [`Slot`] for the
/// answer.
pub trait Write: Send + 'static {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// Sends the answer that the slot holds, or the reason why there is none.
    fn settle(self, outcome: Result<(), WriteError>);
}

/// What runs a group of writes on the tables of a service.
pub trait Writer<DB: Engine>: Send + Sync + 'static {
    /// The writes of this service.
    type Write: Write;

    /// Runs the group inside an open transaction and leaves each answer in its slot.
    ///
    /// It may be called again for a part of the same group, after a rollback. An expected refusal
    /// is an answer; an error of the database is always returned, never swallowed: PostgreSQL would
    /// turn the commit that follows into a rollback without a word.
    fn run(
        &self,
        connection: &mut DB::Connection,
        group: &mut [Self::Write],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Called when what the last run did has been committed.
    fn committed(&self) {}
}

/// Where the answer to a write waits for the commit.
#[derive(Debug)]
pub struct Slot<T> {
    value: Option<T>,
    reply: oneshot::Sender<Result<T, WriteError>>,
}

impl<T> Slot<T> {
    /// Leaves the answer, in place of any that an earlier run has left.
    pub fn fill(&mut self, value: T) {
        self.value = Some(value);
    }

    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Sends the answer, or the reason why there is none.
    pub fn settle(self, outcome: Result<(), WriteError>) {
        let answer = outcome.and_then(|()| self.value.ok_or(WriteError::Unanswered));
        // Nobody may be waiting any more, and then nobody needs to know.
        drop(self.reply.send(answer));
    }
}

/// Why a write has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// Too many writes are waiting; this one was not done.
    #[error("too many writes are waiting")]
    Overloaded,
    /// Other writes were in the way each time that it was tried; it was not done.
    #[error("other writes are in the way: {0}")]
    Conflict(Arc<sqlx::Error>),
    /// The database was away; the write was not done.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// The database did not say whether it committed: the write may have been done.
    #[error("the database did not confirm the commit: {0}")]
    Unknown(Arc<sqlx::Error>),
    /// The database refused the write; it was not done.
    #[error("the database refused the write: {0}")]
    Refused(Arc<sqlx::Error>),
    /// The code that runs writes panicked; this one was not done.
    #[error("the write panicked")]
    Panicked,
    /// The code that runs writes left no answer.
    #[error("the write was not answered")]
    Unanswered,
    /// The door is closed: the service is ending.
    #[error("the service is ending")]
    Closed,
}

/// The way in for writes. Cheap to clone; the door closes when the last clone is gone.
pub struct Door<W> {
    queue: mpsc::Sender<W>,
    counts: Arc<Counts>,
}

impl<W> std::fmt::Debug for Door<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("room", &self.queue.capacity()).finish_non_exhaustive()
    }
}

impl<W> Clone for Door<W> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), counts: Arc::clone(&self.counts) }
    }
}

impl<W: Write> Door<W> {
    /// Starts the task that runs writes on a connection of its own.
    pub fn open<DB, R>(database: Database<DB>, writer: R) -> Self
    where
        DB: Engine,
        R: Writer<DB, Write = W>,
    {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let counts = Arc::<Counts>::default();
        tokio::spawn(Doorkeeper::new(database, writer, Arc::clone(&counts)).run(waiting));
        Self { queue, counts }
    }

    /// Hands a write in and waits for its commit. When this future is dropped before the write's
    /// group has formed, the write is not done; after that it may be.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn submit<T>(&self, write: impl FnOnce(Slot<T>) -> W) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(write(Slot { value: None, reply })).map_err(
            |refusal| match refusal {
                mpsc::error::TrySendError::Full(_) => WriteError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => WriteError::Closed,
            },
        )?;
        answer.await.unwrap_or(Err(WriteError::Closed))
    }

    /// Shows how many writes wait and how they have ended. It does not keep the door open.
    pub fn report(&self, metrics: &mut Metrics) {
        let queue = self.queue.downgrade();
        metrics.gauge("db_write_queue_length", "Writes that wait for a transaction", move || {
            queue.upgrade().map_or(0, |queue| queue.max_capacity() - queue.capacity())
        });
        Counts::report(&self.counts, metrics);
    }
}
