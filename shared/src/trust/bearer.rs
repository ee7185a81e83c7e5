//! The interceptor that lets nobody in without a token.

use std::sync::Arc;

use tonic::{Code, Request, Status, metadata::MetadataMap, service::Interceptor};

use super::{Reason, Rejection, Verifier};
use crate::status::{refusal, retry_later};

/// Verifies the bearer token of each request, from memory, and puts the [`Caller`](super::Caller) into
/// the request's extensions; or, where services are served, the [`ServiceCaller`](super::ServiceCaller).
#[derive(Debug, Clone)]
pub struct Bearer {
    verifier: Arc<Verifier>,
    serves: Serves,
}

/// Who is let in.
#[derive(Debug, Clone, Copy)]
enum Serves {
    Users,
    Services,
}

impl Bearer {
    /// An interceptor that lets users in.
    #[must_use]
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier, serves: Serves::Users }
    }

    /// An interceptor that lets services in. What each of them may do is asked where it is done:
    /// [`ServiceCaller::of`](super::ServiceCaller::of) takes a scope.
    #[must_use]
    pub fn of_services(verifier: Arc<Verifier>) -> Self {
        Self { verifier, serves: Serves::Services }
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = token(request.metadata())?;
        match self.serves {
            Serves::Users => {
                let caller = self.verifier.verify(token).map_err(rejected)?;
                request.extensions_mut().insert(caller);
            }
            Serves::Services => {
                let caller = self.verifier.verify_service(token).map_err(rejected)?;
                request.extensions_mut().insert(caller);
            }
        }
        Ok(request)
    }
}

/// The token of the one authorization value (RFC 6750, section 2.1).
fn token(metadata: &MetadataMap) -> Result<&str, Status> {
    let mut values = metadata.get_all("authorization").iter();
    let value = values.next().ok_or_else(missing)?;
    let value = value.to_str().map_err(|_| invalid())?;
    match value.split_once(' ') {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && values.next().is_none() =>
        {
            Ok(token)
        }
        _ => Err(invalid()),
    }
}

/// What a caller is told of a rejected token: whether a new one would help, and nothing more.
#[must_use]
pub fn rejected(rejection: Rejection) -> Status {
    tracing::debug!(%rejection, "a token is refused");
    match rejection {
        Rejection::Invalid(Reason::Expired) => {
            refusal(Code::Unauthenticated, "TOKEN_EXPIRED", "the access token has expired")
        }
        Rejection::Invalid(Reason::Revoked) => {
            refusal(Code::Unauthenticated, "TOKEN_REVOKED", "the access token has been revoked")
        }
        Rejection::Invalid(_) => invalid(),
        Rejection::NotAUser => refusal(
            Code::PermissionDenied,
            "USER_TOKEN_REQUIRED",
            "the token of a service is not good for this RPC",
        ),
        Rejection::NotAService => refusal(
            Code::PermissionDenied,
            "SERVICE_TOKEN_REQUIRED",
            "the token of a user is not good for this RPC",
        ),
        Rejection::Undecidable => retry_later(
            Code::Unavailable,
            "TRUST_UNAVAILABLE",
            "it can not be decided now whether the access token is good",
        ),
    }
}

pub(super) fn missing() -> Status {
    refusal(
        Code::Unauthenticated,
        "TOKEN_MISSING",
        "an access token is needed, as the metadata \"authorization: Bearer <access_token>\"",
    )
}

fn invalid() -> Status {
    refusal(Code::Unauthenticated, "TOKEN_INVALID", "the access token is not valid")
}
