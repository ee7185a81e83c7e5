//! The signing keys in memory: the only place where their secret halves are open.

use std::sync::Arc;

use arc_swap::ArcSwap;
use shared::clock::Time;

use super::{Key, KeyFault, SealedKey, Sealer, SigningKey, State, states};

/// The place of the very first key.
pub const FIRST: i64 = 1;

/// The signing keys, in the order in which they sign.
#[derive(Debug)]
pub struct KeyRing {
    sealer: Sealer,
    keys: ArcSwap<Vec<Arc<SigningKey>>>,
}

impl KeyRing {
    /// A ring of these keys, opened with this sealer.
    ///
    /// # Errors
    /// When a key does not open.
    pub fn open(sealer: Sealer, keys: &[SealedKey]) -> Result<Self, KeyFault> {
        let ring = Self { sealer, keys: ArcSwap::default() };
        ring.replace(keys)?;
        Ok(ring)
    }

    /// What its keys are sealed with.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Takes over the keys that the database has now. Those that are known are kept as they are.
    ///
    /// # Errors
    /// When a new key does not open; the ring is without that one. What is gone from the database
    /// signs no more in any case: it may have been revoked.
    pub fn replace(&self, sealed: &[SealedKey]) -> Result<(), KeyFault> {
        let known = self.keys.load();
        if known.iter().map(|known| &known.key).eq(sealed.iter().map(|sealed| &sealed.key)) {
            return Ok(());
        }
        let open = |sealed: &SealedKey| match known.iter().find(|known| known.key == sealed.key) {
            Some(known) => Ok(Arc::clone(known)),
            None => self.sealer.open(sealed).map(Arc::new),
        };
        let (mut keys, mut result) = (Vec::new(), Ok(()));
        for opened in sealed.iter().map(open) {
            match opened {
                Ok(key) => keys.push(key),
                Err(fault) => result = Err(fault),
            }
        }
        self.keys.store(Arc::new(keys));
        result
    }

    /// The key that signs at this moment. There is none when that was revoked and its successor has
    /// not been published for long enough.
    #[must_use]
    pub fn active(&self, now: Time) -> Option<Arc<SigningKey>> {
        let keys = self.keys.load();
        let mut with_states = states_of(&keys, now).into_iter().zip(keys.iter());
        with_states.find(|(state, _)| *state == State::Active).map(|(_, key)| Arc::clone(key))
    }

    /// The keys that a token in force may be signed with, or soon will be, and what they do.
    #[must_use]
    pub fn published(&self, now: Time) -> Vec<(State, Key)> {
        let keys = self.keys.load();
        let public = keys.iter().map(|signing| signing.key.clone());
        let states = states_of(&keys, now).into_iter();
        states.zip(public).filter(|(state, _)| *state != State::Ended).collect()
    }
}

fn states_of(keys: &[Arc<SigningKey>], now: Time) -> Vec<State> {
    states(keys.iter().map(|signing| &signing.key), now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_key::Secrets;

    #[test]
    fn a_ring_follows_the_database_and_the_clock() {
        let at = Time::from_seconds;
        let sealer = Sealer::new(&Secrets::only("one")).unwrap();
        let first = sealer.make(1, at(0), at(0)).unwrap();
        let second = sealer.make(2, at(10), at(70)).unwrap();
        let stranger = Sealer::new(&Secrets::only("two")).unwrap();
        let stranger = stranger.make(3, at(10), at(70)).unwrap();
        let (first_kid, second_kid) = (first.key.public.kid(), second.key.public.kid());

        let ring = KeyRing::open(sealer, std::slice::from_ref(&first)).unwrap();
        ring.replace(&[first.clone(), second.clone()]).unwrap();
        assert_eq!(ring.active(at(69)).unwrap().key.public.kid(), first_kid);
        assert_eq!(ring.active(at(70)).unwrap().key.public.kid(), second_kid);
        let states: Vec<_> = ring.published(at(69)).into_iter().map(|(state, _)| state).collect();
        assert_eq!(states, [State::Active, State::Pending]);
        assert_eq!(ring.published(at(1_000_000)).len(), 1);

        // Without the first, the second signs when its time has come and not before.
        let alone = KeyRing::open(
            Sealer::new(&Secrets::only("one")).unwrap(),
            std::slice::from_ref(&second),
        );
        let alone = alone.unwrap();
        assert!(alone.active(at(69)).is_none() && alone.active(at(70)).is_some());
        // The very first signs at once, though the clock is behind.
        assert_eq!(ring.active(at(-5)).unwrap().key.public.kid(), first_kid);

        assert!(ring.replace(&[first.clone(), second.clone(), stranger.clone()]).is_err());
        assert_eq!(ring.published(at(70)).len(), 2);
        // A key that does not open keeps none alive that has been revoked.
        assert!(ring.replace(&[first.clone(), stranger]).is_err());
        assert_eq!(ring.active(at(70)).unwrap().key.public.kid(), first_kid);
        assert_eq!(ring.published(at(70)).len(), 1);
    }
}
