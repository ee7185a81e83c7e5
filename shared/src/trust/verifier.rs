//! The one strict verifier of access tokens.
//!
//! It accepts what the issuer of this pair writes and refuses the rest, also what the JWT library
//! would let pass. Nothing else decodes a token.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;
use tokio::sync::{Notify, watch};

use super::{Caller, Claims, PublicKey, install_crypto, token::Token};
use crate::clock::{Clock, Time};

/// How far the clocks of issuer and verifier may be apart.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// The longest that a token may live.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_hours(24);
/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_SIZE: usize = 4096;
/// How long after the issuer was last heard of an unknown key is known to be none of its own.
const FRESH: Duration = Duration::from_secs(10);
/// How many verified tokens are remembered.
const CACHE: usize = 10_000;

/// What a service expects of the tokens that it accepts.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The issuer's name.
    pub issuer: String,
    /// The service's own name.
    pub audience: String,
}

/// Verifies access tokens from memory. It never waits.
pub struct Verifier {
    expected: Expected,
    clock: Clock,
    keys: ArcSwap<Keys>,
    verified: Cache<[u8; 32], Arc<Verified>>,
    wanted: Notify,
    ready: watch::Sender<bool>,
}

/// The keys that may have signed a token.
#[derive(Debug, Default)]
struct Keys {
    by_kid: HashMap<String, PublicKey>,
    /// When the issuer said so; `None` for keys from before a restart.
    heard: Option<Time>,
}

/// A token whose signature and claims were good when it was first seen.
struct Verified {
    kid: String,
    claims: Claims,
    caller: Caller,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The token is bad.
    #[error("{0}")]
    Invalid(#[from] Reason),
    /// The token names a key that the issuer may have made since it was last heard of.
    #[error("the issuer has not been heard of lately and the key is unknown")]
    Undecidable,
}

/// What is wrong with a token. For logs and tests; a caller is told no more than it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Longer than [`MAX_TOKEN_SIZE`].
    #[error("too long")]
    Oversize,
    /// Not three parts.
    #[error("not three parts separated by dots")]
    Malformed,
    /// The header is not base64url.
    #[error("the header is not base64url")]
    HeaderEncoding,
    /// The header is not an object with each member once.
    #[error("the header is not a JSON object without duplicates")]
    HeaderJson,
    /// The header asks for an extension to be understood.
    #[error("the header has a crit member")]
    Critical,
    /// Not the one algorithm.
    #[error("the algorithm is not EdDSA")]
    Algorithm,
    /// Not an access token.
    #[error("the type is not at+jwt")]
    Type,
    /// The header has a member that the issuer does not write.
    #[error("the header has a member besides alg, typ and kid")]
    HeaderMember,
    /// No key is named.
    #[error("the kid is missing, empty or no string")]
    KeyId,
    /// The key is none of the issuer's.
    #[error("the key is unknown")]
    KeyUnknown,
    /// The key has not signed this.
    #[error("the signature is wrong")]
    Signature,
    /// The payload is not base64url.
    #[error("the payload is not base64url")]
    ClaimsEncoding,
    /// The payload is not an object with each claim once.
    #[error("the payload is not a JSON object without duplicates")]
    ClaimsJson,
    /// A required claim is missing.
    #[error("the claim {0} is missing")]
    ClaimMissing(&'static str),
    /// A claim has the wrong type.
    #[error("the claim {0} has the wrong type")]
    ClaimType(&'static str),
    /// A claim has a value that the issuer does not write.
    #[error("the claim {0} has an impossible value")]
    ClaimValue(&'static str),
    /// Issued by somebody else.
    #[error("the issuer is another one")]
    Issuer,
    /// Issued for other services.
    #[error("the audience is another one")]
    Audience,
    /// It ends before it begins, or lives longer than [`MAX_TOKEN_LIFE`].
    #[error("the life is negative or too long")]
    Life,
    /// It has ended.
    #[error("expired")]
    Expired,
    /// Its `nbf` is in the future.
    #[error("not valid yet")]
    NotYetValid,
    /// Its `iat` is in the future.
    #[error("issued in the future")]
    IssuedInFuture,
}

impl Verifier {
    /// A verifier that knows no keys yet and can decide nothing.
    #[must_use]
    pub fn new(expected: Expected, clock: Clock) -> Self {
        install_crypto();
        Self {
            expected,
            clock,
            keys: ArcSwap::default(),
            verified: Cache::new(CACHE),
            wanted: Notify::new(),
            ready: watch::Sender::new(false),
        }
    }

    /// Takes over the keys that the issuer has just named. Tokens of any other key end.
    pub fn learn(&self, keys: Vec<PublicKey>) {
        self.replace(keys, Some(self.clock.now()));
    }

    /// Takes over the keys that were known before a restart.
    pub fn recall(&self, keys: Vec<PublicKey>) {
        self.replace(keys, None);
    }

    fn replace(&self, keys: Vec<PublicKey>, heard: Option<Time>) {
        let by_kid = keys.into_iter().map(|key| (key.kid().to_owned(), key)).collect();
        let keys = Arc::new(Keys { by_kid, heard });
        self.keys.store(Arc::clone(&keys));
        self.ready.send_replace(!keys.by_kid.is_empty());
    }

    /// Whether there is a key to verify with.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until there is a key to verify with.
    pub async fn ready(&self) {
        // The sender lives as long as the verifier, so the wait can not end in any other way.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// How long the issuer has not been heard of; `None` if it never was.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        let heard = self.keys.load().heard?;
        Some(self.clock.now().since(heard))
    }

    /// Waits until somebody shows a token that can not be decided upon.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The caller that the token proves, if it is good for this service now.
    ///
    /// # Errors
    /// When it is not, or when that can not be decided now.
    pub fn verify(&self, token: &str) -> Result<Caller, Rejection> {
        let verified = self.check(token)?;
        if verified.claims.aud.contains(&self.expected.audience) {
            Ok(verified.caller.clone())
        } else {
            Err(Reason::Audience.into())
        }
    }

    /// What the token says, if it is good now for any service.
    ///
    /// # Errors
    /// When it is not, or when that can not be decided now.
    pub fn inspect(&self, token: &str) -> Result<Claims, Rejection> {
        self.check(token).map(|verified| verified.claims.clone())
    }

    /// Everything but the audience. What can change is looked at on every call.
    fn check(&self, token: &str) -> Result<Arc<Verified>, Rejection> {
        let keys = self.keys.load();
        let fingerprint = fingerprint(token);
        let verified = match self.verified.get(&fingerprint) {
            Some(verified) if keys.by_kid.contains_key(&verified.kid) => verified,
            Some(_) => return Err(self.unknown_key(&keys)),
            None => {
                let verified = Arc::new(self.check_anew(token, &keys)?);
                self.verified.insert(fingerprint, Arc::clone(&verified));
                verified
            }
        };
        self.check_time(&verified.claims)?;
        Ok(verified)
    }

    /// What never changes about a token.
    fn check_anew(&self, token: &str, keys: &Keys) -> Result<Verified, Rejection> {
        let token = Token::parse(token)?;
        let Some(key) = keys.by_kid.get(&token.kid) else {
            return Err(self.unknown_key(keys));
        };
        let claims = Claims::parse(&token.verified_payload(key)?)?;
        if claims.iss != self.expected.issuer {
            return Err(Reason::Issuer.into());
        }
        let life = claims.exp.saturating_sub(claims.iat);
        if !u64::try_from(life).is_ok_and(|life| (1..=MAX_TOKEN_LIFE.as_secs()).contains(&life)) {
            return Err(Reason::Life.into());
        }
        let caller = Caller::of_claims(&claims)?;
        Ok(Verified { kid: token.kid, claims, caller })
    }

    fn check_time(&self, claims: &Claims) -> Result<(), Reason> {
        let now = self.clock.now();
        if Time::from_seconds(claims.exp) <= now.minus(LEEWAY) {
            return Err(Reason::Expired);
        }
        let latest = now.plus(LEEWAY);
        if claims.nbf.is_some_and(|nbf| Time::from_seconds(nbf) > latest) {
            return Err(Reason::NotYetValid);
        }
        if Time::from_seconds(claims.iat) > latest {
            return Err(Reason::IssuedInFuture);
        }
        Ok(())
    }

    /// An unknown key is foreign if the issuer was heard of a moment ago; otherwise it may be new.
    fn unknown_key(&self, keys: &Keys) -> Rejection {
        let since = self.clock.now().minus(FRESH);
        if keys.heard.is_some_and(|heard| heard >= since) {
            return Reason::KeyUnknown.into();
        }
        self.wanted.notify_one();
        Rejection::Undecidable
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// What a token is remembered by: it identifies the whole of it and gives nothing of it away.
fn fingerprint(token: &str) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    fingerprint
}
