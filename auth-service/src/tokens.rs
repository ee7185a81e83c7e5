//! Access tokens: what they say and for how long.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, Header};
use shared::{
    clock::{Clock, Time},
    ids::new_id,
    trust::{Claims, TYPE, install_crypto},
};
use uuid::Uuid;

use crate::keys::KeyRing;

/// Who asks for tokens, as their `client_id` (RFC 9068): there is one client, the pair's own.
const CLIENT: &str = "taskmanager";

/// Issues access tokens, signed with the key that is in force.
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    issuer: String,
    audiences: Vec<String>,
    life: Duration,
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

impl TokenIssuer {
    /// An issuer of this name. Its tokens are good for these services, for this long.
    #[must_use]
    pub fn new(
        issuer: String,
        audiences: Vec<String>,
        life: Duration,
        keys: Arc<KeyRing>,
        clock: Clock,
    ) -> Self {
        install_crypto();
        Self { issuer, audiences, life, keys, clock }
    }

    /// The services that tokens are issued for.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Issues the token of a new session of this user, for these services.
    ///
    /// # Errors
    /// When it can not be signed.
    pub fn issue(&self, user_id: Uuid, audiences: Vec<String>) -> Result<AccessToken, IssueFault> {
        let now = self.clock.now();
        let key = self.keys.active(now).ok_or(IssueFault::NoKey)?;
        // A token tells time in whole seconds.
        let expire_time = Time::from_seconds(now.plus(self.life).seconds());
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: user_id.to_string(),
            aud: audiences,
            exp: expire_time.seconds(),
            iat: now.seconds(),
            nbf: None,
            jti: Uuid::new_v4().to_string(),
            sid: new_id(now).to_string(),
            client_id: CLIENT.to_owned(),
            scope: None,
        };
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(key.key.public.kid().to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, &claims, &key.secret)?;
        Ok(AccessToken { token, expire_time })
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken")
            .field("expire_time", &self.expire_time)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use shared::trust::{Expected, Verifier};

    use super::*;
    use crate::keys::Sealer;

    #[test]
    fn the_verifier_accepts_what_is_issued() {
        let (clock, secret) = (Clock::manual(Time::from_seconds(1_000)), "one".to_owned().into());
        let sealer = Sealer::new(&secret).unwrap();
        let key = sealer.make(1, clock.now(), clock.now()).unwrap();
        let keys = Arc::new(KeyRing::open(sealer, &[key]).unwrap());
        let expected = Expected { issuer: "i".to_owned(), audience: "a".to_owned() };
        let verifier = Verifier::new(expected, clock.clone());
        verifier
            .learn(keys.published(clock.now()).into_iter().map(|(_, key)| key.public).collect());

        let audiences = vec!["a".to_owned(), "b".to_owned()];
        let life = Duration::from_mins(1);
        let issuer = TokenIssuer::new("i".to_owned(), audiences.clone(), life, keys, clock.clone());
        let user_id = new_id(clock.now());
        let access = issuer.issue(user_id, audiences.clone()).unwrap();
        let claims = verifier.inspect(&access.token).unwrap();
        assert_eq!(claims.aud, audiences);
        assert_eq!(claims.exp, 1_060);
        assert_eq!(access.expire_time, Time::from_seconds(1_060));
        assert_eq!(verifier.verify(&access.token).unwrap().user_id(), user_id);
        assert!(!format!("{access:?}").contains(&access.token));
    }
}
