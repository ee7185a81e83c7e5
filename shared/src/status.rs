//! Errors as they go over the wire: a code, a fixed text, and details that programs can read.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of every [`google.rpc.ErrorInfo`](tonic_types::ErrorInfo).
pub const DOMAIN: &str = "taskmanager";

/// A refusal that the same call will meet again.
#[must_use]
pub fn refusal(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(code, message, info(reason))
}

/// A refusal that may pass: the call may be made again after this time.
#[must_use]
pub fn retry_later(code: Code, reason: &str, message: &str, delay: Duration) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(delay));
    Status::with_error_details(code, message, details)
}

/// A bug. The caller learns nothing but that; the log has the cause.
#[must_use]
pub fn internal() -> Status {
    refusal(Code::Internal, "INTERNAL", "internal error")
}

pub(crate) fn info(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}
