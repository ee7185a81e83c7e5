//! The interceptor that lets nobody in without a token.

use std::sync::Arc;

use tonic::{Code, Request, Status, metadata::MetadataMap, service::Interceptor};

use super::{Reason, Rejection, Verifier};
use crate::status::{refusal, retry_later};

/// Verifies the bearer token of each request, from memory, and puts its [`super::Caller`] into the
/// request's extensions.
#[derive(Debug, Clone)]
pub struct Bearer {
    verifier: Arc<Verifier>,
}

impl Bearer {
    /// An interceptor that asks this verifier.
    #[must_use]
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier }
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = token(request.metadata())?;
        let caller = self.verifier.verify(token).map_err(rejected)?;
        request.extensions_mut().insert(caller);
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
        Rejection::Invalid(_) => invalid(),
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
        "an access token is needed: authorization: Bearer",
    )
}

fn invalid() -> Status {
    refusal(Code::Unauthenticated, "TOKEN_INVALID", "the access token is not valid")
}
