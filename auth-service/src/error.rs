//! What can go wrong with a call, and how the caller is told.

use std::time::Duration;

use shared::{
    database::{WriteError, is_unavailable},
    fields::Violations,
    status::{internal, refusal, retry_later},
    trust::{Rejection, rejected},
};
use tonic::{Code, Status};

use crate::{hasher::HashFault, tokens::IssueFault};

/// When a client that met a passing fault may call again.
const RETRY: Duration = Duration::from_secs(1);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed.
    #[error("the request has invalid fields")]
    Invalid(Violations),
    /// The state of the accounts forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A token that was shown is not accepted.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The password was not hashed.
    #[error(transparent)]
    Hash(#[from] HashFault),
    /// The token was not issued.
    #[error(transparent)]
    Issue(#[from] IssueFault),
    /// The write was not done, or nobody knows.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The database could not be read.
    #[error(transparent)]
    Read(#[from] sqlx::Error),
}

/// What the state of the accounts forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another user has that name.
    #[error("the username is taken")]
    UsernameTaken,
    /// Another user has that address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// No such user, or not their password.
    #[error("no such user, or not their password")]
    InvalidCredentials,
    /// The password has changed since it was checked.
    #[error("the password was changed at the same moment")]
    PasswordChanged,
    /// The caller's account is gone.
    #[error("the access token is revoked")]
    AccountGone,
}

/// A row that contradicts the types of this service.
#[derive(Debug, thiserror::Error)]
#[error("{table}.{column} of {id} is corrupt")]
pub struct Corrupt {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's key.
    pub id: String,
}

impl From<Corrupt> for sqlx::Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::Decode(Box::new(corrupt))
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(violations) => violations.into(),
            Error::Refused(refusal) => refusal.into(),
            Error::Rejected(rejection) => rejected(rejection),
            Error::Hash(HashFault::Overloaded) => overloaded("too many passwords are waiting"),
            Error::Write(WriteError::Overloaded) => overloaded("too many writes are waiting"),
            Error::Write(WriteError::Closed | WriteError::Unavailable(_)) => unavailable(&error),
            Error::Read(ref cause) if is_unavailable(cause) => unavailable(&error),
            Error::Hash(
                HashFault::Stored
                | HashFault::Argon2(_)
                | HashFault::Phc(_)
                | HashFault::Random
                | HashFault::Thread(_)
                | HashFault::Stopped,
            )
            | Error::Write(
                WriteError::Refused(_) | WriteError::Panicked | WriteError::Unanswered,
            )
            | Error::Issue(_)
            | Error::Read(_) => bug(&error),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refused: Refusal) -> Self {
        let (code, reason) = match refused {
            Refusal::UsernameTaken => (Code::AlreadyExists, "USERNAME_TAKEN"),
            Refusal::EmailTaken => (Code::AlreadyExists, "EMAIL_TAKEN"),
            Refusal::InvalidCredentials => (Code::Unauthenticated, "INVALID_CREDENTIALS"),
            Refusal::PasswordChanged => (Code::Aborted, "PASSWORD_CHANGED"),
            Refusal::AccountGone => (Code::Unauthenticated, "TOKEN_REVOKED"),
        };
        refusal(code, reason, &refused.to_string())
    }
}

fn overloaded(message: &str) -> Status {
    retry_later(Code::ResourceExhausted, "OVERLOADED", message, RETRY)
}

fn unavailable(cause: &Error) -> Status {
    tracing::warn!(%cause, "the database is not available");
    let message = "the database is not available; a write may have been done";
    retry_later(Code::Unavailable, "DATABASE_UNAVAILABLE", message, RETRY)
}

fn bug(cause: &Error) -> Status {
    tracing::error!(%cause, "a call failed that should not");
    internal()
}
