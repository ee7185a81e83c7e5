//! What can go wrong with a call, and how the caller is told.

use std::time::Duration;

use shared::{
    database::WriteError,
    fields::Violations,
    once::Reused,
    status::{bug, overloaded, read_failed, refusal, retry_after, retry_later, write_failed},
    trust::{Rejection, rejected},
};
use tonic::{Code, Status};

use crate::{hasher::HashFault, keys::KeyFault, tokens::IssueFault};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed.
    #[error("the request has invalid fields")]
    Invalid(Violations),
    /// The state of the accounts forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was tried too often; this is how long it takes until it may be tried again.
    #[error("too many attempts")]
    TooManyAttempts(Duration),
    /// A token that was shown is not accepted.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The password was not hashed.
    #[error(transparent)]
    Hash(#[from] HashFault),
    /// The token was not issued.
    #[error(transparent)]
    Issue(#[from] IssueFault),
    /// The system gives no random numbers.
    #[error(transparent)]
    Random(#[from] KeyFault),
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
    /// The `request_id` was used for another request.
    #[error("the request_id was used for another request")]
    RequestIdReused,
    /// No such user, or not their password.
    #[error("no such user, or not their password")]
    InvalidCredentials,
    /// No such service, or not its secret.
    #[error("no such service, or not its secret")]
    InvalidSecret,
    /// Not the caller's own password.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The password has changed since it was checked.
    #[error("the password was changed at the same moment")]
    PasswordChanged,
    /// The session that the call is made in has ended.
    #[error("the access token has been revoked")]
    SessionEnded,
    /// The caller has no such session.
    #[error("no such session")]
    SessionNotFound,
    /// An operator keeps the user from logging in.
    #[error("the account is disabled")]
    UserDisabled,
    /// No session has that refresh token.
    #[error("the refresh token is not valid")]
    RefreshUnknown,
    /// The session of the refresh token has ended by itself.
    #[error("the session has expired")]
    RefreshExpired,
    /// The refresh token was used before.
    #[error("the refresh token was used before; its session has been ended")]
    RefreshReused,
    /// There is an erasure of that id.
    #[error("there is an erasure with that erasure_id")]
    ErasureIdTaken,
    /// There is no such erasure.
    #[error("there is no such erasure")]
    ErasureNotFound,
    /// An operator names a user who is not there.
    #[error("there is no such user")]
    UserNotFound,
    /// An operator names a service that is not there.
    #[error("there is no such service")]
    ServiceNotFound,
    /// A service of that name has another secret, or other scopes.
    #[error("there is a service of that name with another secret or other scopes; remove it first")]
    ServiceExists,
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<Reused> for Refusal {
    fn from(Reused: Reused) -> Self {
        Self::RequestIdReused
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(violations) => violations.into(),
            Error::Refused(refusal) => refusal.into(),
            Error::TooManyAttempts(wait) => too_many_attempts(wait),
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
            | Error::Issue(IssueFault::Sign(_))
            | Error::Random(_) => bug(&error),
            Error::Issue(IssueFault::NoKey) => retry_later(
                Code::Unavailable,
                "KEY_PENDING",
                "the next signing key does not sign yet",
            ),
            Error::Write(error) => write_failed(&error),
            Error::Read(error) => read_failed(&error),
        }
    }
}

/// In whole seconds, and so that it may be tried again when they are over.
fn too_many_attempts(wait: Duration) -> Status {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let message = format!("too many attempts; the next one may be made in {seconds} s");
    let delay = Duration::from_secs(seconds);
    retry_after(delay, Code::ResourceExhausted, "TOO_MANY_ATTEMPTS", &message)
}

impl From<Refusal> for Status {
    fn from(refused: Refusal) -> Self {
        let (code, reason) = match refused {
            Refusal::UsernameTaken => (Code::AlreadyExists, "USERNAME_TAKEN"),
            Refusal::EmailTaken => (Code::AlreadyExists, "EMAIL_TAKEN"),
            Refusal::RequestIdReused => (Code::AlreadyExists, "REQUEST_ID_REUSED"),
            Refusal::InvalidCredentials | Refusal::WrongPassword | Refusal::InvalidSecret => {
                (Code::Unauthenticated, "INVALID_CREDENTIALS")
            }
            Refusal::PasswordChanged => (Code::Aborted, "PASSWORD_CHANGED"),
            Refusal::SessionEnded | Refusal::RefreshReused => {
                (Code::Unauthenticated, "TOKEN_REVOKED")
            }
            Refusal::RefreshUnknown => (Code::Unauthenticated, "TOKEN_INVALID"),
            Refusal::RefreshExpired => (Code::Unauthenticated, "TOKEN_EXPIRED"),
            Refusal::SessionNotFound => (Code::NotFound, "SESSION_NOT_FOUND"),
            Refusal::ErasureIdTaken => (Code::AlreadyExists, "ERASURE_ID_TAKEN"),
            Refusal::ErasureNotFound => (Code::NotFound, "ERASURE_NOT_FOUND"),
            Refusal::UserDisabled => (Code::FailedPrecondition, "USER_DISABLED"),
            // Operators alone meet these, and no RPC.
            Refusal::UserNotFound => (Code::NotFound, "USER_NOT_FOUND"),
            Refusal::ServiceNotFound => (Code::NotFound, "SERVICE_NOT_FOUND"),
            Refusal::ServiceExists => (Code::AlreadyExists, "SERVICE_EXISTS"),
        };
        refusal(code, reason, &refused.to_string())
    }
}
