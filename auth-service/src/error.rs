//! What can go wrong with a call, and how the caller is told.

use shared::{
    database::WriteError,
    fields::Violations,
    status::{bug, overloaded, read_failed, refusal, write_failed},
    trust::{Rejection, rejected},
};
use tonic::{Code, Status};

use crate::{hasher::HashFault, tokens::IssueFault};

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
    /// Not the caller's own password.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The password has changed since it was checked.
    #[error("the password was changed at the same moment")]
    PasswordChanged,
    /// The caller's account is gone.
    #[error("the access token is revoked")]
    AccountGone,
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
            Error::Hash(
                HashFault::Stored
                | HashFault::Argon2(_)
                | HashFault::Phc(_)
                | HashFault::Random
                | HashFault::Thread(_)
                | HashFault::Stopped,
            )
            | Error::Issue(_) => bug(&error),
            Error::Write(error) => write_failed(&error),
            Error::Read(error) => read_failed(&error),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refused: Refusal) -> Self {
        let (code, reason) = match refused {
            Refusal::UsernameTaken => (Code::AlreadyExists, "USERNAME_TAKEN"),
            Refusal::EmailTaken => (Code::AlreadyExists, "EMAIL_TAKEN"),
            Refusal::InvalidCredentials | Refusal::WrongPassword => {
                (Code::Unauthenticated, "INVALID_CREDENTIALS")
            }
            Refusal::PasswordChanged => (Code::Aborted, "PASSWORD_CHANGED"),
            Refusal::AccountGone => (Code::Unauthenticated, "TOKEN_REVOKED"),
        };
        refusal(code, reason, &refused.to_string())
    }
}
