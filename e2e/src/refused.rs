//! A refusal taken apart.

use std::time::Duration;

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// What a refusal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub code: Code,
    /// The reason of its `ErrorInfo`.
    pub reason: String,
    /// The fields of its `BadRequest`, in order.
    pub fields: Vec<String>,
    /// The delay of its `RetryInfo`.
    pub retry: Option<Duration>,
    /// The text for people.
    pub message: String,
}

impl Refused {
    /// The code and the reason.
    #[must_use]
    pub fn kind(&self) -> (Code, &str) {
        (self.code, &self.reason)
    }
}

/// Takes the refusal apart that an answer must be. Each refusal has an `ErrorInfo` of this domain.
pub fn refused<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Refused {
    let status = answer.expect_err("a refusal");
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "taskmanager");
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
    Refused {
        code: status.code(),
        reason: info.reason.clone(),
        fields: violations.unwrap_or_default().iter().map(|it| it.field.clone()).collect(),
        retry: details.retry_info().and_then(|retry| retry.retry_delay),
        message: status.message().to_owned(),
    }
}
