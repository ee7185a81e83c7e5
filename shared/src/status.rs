//! Errors as they go over the wire: a code, a fixed text, and details that programs can read.

use std::{collections::HashMap, error::Error, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::database::{LookupError, WriteError, is_unavailable};

/// The domain of every [`google.rpc.ErrorInfo`](tonic_types::ErrorInfo).
pub const DOMAIN: &str = "taskmanager";
/// When a client that met a passing fault may call again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// A refusal that the same call will meet again.
#[must_use]
pub fn refusal(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(code, message, info(reason))
}

/// A refusal that may pass: the call may be made again in a second.
#[must_use]
pub fn retry_later(code: Code, reason: &str, message: &str) -> Status {
    retry_after(RETRY, code, reason, message)
}

/// A refusal that will pass after this time.
#[must_use]
pub fn retry_after(delay: Duration, code: Code, reason: &str, message: &str) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(delay));
    Status::with_error_details(code, message, details)
}

/// The refusal of a queue that is full.
#[must_use]
pub fn overloaded(message: &str) -> Status {
    retry_later(Code::ResourceExhausted, "OVERLOADED", message)
}

/// What a caller is told of a write that has no answer.
#[must_use]
pub fn write_failed(error: &WriteError) -> Status {
    match error {
        WriteError::Overloaded => overloaded("too many writes are waiting"),
        WriteError::Conflict(_) => {
            tracing::warn!(%error, "a write was given up");
            refusal(Code::Aborted, "CONFLICT", "other writes were in the way; nothing was done")
        }
        WriteError::Unavailable(_) => unavailable(error, "the database is not available"),
        WriteError::Unknown(_) | WriteError::Closed => {
            unavailable(error, "the database is not available; the write may have been done")
        }
        WriteError::Refused(_) | WriteError::Panicked | WriteError::Unanswered => bug(error),
    }
}

/// What a caller is told of a read that failed.
#[must_use]
pub fn read_failed(error: &sqlx::Error) -> Status {
    if is_unavailable(error) {
        unavailable(error, "the database is not available")
    } else {
        bug(error)
    }
}

/// What a caller is told of a lookup that has no answer.
#[must_use]
pub fn lookup_failed(error: &LookupError) -> Status {
    match error {
        LookupError::Overloaded => overloaded("too many reads are waiting"),
        LookupError::Failed(error) => read_failed(error),
        LookupError::Panicked => bug(error),
    }
}

/// A bug. The caller learns nothing but that; the log has the cause.
#[must_use]
pub fn bug(cause: &dyn Error) -> Status {
    tracing::error!(%cause, "a call failed that should not");
    internal("")
}

pub(crate) fn unreadable() -> Status {
    refusal(Code::InvalidArgument, "REQUEST_UNREADABLE", "the request can not be read")
}

pub(crate) fn too_large(most: usize) -> Status {
    let message = format!("the request is larger than {most} bytes");
    refusal(Code::InvalidArgument, "REQUEST_TOO_LARGE", &message)
}

pub(crate) fn compressed() -> Status {
    let message = "the request is compressed, which this service does not read";
    refusal(Code::Unimplemented, "COMPRESSION_UNSUPPORTED", message)
}

pub(crate) fn unimplemented() -> Status {
    refusal(Code::Unimplemented, "UNKNOWN_RPC", "this service has no such RPC")
}

pub(crate) fn slow_reader() -> Status {
    let message = "the stream was not read for too long; go on where it ends";
    retry_later(Code::ResourceExhausted, "SLOW_READER", message)
}

pub(crate) fn deadline_exceeded() -> Status {
    let message = "the deadline has passed; a write may have been done";
    refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message)
}

/// What a caller is told while the service ends.
#[must_use]
pub fn draining() -> Status {
    retry_later(Code::Unavailable, "DRAINING", "the service is ending; connect anew")
}

/// A bug, told with the id that the log has it by. The shell fills in the id where it is empty.
pub(crate) fn internal(call_id: &str) -> Status {
    let metadata = HashMap::from([("call_id".to_owned(), call_id.to_owned())]);
    let details = ErrorDetails::with_error_info("INTERNAL", DOMAIN, metadata);
    let message = format!("internal error in call {call_id}");
    Status::with_error_details(Code::Internal, message, details)
}

fn unavailable(cause: &dyn Error, message: &str) -> Status {
    tracing::warn!(%cause, "the database is not available");
    retry_later(Code::Unavailable, "DATABASE_UNAVAILABLE", message)
}

pub(crate) fn info(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}
