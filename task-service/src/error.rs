//! What can go wrong with a call, and how the caller is told.

use shared::{
    database::{LookupError, WriteError},
    status::{lookup_failed, overloaded, read_failed, refusal, write_failed},
    trust::{Reason, rejected},
};
use tonic::{Code, Status};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state of the caller's data forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The write was not done, or nobody knows.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The database could not be read.
    #[error(transparent)]
    Read(#[from] sqlx::Error),
    /// A row could not be looked up.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

/// What the state of the caller's data forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller's account is deleted, and all that they had here is or will be.
    #[error("the caller is erased")]
    OwnerErased,
    /// The caller has no such project.
    #[error("project not found")]
    ProjectNotFound,
    /// The project has tasks.
    #[error("the project has tasks; delete them first, or set force")]
    ProjectNotEmpty,
    /// The project has more tasks than can be deleted along with it.
    #[error("the project has too many tasks to be deleted at once; delete some of them first")]
    ProjectTooLarge,
    /// Other projects are being deleted, with as many tasks as can go at once.
    #[error("too many projects are being deleted at once")]
    TooManyDeletions,
    /// The caller has no such task.
    #[error("task not found")]
    TaskNotFound,
    /// The task is deleted.
    #[error("the task is deleted")]
    TaskDeleted,
    /// The task is not deleted.
    #[error("the task is not deleted")]
    TaskNotDeleted,
    /// The resource has changed since the caller read it.
    #[error("the resource has changed since its etag was read")]
    EtagMismatch,
    /// The caller has as many as the operator allows.
    #[error("the quota of projects or tasks is used up")]
    QuotaExceeded,
    /// The id of the request was used for another one.
    #[error("the request_id was used for another request")]
    RequestIdReused,
    /// What was deleted since the cursor has been forgotten, or the cursor is of a time that is gone.
    #[error("changes since the cursor are not known any more; watch from the beginning")]
    ResyncRequired,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Write(error) => write_failed(&error),
            Error::Read(error) => read_failed(&error),
            Error::Lookup(error) => lookup_failed(&error),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refused: Refusal) -> Self {
        let (code, reason) = match refused {
            // To the caller it is what it would have been a moment later.
            Refusal::OwnerErased => return rejected(Reason::Revoked.into()),
            Refusal::ProjectNotFound => (Code::NotFound, "PROJECT_NOT_FOUND"),
            Refusal::ProjectNotEmpty => (Code::FailedPrecondition, "PROJECT_NOT_EMPTY"),
            Refusal::ProjectTooLarge => (Code::FailedPrecondition, "PROJECT_TOO_LARGE"),
            Refusal::TooManyDeletions => return overloaded(&refused.to_string()),
            Refusal::TaskNotFound => (Code::NotFound, "TASK_NOT_FOUND"),
            Refusal::TaskDeleted => (Code::FailedPrecondition, "TASK_DELETED"),
            Refusal::TaskNotDeleted => (Code::FailedPrecondition, "TASK_NOT_DELETED"),
            Refusal::EtagMismatch => (Code::Aborted, "ETAG_MISMATCH"),
            Refusal::QuotaExceeded => (Code::ResourceExhausted, "QUOTA_EXCEEDED"),
            Refusal::RequestIdReused => (Code::AlreadyExists, "REQUEST_ID_REUSED"),
            Refusal::ResyncRequired => (Code::OutOfRange, "RESYNC_REQUIRED"),
        };
        refusal(code, reason, &refused.to_string())
    }
}
