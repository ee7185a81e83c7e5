//! Test support: a signer of tokens, good and bad.
//!
//! A service's own tests of its tokens should get them from the service. The [`Forge`] is for what
//! no service gives away: tokens that must be refused, and callers where there is no issuer.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that can not be set up shall fail at once"
)]

use std::{fmt, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{
    clock::{Clock, Time},
    trust::{Caller, Claims, Expected, Head, News, PublicKey, TYPE, Verifier},
};

/// The issuer that [`Forge::claims`] names.
pub const ISSUER: &str = "taskmanager";
/// How long a good token lives, in seconds.
const LIFE: i64 = 15 * 60;

/// A signing key that signs whatever it is given.
pub struct Forge {
    pair: Ed25519KeyPair,
}

impl Forge {
    /// A forge with a key of its own.
    #[must_use]
    pub fn new() -> Self {
        Self { pair: Ed25519KeyPair::generate().expect("the system has randomness") }
    }

    /// What a verifier has to know to take this forge for the issuer.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let bytes = self.pair.public_key().as_ref().try_into();
        PublicKey::new(bytes.expect("an Ed25519 key has 32 bytes"))
    }

    /// The claims of a good token for this user, issued now in a new session.
    #[must_use]
    pub fn claims(&self, user: Uuid, audience: &str, now: Time) -> Claims {
        Claims {
            iss: ISSUER.to_owned(),
            sub: user.to_string(),
            aud: vec![audience.to_owned()],
            exp: now.seconds() + LIFE,
            iat: now.seconds(),
            nbf: None,
            jti: Uuid::new_v4().to_string(),
            sid: Uuid::new_v4().to_string(),
            client_id: "test".to_owned(),
            scope: None,
        }
    }

    /// The header of a good token.
    #[must_use]
    pub fn header(&self) -> String {
        format!(r#"{{"alg":"EdDSA","typ":"{TYPE}","kid":"{}"}}"#, self.public().kid())
    }

    /// A token of these claims, good but for what they say.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_string(claims).expect("claims are JSON");
        self.sign_raw(self.header(), payload)
    }

    /// A token of any header and payload, with a good signature.
    #[must_use]
    pub fn sign_raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        self.seal(&format!("{header}.{payload}"))
    }

    /// Any text, followed by a dot and its signature.
    #[must_use]
    pub fn seal(&self, signed: &str) -> String {
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A caller of this identity, in a new session. It comes out of a real verifier: there is no
    /// other way to one.
    #[must_use]
    pub fn caller(&self, user: Uuid) -> Caller {
        self.caller_in(user, Uuid::new_v4())
    }

    /// The same in this session.
    #[must_use]
    pub fn caller_in(&self, user: Uuid, session: Uuid) -> Caller {
        let now = Time::from_seconds(0);
        let audience = "testing";
        let verifier = Verifier::new(expected(audience), Clock::manual(now));
        verifier.learn(&named(vec![self.public()]));
        let claims = self.claims(user, audience, now);
        let token = self.sign(&Claims { sid: session.to_string(), ..claims });
        verifier.verify(&token).expect("the token is good")
    }
}

/// What a verifier of this audience expects of the tokens of a [`Forge`].
#[must_use]
pub fn expected(audience: &str) -> Expected {
    Expected {
        issuer: ISSUER.to_owned(),
        audience: audience.to_owned(),
        max_staleness: Duration::from_mins(16),
    }
}

/// What an issuer says that has these keys and has revoked nothing.
#[must_use]
pub fn named(keys: Vec<PublicKey>) -> News {
    let head = Head { epoch: Uuid::nil(), sequence: 0 };
    News { head: Some(head), keys: Some(keys), ..News::default() }
}

impl Default for Forge {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forge").field("kid", &self.public().kid()).finish_non_exhaustive()
    }
}
