//! The id of a call, for logs: the client's own, or a new one.

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// An id that can stand in a log as it is.
#[derive(Debug, Clone)]
pub(super) struct CallId(HeaderValue);

impl CallId {
    /// The id that the client has given its call, if it is plain, else a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(NAME).filter(|id| is_plain(id.as_bytes()));
        Self(given.cloned().unwrap_or_else(Self::fresh))
    }

    fn fresh() -> HeaderValue {
        let mut text = Uuid::encode_buffer();
        let text = Uuid::new_v4().hyphenated().encode_lower(&mut text);
        // A UUID is plain; the other arm is never taken, and needs no panic.
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Tells the client which id its call has.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(NAME, self.0.clone());
    }
}

fn is_plain(id: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    (1..=64).contains(&id.len()) && id.iter().all(allowed)
}
