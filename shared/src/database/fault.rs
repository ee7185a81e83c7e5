//! What goes wrong with a database: what of it passes, and what it is called.

use std::{io, time::Duration};

use sqlx::{Error, error::DatabaseError, migrate::MigrateError};
use tokio::time::timeout;

/// A database that does not open.
#[derive(Debug, thiserror::Error)]
#[error("the database {place} does not open: {fault}")]
pub struct OpenError {
    /// Which one, without the password.
    pub place: String,
    /// Why.
    pub fault: OpenFault,
}

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// The URL names no database that can be used; the reason never holds a password.
    #[error("{0}")]
    Url(String),
    /// The directory or the file can not be made or read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The database does not answer, or is none.
    #[error("{}", said(.0))]
    Connect(#[from] Error),
    /// The SQLite that is built along lacks what is needed.
    #[error(
        "the program is built with an SQLite that can not wipe what is deleted: build it with the environment \
         variable LIBSQLITE3_FLAGS as .cargo/config.toml sets it"
    )]
    Build,
    /// The SQLite that is built along is too old.
    #[error(
        "the program is built with SQLite {0}, which could damage the file: 3.51.3 or later is needed"
    )]
    Version(String),
    /// A newer version of this software has been here, or another service.
    #[error(
        "it belongs to a newer version of this program, or to another service, which needs one of \
         its own (migration {0})"
    )]
    Newer(i64),
    /// Another service has been here.
    #[error("it belongs to another service, which needs one of its own (migration {0})")]
    Foreign(i64),
    /// The schema is not one that this version can use.
    #[error("it can not be migrated: {0}")]
    Migrate(MigrateError),
}

/// What the database says, without the line of its source at which it says so.
fn said(error: &Error) -> String {
    match error.as_database_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

impl From<MigrateError> for OpenFault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have one text")]
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Newer(version),
            MigrateError::VersionMismatch(version) => Self::Foreign(version),
            error => Self::Migrate(error),
        }
    }
}

/// Whether the database was away rather than at fault: the same call may succeed later.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "what sqlx adds is a fault until looked at")]
pub fn is_unavailable(error: &Error) -> bool {
    match error {
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => true,
        Error::Database(error) => error.code().is_some_and(|code| is_transient(&code)),
        _ => false,
    }
}

/// Whether the connection is of no use any more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a connection is good until it is known not to be"
)]
pub(super) fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => true,
        Error::Database(error) => error.code().is_some_and(|code| is_end(&code)),
        _ => false,
    }
}

/// Whether PostgreSQL has ended the connection, for all or for this one (also for saying nothing
/// too long in a transaction), or has become a standby, on which there is nothing to write.
fn is_end(code: &str) -> bool {
    code.starts_with("57P") || code.starts_with("08") || ["25P03", "25006"].contains(&code)
}

/// Whether the wait for the database was given up.
pub(super) fn is_late(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
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

/// Waits for the database, but not for ever: it may be frozen, or its machine gone without a word.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = || Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
    timeout(limit, work).await.unwrap_or_else(|_| late())
}

/// Whether PostgreSQL gave up a transaction for the sake of another one (class 40): running it again
/// is what it asks for.
pub(super) fn is_rollback(error: &Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code.len() == 5 && code.starts_with("40"))
}
