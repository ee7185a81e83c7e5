//! The write door: the one way for a write to reach the database.
//!
//! A write is handed to a task that owns the writing connection, never run in the request's own
//! future, so a client that goes away can not leave a transaction half open. The task takes what
//! has queued up while it was busy, runs it as one transaction and answers after the commit: the
//! group grows with the load and waits for nobody, and its members share one flush to the disk.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::{Database, Engine, Statement, is_late, is_lost, is_unavailable, within};
use crate::metrics::Metrics;

/// How many writes may wait. More are refused rather than delayed.
const QUEUE: usize = 4096;
/// How many writes share a transaction at the most.
const GROUP: usize = 512;
/// How often a write is run that PostgreSQL rolls back for the sake of others.
const ATTEMPTS: u32 = 5;

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

/// How writes have ended.
#[derive(Debug, Default)]
struct Counts {
    committed: AtomicU64,
    failed: AtomicU64,
    /// Not done, for nobody waited any more when the group formed.
    dropped: AtomicU64,
    /// Done or failed, but nobody waited for the answer any more.
    unclaimed: AtomicU64,
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
        let keeper = Doorkeeper { database, writer, idle: None, counts: Arc::clone(&counts) };
        tokio::spawn(keeper.run(waiting));
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
        let mut count = |name, help, read: fn(&Counts) -> &AtomicU64| {
            let counts = Arc::clone(&self.counts);
            metrics.count(name, help, move || read(&counts).load(Ordering::Relaxed));
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

impl Counts {
    /// Counts a write that is about to be answered.
    fn settle(&self, write: &impl Write, outcome: &Result<(), WriteError>) {
        let ended = if outcome.is_ok() { &self.committed } else { &self.failed };
        ended.fetch_add(1, Ordering::Relaxed);
        if write.is_abandoned() {
            self.unclaimed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The task behind the door.
struct Doorkeeper<DB: Engine, R> {
    database: Database<DB>,
    writer: R,
    /// The writing connection, while no transaction is open on it.
    idle: Option<DB::Connection>,
    counts: Arc<Counts>,
}

/// Where a transaction ended that did not commit.
enum Fault {
    /// Before anything was asked of the members: no connection, no transaction.
    Begin(sqlx::Error),
    /// In a statement; it has been rolled back.
    Statement(sqlx::Error),
    /// In the code that runs the statements; it has been rolled back.
    Panic,
    /// In the commit: nobody knows whether it happened.
    Commit(sqlx::Error),
}

impl<DB: Engine, R: Writer<DB>> Doorkeeper<DB, R> {
    async fn run(mut self, mut waiting: mpsc::Receiver<R::Write>) {
        let mut group = Vec::new();
        while waiting.recv_many(&mut group, GROUP).await > 0 {
            let waited = group.len();
            group.retain(|write| !write.is_abandoned());
            let dropped = u64::try_from(waited - group.len()).unwrap_or_default();
            self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
            self.commit(std::mem::take(&mut group)).await;
        }
    }

    /// Commits a group. One that fails before its commit is halved and run again, down to the
    /// members at fault, so that they hurt nobody else.
    async fn commit(&mut self, group: Vec<R::Write>) {
        let mut parts = VecDeque::from([(group, 1)]);
        while let Some((mut part, attempt)) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            let outcome = match self.transaction(&mut part).await {
                Ok(()) => Ok(()),
                Err(fault) if fault.is_of_a_member() && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.push_front((rest, 1));
                    parts.push_front((part, 1));
                    continue;
                }
                Err(fault) if attempt < fault.attempts() => {
                    parts.push_front((part, attempt + 1));
                    continue;
                }
                Err(fault) => Err(fault.into_error()),
            };
            if let Err(error) = &outcome {
                tracing::warn!(%error, writes = part.len(), "a group of writes failed");
            }
            for write in part {
                self.counts.settle(&write, &outcome);
                write.settle(outcome.clone());
            }
        }
    }

    /// Runs one transaction. The connection is put back only when its transaction has ended.
    async fn transaction(&mut self, group: &mut [R::Write]) -> Result<(), Fault> {
        let limit = self.database.timeout;
        let mut connection = self.begin().await.map_err(Fault::Begin)?;
        let run = within(limit, self.writer.run(&mut connection, group));
        let fault = match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(())) => {
                let commit = Statement::<DB>::new("commit");
                within(limit, commit.all(&mut connection)).await.map_err(Fault::Commit)?;
                self.idle = Some(connection);
                return Ok(());
            }
            Ok(Err(error)) if is_lost(&error) => return Err(Fault::Statement(error)),
            Ok(Err(error)) => Fault::Statement(error),
            // What the panic left on the connection is unknown, so the connection goes with it.
            Err(_) => return Err(Fault::Panic),
        };
        let rollback = Statement::<DB>::new("rollback");
        if within(limit, rollback.all(&mut connection)).await.is_ok() {
            self.idle = Some(connection);
        }
        Err(fault)
    }

    /// Begins a transaction. A connection that has gone stale while it was idle is replaced.
    async fn begin(&mut self) -> Result<DB::Connection, sqlx::Error> {
        let limit = self.database.timeout;
        let begin = || Statement::<DB>::new(DB::BEGIN);
        if let Some(mut connection) = self.idle.take() {
            match within(limit, begin().all(&mut connection)).await {
                Ok(_) => return Ok(connection),
                Err(error) if is_lost(&error) && !is_late(&error) => {
                    tracing::info!(%error, "the writing connection is made anew");
                }
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.database.connect_writer().await?;
        within(limit, begin().all(&mut connection)).await?;
        Ok(connection)
    }
}

impl Fault {
    /// Whether one member may have caused it, so that the others deserve another run.
    fn is_of_a_member(&self) -> bool {
        match self {
            Self::Statement(error) => !is_unavailable(error) || is_rollback(error),
            Self::Panic => true,
            Self::Begin(_) | Self::Commit(_) => false,
        }
    }

    /// How often a write that meets this is run. What may have been committed is never run again.
    fn attempts(&self) -> u32 {
        match self {
            Self::Statement(error) | Self::Commit(error) if is_rollback(error) => ATTEMPTS,
            // The connection was lost before the commit; a new one may do.
            Self::Statement(error) if is_lost(error) && !is_late(error) => 2,
            Self::Begin(_) | Self::Statement(_) | Self::Panic | Self::Commit(_) => 1,
        }
    }

    fn into_error(self) -> WriteError {
        match self {
            Self::Statement(error) | Self::Commit(error) if is_rollback(&error) => {
                WriteError::Conflict(Arc::new(error))
            }
            Self::Commit(error) => WriteError::Unknown(Arc::new(error)),
            Self::Begin(error) => WriteError::Unavailable(Arc::new(error)),
            Self::Statement(error) if is_unavailable(&error) || is_lost(&error) => {
                WriteError::Unavailable(Arc::new(error))
            }
            Self::Statement(error) => WriteError::Refused(Arc::new(error)),
            Self::Panic => WriteError::Panicked,
        }
    }
}

/// Whether PostgreSQL gave up this transaction for the sake of another one (class 40): running it
/// again is what it asks for.
fn is_rollback(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code.len() == 5 && code.starts_with("40"))
}
