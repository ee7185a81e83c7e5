//! Access tokens: what they say and for how long.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, Header};
use shared::{
    clock::{Clock, Time},
    trust::{Claims, Expected, TYPE, install_crypto},
};
use uuid::Uuid;

use crate::{
    keys::{KeyRing, SigningKey},
    services::Service,
    sessions::Session,
};

/// Who asks for the tokens of users, as their `client_id` (RFC 9068): there is one client, the pair's own.
const CLIENT: &str = "taskmanager";

/// Issues access tokens, signed with the key that is in force.
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    issuer: String,
    /// The name by which this service accepts tokens itself.
    own: String,
    audiences: Vec<String>,
    keys: Arc<KeyRing>,
    clock: Clock,
}

/// A token, and when it ends.
pub struct AccessToken {
    /// The token as it is sent.
    pub token: String,
    /// When it ends.
    pub expire_time: Time,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum IssueFault {
    /// No key signs.
    #[error("there is no signing key")]
    NoKey,
    /// The library does not sign.
    #[error("the token can not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// The key that signs now, for one token.
#[derive(Debug)]
pub struct Signer<'i> {
    issuer: &'i TokenIssuer,
    key: Arc<SigningKey>,
}

impl TokenIssuer {
    /// An issuer of this name. The tokens of users are good for these services, one's own among them.
    #[must_use]
    pub fn new(
        expected: &Expected,
        audiences: Vec<String>,
        keys: Arc<KeyRing>,
        clock: Clock,
    ) -> Self {
        install_crypto();
        let (issuer, own) = (expected.issuer.clone(), expected.audience.clone());
        Self { issuer, own, audiences, keys, clock }
    }

    /// The services that tokens are issued for.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The key that signs now. It is asked for first, so that nothing is begun that could not be
    /// signed.
    ///
    /// # Errors
    /// When no key signs.
    pub fn signer(&self) -> Result<Signer<'_>, IssueFault> {
        let key = self.keys.active(self.clock.now()).ok_or(IssueFault::NoKey)?;
        Ok(Signer { issuer: self, key })
    }
}

impl Signer<'_> {
    /// Issues the next token of a session, for these services and until this time.
    ///
    /// # Errors
    /// When it can not be signed.
    pub fn user(
        &self,
        session: &Session,
        audiences: Vec<String>,
        expire_time: Time,
    ) -> Result<AccessToken, IssueFault> {
        self.sign(Claims {
            iss: self.issuer.issuer.clone(),
            sub: session.user_id.to_string(),
            aud: audiences,
            exp: expire_time.seconds(),
            iat: session.last_use_time.seconds(),
            nbf: None,
            jti: Uuid::new_v4().to_string(),
            sid: session.id.to_string(),
            client_id: CLIENT.to_owned(),
            scope: None,
        })
    }

    /// Issues a token that stands for a service, and lives this long.
    ///
    /// # Errors
    /// When it can not be signed.
    pub fn service(&self, service: &Service, life: Duration) -> Result<AccessToken, IssueFault> {
        let now = self.issuer.clock.now();
        self.sign(Claims {
            iss: self.issuer.issuer.clone(),
            sub: service.name.clone(),
            aud: vec![self.issuer.own.clone()],
            exp: now.plus(life).seconds(),
            iat: now.seconds(),
            nbf: None,
            jti: Uuid::new_v4().to_string(),
            sid: service.id.to_string(),
            client_id: service.name.clone(),
            scope: Some(service.scopes.join(" ")),
        })
    }

    fn sign(&self, claims: Claims) -> Result<AccessToken, IssueFault> {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.key.key.public.kid().to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.key.secret)?;
        Ok(AccessToken { token, expire_time: Time::from_seconds(claims.exp) })
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken")
            .field("expire_time", &self.expire_time)
            .finish_non_exhaustive()
    }
}
