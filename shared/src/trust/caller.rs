//! The identity behind a request.

use tonic::{Request, Status};
use uuid::Uuid;

use super::{Claims, Reason, Rejection, bearer::missing};

/// The user that a verified token stands for.
///
/// Only the verifier makes one, so whoever demands a `&Caller` has proof that a token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    user_id: Uuid,
    session_id: Uuid,
}

impl Caller {
    /// The one constructor, reached from the verifier alone.
    pub(super) fn of_claims(claims: &Claims) -> Result<Self, Rejection> {
        let id = |text: &str, claim| {
            // `Uuid` reads several spellings; the issuer writes one.
            let id = Uuid::try_parse(text).ok().filter(|id| id.to_string() == text);
            id.ok_or(Rejection::Invalid(Reason::ClaimValue(claim)))
        };
        Ok(Self { user_id: id(&claims.sub, "sub")?, session_id: id(&claims.sid, "sid")? })
    }

    /// The caller that the interceptor has put into a request.
    ///
    /// # Errors
    /// UNAUTHENTICATED when there is none: a service without its interceptor lets nobody in.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get().cloned().ok_or_else(missing)
    }

    /// The user's id.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        self.user_id
    }

    /// The id of the session that the token was issued in.
    #[must_use]
    pub fn session_id(&self) -> Uuid {
        self.session_id
    }
}
