//! The task behind the door: it forms groups, runs them, and decides what to do when one fails.

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::{Counts, Database, Engine, Write, WriteError, Writer};
use crate::database::{
    Statement,
    fault::{is_late, is_lost, is_rollback, is_unavailable, within},
};

/// How many writes share a transaction at the most.
const GROUP: usize = 512;
/// How often a write is run that PostgreSQL rolls back for the sake of others.
const ATTEMPTS: u32 = 5;

/// The task behind the door.
pub(super) struct Doorkeeper<DB: Engine, R> {
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
    pub(super) fn new(database: Database<DB>, writer: R, counts: Arc<Counts>) -> Self {
        Self { database, writer, idle: None, counts }
    }

    /// Runs what comes through the door until it is closed.
    pub(super) async fn run(self, waiting: mpsc::Receiver<R::Write>) {
        let database = self.database.clone();
        tokio::select! {
            () = self.serve(waiting) => {}
            never = DB::keep(&database) => match never {},
        }
    }

    async fn serve(mut self, mut waiting: mpsc::Receiver<R::Write>) {
        let mut group = Vec::new();
        while waiting.recv_many(&mut group, GROUP).await > 0 {
            let waited = group.len();
            group.retain(|write| !write.is_abandoned());
            self.counts.not_begun(waited - group.len());
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
                self.writer.committed();
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
        let mut connection = self.database.connect_door().await?;
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
