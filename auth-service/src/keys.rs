//! Signing keys: Ed25519, made here, sealed at rest, in force one after another.
//!
//! What a key does at a moment is never stored: it follows from the times at which the keys begin
//! to sign.

mod sealing;
mod ring;

use std::fmt;

use jsonwebtoken::EncodingKey;
use shared::{
    clock::Time,
    trust::{LEEWAY, MAX_TOKEN_LIFE, PublicKey},
};

pub use ring::{FIRST, KeyRing};
pub use sealing::{KeyFault, Sealer};

/// The public half of a signing key, and when it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's place in the order in which keys sign; the first is 1.
    pub seq: i64,
    /// The key itself.
    pub public: PublicKey,
    /// When it was made.
    pub create_time: Time,
    /// When it begins to sign.
    pub activate_time: Time,
}

/// A signing key as the database keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// Its public half.
    pub key: Key,
    /// Its secret half, which only a [`Sealer`] can open.
    pub sealed_seed: Vec<u8>,
}

/// A signing key that can sign.
pub struct SigningKey {
    /// Its public half.
    pub key: Key,
    /// Its secret half.
    pub(crate) secret: EncodingKey,
}

/// What a key does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Published so that every verifier knows it, not signing yet.
    Pending,
    /// Signs new tokens.
    Active,
    /// Signs no more; its tokens may still be in force.
    Retiring,
    /// None of its tokens is in force; not published any more.
    Ended,
}

impl Key {
    /// When it begins to sign, whatever the clock of this machine says: the very first waits for nobody.
    fn start(&self) -> Time {
        if self.seq == FIRST { Time::MIN } else { self.activate_time }
    }
}

/// What each of the keys does at this moment, in the order in which they sign: the latest that has
/// begun is the one that does.
pub fn states<'k>(keys: impl IntoIterator<Item = &'k Key>, now: Time) -> Vec<State> {
    let starts: Vec<Time> = keys.into_iter().map(Key::start).collect();
    let begun = starts.iter().rposition(|start| *start <= now).map_or(0, |last| last + 1);
    let state = |place: usize| match starts.get(place + 1) {
        _ if place >= begun => State::Pending,
        Some(successor) if place + 1 < begun => {
            let last_token_ends = successor.plus(MAX_TOKEN_LIFE).plus(LEEWAY);
            if now <= last_token_ends { State::Retiring } else { State::Ended }
        }
        _ => State::Active,
    };
    (0..starts.len()).map(state).collect()
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Retiring => "RETIRING",
            Self::Ended => "ENDED",
        })
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use State::{Active, Ended, Pending, Retiring};

    use super::*;
    use crate::secret_key::Secrets;

    #[test]
    fn a_state_follows_from_the_times() {
        let at = Time::from_seconds;
        let life = i64::try_from((MAX_TOKEN_LIFE + LEEWAY).as_secs()).unwrap();
        let sealer = Sealer::new(&Secrets::only("one")).unwrap();
        let key = |seq| sealer.make(seq, at(0), at(1_000 * seq)).unwrap().key;
        let keys = [key(FIRST), key(2), key(3)];
        for (now, expected) in [
            // The very first signs at once, though the clock is behind.
            (0, [Active, Pending, Pending]),
            (1_000, [Active, Pending, Pending]),
            (1_999, [Active, Pending, Pending]),
            (2_000, [Retiring, Active, Pending]),
            (3_000, [Retiring, Retiring, Active]),
            (2_000 + life, [Retiring, Retiring, Active]),
            (2_001 + life, [Ended, Retiring, Active]),
            (3_001 + life, [Ended, Ended, Active]),
        ] {
            assert_eq!(states(&keys, at(now)), expected, "at {now}");
        }
        assert_eq!(states(&[], at(0)), []);
        // When the one before has been revoked, nothing may be signing.
        assert_eq!(states(&keys[1..], at(1_999)), [Pending, Pending]);
    }
}
