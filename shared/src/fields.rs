//! What is wrong with the fields of a request, all of it at once.

use std::fmt::Display;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::status::info;

/// How many violations are reported: details travel in headers, which clients cut off.
const MOST: usize = 20;

/// The violations found in a request so far.
#[derive(Debug, Default)]
pub struct Violations(Vec<(String, String)>);

impl Violations {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the field at this path breaks a rule.
    pub fn add(&mut self, field: &str, description: impl Display) {
        self.0.push((field.to_owned(), description.to_string()));
    }

    /// The value, or nothing and a note of why it could not be parsed.
    pub fn check<T, E: Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|fault| self.add(field, fault)).ok()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole, if every part of it could be parsed and nothing else was wrong.
    ///
    /// # Errors
    /// The violations.
    pub fn finish<T>(self, whole: Option<T>) -> Result<T, Self> {
        match whole {
            Some(whole) if self.is_empty() => Ok(whole),
            _ => Err(self),
        }
    }
}

impl From<Violations> for Status {
    fn from(violations: Violations) -> Self {
        let mut details = info("FIELD_INVALID");
        for (field, description) in violations.0.into_iter().take(MOST) {
            details.add_bad_request_violation(field, description);
        }
        Status::with_error_details(Code::InvalidArgument, "the request has invalid fields", details)
    }
}
