//! The one strict verifier of access tokens.
//!
//! It accepts what the issuer of this pair writes and refuses the rest, also what the JWT library
//! would let pass. Nothing else decodes a token.

mod learning;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::Guard;
use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    Caller, Claims, Grant, PublicKey, Reason, Rejection, ServiceCaller, install_crypto, key,
    known::Known, token::Token,
};
use crate::clock::{Clock, Time};

/// How far the clocks of issuer and verifier may be apart.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// The longest that a token may live.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_hours(24);
/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_SIZE: usize = 4096;
/// How long after the issuer was last heard of an unknown key is known to be none of its own. It is
/// less than the two seconds that any key is published before it signs.
const FRESH: Duration = Duration::from_secs(1);
/// How long after the issuer was last heard of a verifier is cut off: it says something twice a
/// second.
pub(super) const SILENCE: Duration = Duration::from_secs(2);
/// How many verified tokens are remembered.
const CACHE: usize = 10_000;
/// How often a grant is looked at, if nothing is heard meanwhile.
const RECHECK: Duration = Duration::from_millis(500);

/// What a service expects of the tokens that it accepts.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The issuer's name.
    pub issuer: String,
    /// The service's own name.
    pub audience: String,
    /// How long it goes on accepting tokens while the issuer is not heard of, and nobody can say
    /// which of them have been revoked.
    pub max_staleness: Duration,
}

/// Verifies access tokens from memory. It never waits.
pub struct Verifier {
    expected: Expected,
    clock: Clock,
    known: Known,
    verified: Cache<[u8; 32], Arc<Verified>>,
    wanted: Notify,
    ready: watch::Sender<bool>,
    /// Counts what has been heard.
    heard: watch::Sender<u64>,
}

/// A token whose signature and claims were good when it was first seen.
struct Verified {
    claims: Claims,
    identity: Identity,
    grant: Grant,
}

/// Whom a token stands for.
enum Identity {
    User(Caller),
    Service(ServiceCaller),
}

impl Verifier {
    /// A verifier that knows nothing yet and can decide nothing.
    #[must_use]
    pub fn new(expected: Expected, clock: Clock) -> Self {
        install_crypto();
        Self {
            expected,
            known: Known::nothing(clock.clone()),
            clock,
            verified: Cache::new(CACHE),
            wanted: Notify::new(),
            ready: watch::Sender::new(false),
            heard: watch::Sender::new(0),
        }
    }

    /// Waits until somebody shows a token that can not be decided upon.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The user whom the token stands for, if it is good for this service now.
    ///
    /// # Errors
    /// When it is not, or when that can not be decided now.
    pub fn verify(&self, token: &str) -> Result<Caller, Rejection> {
        match &self.check_for_us(token)?.identity {
            Identity::User(caller) => Ok(caller.clone()),
            Identity::Service(_) => Err(Rejection::NotAUser),
        }
    }

    /// The service that the token stands for, if it is good for this service now.
    ///
    /// # Errors
    /// When it is not, or when that can not be decided now.
    pub fn verify_service(&self, token: &str) -> Result<ServiceCaller, Rejection> {
        match &self.check_for_us(token)?.identity {
            Identity::Service(caller) => Ok(caller.clone()),
            Identity::User(_) => Err(Rejection::NotAService),
        }
    }

    /// What the token says, if it is good now for any service.
    ///
    /// # Errors
    /// When it is not, or when that can not be decided now.
    pub fn inspect(&self, token: &str) -> Result<Claims, Rejection> {
        self.check(token).map(|verified| verified.claims.clone())
    }

    /// Waits until what a token has granted ends: it expires, it is revoked, or nobody can tell any
    /// more. For calls that outlast the check of their token.
    pub async fn ended(&self, grant: &Grant) -> Rejection {
        let mut heard = self.heard.subscribe();
        loop {
            if let Err(rejection) = self.recheck(grant) {
                return rejection;
            }
            // The sender lives as long as the verifier; without news the time goes on.
            drop(timeout(RECHECK, heard.changed()).await);
        }
    }

    fn check_for_us(&self, token: &str) -> Result<Arc<Verified>, Rejection> {
        let verified = self.check(token)?;
        if verified.claims.aud.contains(&self.expected.audience) {
            Ok(verified)
        } else {
            Err(Reason::Audience.into())
        }
    }

    /// Everything but the audience. What can change is looked at on every call.
    fn check(&self, token: &str) -> Result<Arc<Verified>, Rejection> {
        let fingerprint = fingerprint(token);
        let verified = if let Some(verified) = self.verified.get(&fingerprint) {
            verified
        } else {
            let verified = Arc::new(self.check_anew(token)?);
            self.verified.insert(fingerprint, Arc::clone(&verified));
            verified
        };
        self.check_start(&verified.claims)?;
        self.recheck(&verified.grant)?;
        Ok(verified)
    }

    /// What never changes about a token.
    fn check_anew(&self, token: &str) -> Result<Verified, Rejection> {
        let token = Token::parse(token)?;
        let (staleness, keys) = self.keys();
        let Some(key) = keys.get(&token.kid) else {
            return Err(self.unknown_key(&token.kid, staleness));
        };
        let claims = Claims::parse(&token.verified_payload(key)?)?;
        if claims.iss != self.expected.issuer {
            return Err(Reason::Issuer.into());
        }
        let life = claims.exp.saturating_sub(claims.iat);
        if !u64::try_from(life).is_ok_and(|life| (1..=MAX_TOKEN_LIFE.as_secs()).contains(&life)) {
            return Err(Reason::Life.into());
        }
        let grant = Grant::of_claims(&claims, key)?;
        // The subject of a token that a client got for itself is the client (RFC 9068, section 2.2).
        let identity = if claims.sub == claims.client_id {
            Identity::Service(ServiceCaller::of_claims(&claims, grant.clone())?)
        } else {
            Identity::User(Caller::of_claims(&claims, grant.clone())?)
        };
        Ok(Verified { claims, identity, grant })
    }

    fn check_start(&self, claims: &Claims) -> Result<(), Reason> {
        let latest = self.clock.now().plus(LEEWAY);
        if claims.nbf.is_some_and(|nbf| Time::from_seconds(nbf) > latest) {
            return Err(Reason::NotYetValid);
        }
        if Time::from_seconds(claims.iat) > latest {
            return Err(Reason::IssuedInFuture);
        }
        Ok(())
    }

    /// Whether a token still grants what it did.
    ///
    /// # Errors
    /// What has ended it: its time, a revocation, the key, or that nobody can say.
    pub fn recheck(&self, grant: &Grant) -> Result<(), Rejection> {
        let (staleness, keys) = self.keys();
        if !keys.contains_key(&grant.kid) {
            return Err(self.unknown_key(&grant.kid, staleness));
        }
        // Also a key that is there: who is behind may not have heard of its end.
        if self.known.is_revoked(grant.key_id) {
            return Err(Reason::Revoked.into());
        }
        if grant.expire_time <= self.clock.now().minus(LEEWAY) {
            return Err(Reason::Expired.into());
        }
        if self.known.is_revoked(grant.session_id) {
            return Err(Reason::Revoked.into());
        }
        if self.is_stale() || self.known.has_forgotten(grant.expire_time) {
            return Err(self.undecidable());
        }
        Ok(())
    }

    /// The keys, and how long before them at the most the issuer was heard of. The other way round,
    /// news that come in between would make their own keys foreign.
    fn keys(&self) -> (Option<Duration>, Guard<Arc<HashMap<String, PublicKey>>>) {
        let staleness = self.known.staleness();
        (staleness, self.known.keys())
    }

    /// A key that is unknown is foreign if the issuer was heard of a moment before; otherwise it may
    /// be new.
    fn unknown_key(&self, kid: &str, staleness: Option<Duration>) -> Rejection {
        if key::id(kid).is_some_and(|id| self.known.is_revoked(id)) {
            return Reason::Revoked.into();
        }
        match staleness {
            Some(staleness) if staleness <= FRESH => Reason::KeyUnknown.into(),
            _ => self.undecidable(),
        }
    }

    fn undecidable(&self) -> Rejection {
        self.wanted.notify_one();
        Rejection::Undecidable
    }

    fn is_stale(&self) -> bool {
        self.staleness().is_none_or(|staleness| staleness > self.expected.max_staleness)
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
