//! One way to a database, whatever its engine.
//!
//! A store is generic over its [`Engine`] and writes each statement once, with `$1..$n`. It reads
//! through [`Database::read`] and writes through its [`Door`], which turns the writes that are
//! waiting into one transaction. No other module knows which engine is at work.

mod corrupt;
mod door;
mod engine;
mod postgres;
mod sqlite;
mod statement;

pub use corrupt::Corrupt;
pub use door::{Door, Slot, Write, WriteError, Writer};
pub use engine::{Column, Engine, Kind, Migrations, Run, Sql, get};
pub use statement::Statement;

use std::ops::ControlFlow;

use sqlx::{ConnectOptions, Connection, Pool};

/// An open database: connections that only read, and a way to make the one that writes.
pub struct Database<DB: Engine> {
    readers: Pool<DB>,
    writer: <DB::Connection as Connection>::Options,
}

impl<DB: Engine> Clone for Database<DB> {
    fn clone(&self) -> Self {
        Self { readers: self.readers.clone(), writer: self.writer.clone() }
    }
}

impl<DB: Engine> std::fmt::Debug for Database<DB> {
    /// Shows the engine alone: the options may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("engine", &DB::NAME).finish_non_exhaustive()
    }
}

impl<DB: Engine> Database<DB> {
    /// Opens the database that the URL names, with every migration applied.
    ///
    /// # Errors
    /// When the URL is malformed, the database is out of reach or damaged, or a newer version of
    /// this software has migrated it.
    pub async fn open(url: &str, migrations: &Migrations) -> Result<Self, OpenError> {
        DB::open(url, migrations).await
    }

    /// Runs a statement that only reads; the engine refuses any other.
    ///
    /// # Errors
    /// When the database does not answer, or refuses the statement.
    pub async fn read(&self, statement: Statement<DB>) -> Result<Vec<DB::Row>, sqlx::Error> {
        let mut connection = self.readers.acquire().await?;
        statement.all(&mut connection).await
    }

    /// Runs a statement that only reads, and hands over its rows until `take` wants no more.
    ///
    /// # Errors
    /// When the database does not answer, or refuses the statement.
    pub async fn read_each(
        &self,
        statement: Statement<DB>,
        take: &mut (dyn FnMut(DB::Row) -> ControlFlow<()> + Send),
    ) -> Result<(), sqlx::Error> {
        let mut connection = self.readers.acquire().await?;
        statement.each(&mut connection, take).await
    }

    /// Opens a connection that may write.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect_writer(&self) -> Result<DB::Connection, sqlx::Error> {
        self.writer.connect().await
    }
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
    /// The schema is not one that this version can use.
    #[error("the database can not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
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

/// Whether an engine's error code tells of its state and not of the statement: SQLite's primary
/// code (the low byte) or PostgreSQL's SQLSTATE.
fn is_transient(code: &str) -> bool {
    const SQLITE: [u32; 5] = [5, 6, 10, 13, 14]; // busy, locked, I/O error, disk full, can't open
    const POSTGRES: [&str; 4] = ["08", "40", "53", "57"]; // connection, rollback, resources, operator
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => SQLITE.contains(&(number & 0xff)),
        _ => POSTGRES.iter().any(|class| code.starts_with(class)),
    }
}
