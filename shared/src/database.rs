//! One way to a database, whatever its engine.
//!
//! A store is generic over its [`Engine`] and writes each statement once, with `$1..$n`. It reads
//! through [`Database::read`] and writes through its [`Door`], which turns the writes that are
//! waiting into one transaction. No other module knows which engine is at work.

mod corrupt;
mod door;
mod engine;
mod postgres;
mod settings;
mod sqlite;
mod statement;

pub use corrupt::Corrupt;
pub use door::{Door, Slot, Write, WriteError, Writer};
pub use engine::{Column, Engine, Kind, Migrations, Run, Sql, get};
pub use settings::{EngineName, Settings, UrlFault};
pub use sqlx::{Postgres, Sqlite};
pub use statement::Statement;

use std::{io, ops::ControlFlow, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{ConnectOptions, Connection, Pool, migrate::MigrateError, pool::PoolConnection};
use tokio::{sync::oneshot, time::timeout};

use crate::metrics::Metrics;

/// How long a read waits for a connection, and a write for a new one, before it gives up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// An open database: connections that only read, and a way to make the one that writes.
pub struct Database<DB: Engine> {
    readers: Pool<DB>,
    writer: <DB::Connection as Connection>::Options,
    timeout: Duration,
}

impl<DB: Engine> Clone for Database<DB> {
    fn clone(&self) -> Self {
        Self { readers: self.readers.clone(), writer: self.writer.clone(), timeout: self.timeout }
    }
}

impl<DB: Engine> std::fmt::Debug for Database<DB> {
    /// Shows the engine alone: the options may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("engine", &DB::NAME).finish_non_exhaustive()
    }
}

impl<DB: Engine> Database<DB> {
    /// Opens the database that the settings name, with every migration applied.
    ///
    /// # Errors
    /// When the URL is malformed, the database is out of reach or damaged, or a newer version of
    /// this software has migrated it.
    pub async fn open(settings: &Settings, migrations: &Migrations) -> Result<Self, OpenError> {
        DB::open(settings, migrations).await
    }

    /// Runs a statement that only reads; the engine refuses any other.
    ///
    /// # Errors
    /// When the database does not answer, or refuses the statement.
    pub async fn read(&self, statement: Statement<DB>) -> Result<Vec<DB::Row>, sqlx::Error> {
        self.lend(|connection| Box::pin(statement.all(connection))).await
    }

    /// Runs a statement that only reads, and hands over its rows until `take`, which gathers them
    /// into `start`, wants no more.
    ///
    /// # Errors
    /// When the database does not answer, or refuses the statement.
    pub async fn read_each<T: Send + 'static>(
        &self,
        statement: Statement<DB>,
        start: T,
        mut take: impl FnMut(&mut T, DB::Row) -> ControlFlow<()> + Send + 'static,
    ) -> Result<T, sqlx::Error> {
        self.lend(|connection| {
            Box::pin(async move {
                let mut gathered = start;
                statement.each(connection, &mut |row| take(&mut gathered, row)).await?;
                Ok(gathered)
            })
        })
        .await
    }

    /// Lends a reading connection. What has begun goes on although its caller goes away: a
    /// connection that is left in the middle of a statement could not be used again, and clients
    /// that break off their calls would have us connect anew all the time.
    async fn lend<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut DB::Connection) -> BoxFuture<'_, Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, sqlx::Error> {
        let (readers, limit) = (self.readers.clone(), self.timeout);
        let (reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            let mut connection = match readers.acquire().await {
                Ok(connection) => connection,
                Err(error) => return drop(reply.send(Err(error))),
            };
            // Whoever has gone away does not need the answer.
            if !reply.is_closed() {
                let done = within(limit, work(&mut connection)).await;
                if done.as_ref().is_err_and(is_lost) {
                    connection.close_on_drop();
                    return drop(reply.send(done));
                }
                drop(reply.send(done));
            }
            give_back(connection).await;
        });
        answer.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Opens a connection that may write.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect_writer(&self) -> Result<DB::Connection, sqlx::Error> {
        within(ACQUIRE_TIMEOUT, self.writer.connect()).await
    }

    /// Shows how the connections are used.
    pub fn report(&self, metrics: &mut Metrics) {
        let (open, idle) = (self.readers.clone(), self.readers.clone());
        let help = "Open connections that read from the database";
        metrics.gauge("db_pool_connections", help, move || f64::from(open.size()));
        let help = "Those of them that nobody uses";
        metrics.gauge("db_pool_connections_idle", help, move || idle.num_idle());
        let most = f64::from(self.readers.options().get_max_connections());
        let help = "How many there may be";
        metrics.gauge("db_pool_connections_max", help, move || most);
    }
}

/// Gives a connection back, or closes it. The pool asks it first whether it is well; one that never
/// says would keep its place in the pool for ever, and a few of them all places.
async fn give_back<DB: Engine>(mut connection: PoolConnection<DB>) {
    let back = connection.return_to_pool();
    // Given up, it is closed.
    drop(timeout(ACQUIRE_TIMEOUT, back).await);
}

/// Waits for the database, but not for ever: it may be frozen, or its machine gone without a word.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late =
        || Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
    timeout(limit, work).await.unwrap_or_else(|_| late())
}

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database that can be used; the reason never holds a password.
    #[error("{0}")]
    Url(String),
    /// The directory or the file can not be made or read.
    #[error("{path}: {source}")]
    File {
        /// The path that is at fault.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database does not answer, or is none.
    #[error("the database does not open: {0}")]
    Connect(#[from] sqlx::Error),
    /// A newer version of this software has been here.
    #[error("the database was migrated by a newer version of this program (migration {0})")]
    Newer(i64),
    /// The schema is not one that this version can use.
    #[error("the database can not be migrated: {0}")]
    Migrate(MigrateError),
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        if let MigrateError::VersionMissing(version) = error {
            Self::Newer(version)
        } else {
            Self::Migrate(error)
        }
    }
}

/// Whether the database was away rather than at fault: the same call may succeed later.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "what sqlx adds is a fault until looked at")]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient(&code)),
        _ => false,
    }
}

/// Whether the connection is of no use any more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a connection is good until it is known not to be"
)]
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_end(&code)),
        _ => false,
    }
}

/// Whether PostgreSQL has ended the connection, for all or for this one (also for saying nothing
/// too long in a transaction), or has become a standby, on which there is nothing to write.
fn is_end(code: &str) -> bool {
    code.starts_with("57P") || code.starts_with("08") || ["25P03", "25006"].contains(&code)
}

/// Whether the wait for the database was given up.
fn is_late(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Whether an engine's error code tells of its state and not of the statement: SQLite's primary
/// code (the low byte) or PostgreSQL's SQLSTATE.
fn is_transient(code: &str) -> bool {
    const SQLITE: [u32; 5] = [5, 6, 10, 13, 14]; // busy, locked, I/O error, disk full, can't open
    const POSTGRES: [&str; 3] = ["40", "53", "57"]; // rollback, resources, operator
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => SQLITE.contains(&(number & 0xff)),
        _ => is_end(code) || POSTGRES.iter().any(|class| code.starts_with(class)),
    }
}
