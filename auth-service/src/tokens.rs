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
        self.sign(&Claims {
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
        self.sign(&Claims {
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

    fn sign(&self, claims: &Claims) -> Result<AccessToken, IssueFault> {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.key.key.public.kid().to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, claims, &self.key.secret)?;
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

#[cfg(test)]
mod tests {
    use shared::{
        ids::new_id,
        trust::{Head, News, Rejection, Verifier, WATCH_SCOPE},
    };

    use super::*;
    use crate::{
        keys::Sealer,
        secret_key::Secrets,
        sessions::{ClientLabel, Lives},
    };

    const MINUTE: Duration = Duration::from_mins(1);

    /// An issuer whose first key signs from this second on, and a verifier that knows its keys.
    fn pair(clock: &Clock, activate: i64) -> (TokenIssuer, Verifier) {
        let expected =
            Expected { issuer: "i".to_owned(), audience: "a".to_owned(), max_staleness: MINUTE };
        let sealer = Sealer::new(&Secrets::only("one")).unwrap();
        let key = sealer.make(2, clock.now(), Time::from_seconds(activate)).unwrap();
        let keys = Arc::new(KeyRing::open(sealer, &[key]).unwrap());
        let verifier = Verifier::new(expected.clone(), clock.clone());
        let public = keys.published(clock.now()).into_iter().map(|(_, key)| key.public).collect();
        let head = Head { epoch: Uuid::nil(), sequence: 0 };
        verifier.learn(&News { head: Some(head), keys: Some(public), ..News::default() });
        let audiences = vec!["a".to_owned(), "b".to_owned()];
        (TokenIssuer::new(&expected, audiences, keys, clock.clone()), verifier)
    }

    #[test]
    fn the_verifier_accepts_what_is_issued_to_a_user() {
        let clock = Clock::manual(Time::from_seconds(1_000));
        let (issuer, verifier) = pair(&clock, 1_000);
        let lives = Lives { token: MINUTE, idle: 2 * MINUTE, session: 3 * MINUTE };
        let (user_id, audiences) = (new_id(clock.now()), issuer.audiences().to_vec());
        let session = lives.begin(user_id, ClientLabel::default(), audiences.clone(), &clock);
        let signer = issuer.signer().unwrap();
        let access = signer.user(&session, audiences.clone(), lives.token_end(&session)).unwrap();
        let claims = verifier.inspect(&access.token).unwrap();
        assert_eq!((claims.aud, claims.exp, claims.scope), (audiences, 1_060, None));
        assert_eq!(access.expire_time, Time::from_seconds(1_060));
        let caller = verifier.verify(&access.token).unwrap();
        assert_eq!((caller.user_id(), caller.session_id()), (user_id, session.id));
        assert_eq!(verifier.verify_service(&access.token), Err(Rejection::NotAService));
        assert!(!format!("{access:?}").contains(&access.token));
    }

    #[test]
    fn the_verifier_accepts_what_is_issued_to_a_service() {
        let clock = Clock::manual(Time::from_seconds(1_000));
        let (issuer, verifier) = pair(&clock, 1_000);
        let secret = Service::make_secret().unwrap();
        let scopes = vec![WATCH_SCOPE.to_owned()];
        let service = Service::new("task".to_owned(), &secret, scopes, clock.now()).unwrap();
        let access = issuer.signer().unwrap().service(&service, MINUTE).unwrap();
        let caller = verifier.verify_service(&access.token).unwrap();
        assert_eq!((caller.name(), caller.has_scope(WATCH_SCOPE)), ("task", true));
        assert_eq!(
            verifier.inspect(&access.token).unwrap().aud,
            ["a"],
            "it is for the issuer alone"
        );
        assert_eq!(verifier.verify(&access.token), Err(Rejection::NotAUser));
    }

    #[test]
    fn nothing_is_signed_before_a_key_signs() {
        let clock = Clock::manual(Time::from_seconds(1_000));
        let (issuer, _) = pair(&clock, 1_002);
        assert!(matches!(issuer.signer(), Err(IssueFault::NoKey)));
        clock.advance(Duration::from_secs(2));
        issuer.signer().unwrap();
    }
}
