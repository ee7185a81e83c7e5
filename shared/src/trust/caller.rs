//! The identity behind a request.

use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::{Claims, PublicKey, Reason, Rejection, bearer::missing};
use crate::{clock::Time, env::is_name, status::refusal};

/// The user that a verified token stands for.
///
/// Only the verifier makes one, so whoever demands a `&Caller` has proof that a token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    user_id: Uuid,
    grant: Grant,
}

/// The service that a verified token stands for. Only the verifier makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller {
    name: String,
    scopes: Vec<String>,
    grant: Grant,
}

/// What a token grants, and what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub(super) kid: String,
    /// What a revocation names the key by.
    pub(super) key_id: Uuid,
    pub(super) session_id: Uuid,
    pub(super) expire_time: Time,
}

impl Caller {
    /// The one constructor, reached from the verifier alone.
    pub(super) fn of_claims(claims: &Claims, grant: Grant) -> Result<Self, Rejection> {
        Ok(Self { user_id: id(&claims.sub, "sub")?, grant })
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
        self.grant.session_id
    }

    /// What the token grants, for as long as it does.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl ServiceCaller {
    /// The one constructor, reached from the verifier alone.
    pub(super) fn of_claims(claims: &Claims, grant: Grant) -> Result<Self, Rejection> {
        if !is_name(&claims.sub) {
            return Err(Rejection::Invalid(Reason::ClaimValue("sub")));
        }
        let scope = claims.scope.as_ref().ok_or(Reason::ClaimMissing("scope"))?;
        let scopes = scope.split(' ').map(str::to_owned).collect();
        Ok(Self { name: claims.sub.clone(), scopes, grant })
    }

    /// The service that the interceptor has put into a request, if its token has this scope.
    ///
    /// # Errors
    /// UNAUTHENTICATED when there is none, `PERMISSION_DENIED` without the scope.
    pub fn of<T>(request: &Request<T>, scope: &str) -> Result<Self, Status> {
        let caller: Self = request.extensions().get().cloned().ok_or_else(missing)?;
        if caller.has_scope(scope) {
            return Ok(caller);
        }
        let message = format!("the token has not the scope {scope}");
        Err(refusal(Code::PermissionDenied, "SCOPE_MISSING", &message))
    }

    /// The name that it is registered by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its token has this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    /// What the token grants, for as long as it does.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl Grant {
    /// The one constructor, reached from the verifier alone.
    pub(super) fn of_claims(claims: &Claims, key: &PublicKey) -> Result<Self, Rejection> {
        Ok(Self {
            kid: key.kid().to_owned(),
            key_id: key.id(),
            session_id: id(&claims.sid, "sid")?,
            expire_time: Time::from_seconds(claims.exp),
        })
    }
}

fn id(text: &str, claim: &'static str) -> Result<Uuid, Rejection> {
    // `Uuid` reads several spellings; the issuer writes one.
    let id = Uuid::try_parse(text).ok().filter(|id| id.to_string() == text);
    id.ok_or(Rejection::Invalid(Reason::ClaimValue(claim)))
}
