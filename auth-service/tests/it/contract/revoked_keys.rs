//! Signing keys that are revoked, and those that are sealed anew.

use std::time::Duration;

use auth_service::{
    config::LEAST_DELAY,
    keeper::{self, KeeperFault},
    keys::{FIRST, Key, KeyFault, Sealer, State},
    secret_key::Secrets,
    store::KeyRevoked,
};
use shared::{
    database::Engine,
    trust::{LEEWAY, MAX_TOKEN_LIFE},
};

use super::{Scene, on_every_engine};

on_every_engine!(
    Scene:
    a_key_that_is_revoked_is_gone_with_its_tokens,
    a_key_that_stands_alone_is_followed_soon,
    the_key_before_takes_over,
    a_key_that_has_ended_does_not_come_back,
    a_key_that_signs_tomorrow_is_too_late,
    a_key_that_does_not_sign_is_missed_by_nobody,
    a_key_whose_place_is_taken_follows_nobody,
    keys_that_nobody_can_open_any_more_are_revoked_all_the_same,
    keys_are_sealed_anew,
    keys_that_do_not_open_are_not_sealed_anew,
);

const DELAY: Duration = Duration::from_mins(1);

impl<DB: Engine> Scene<DB> {
    async fn keys(&self) -> Vec<(State, Key)> {
        keeper::list(&self.store, &self.clock).await.unwrap()
    }

    /// Makes this many keys, each of which signs for a while before the next; the last one signs.
    async fn make_keys(&self, count: usize) -> Vec<Key> {
        let secrets = Secrets::only("one");
        keeper::open(&self.store, &secrets, &self.clock).await.unwrap();
        for _ in 1..count {
            keeper::rotate(&self.store, &secrets, DELAY, &self.clock).await.unwrap();
            self.clock.advance(DELAY);
        }
        self.keys().await.into_iter().map(|(_, key)| key).collect()
    }

    /// Revokes a key; the answer is its successor.
    async fn revoke_key(&self, key: &Key) -> Option<Key> {
        let (secrets, kid) = (Secrets::only("one"), key.public.kid());
        keeper::revoke(&self.store, &secrets, kid, DELAY, &self.clock).await.unwrap()
    }

    /// Which key signs now, and which in a while; their places.
    async fn signs(&self) -> Option<i64> {
        let ring = keeper::open(&self.store, &Secrets::only("one"), &self.clock).await.unwrap();
        ring.active(self.clock.now()).map(|key| key.key.seq)
    }
}

async fn a_key_that_is_revoked_is_gone_with_its_tokens<DB: Engine>(scene: Scene<DB>) {
    let keys = scene.make_keys(2).await;
    let before = scene.head().await;
    let secrets = Secrets::only("one");
    for unknown in ["", "x", &keys[0].public.kid().to_lowercase()[1..]] {
        let fault = keeper::revoke(&scene.store, &secrets, unknown, DELAY, &scene.clock).await;
        assert!(matches!(fault, Err(KeeperFault::Unknown(_))), "{fault:?}");
    }
    let unknown = scene.store.revoke_signing_key(never(), None, FIRST).await.unwrap();
    assert_eq!(unknown, KeyRevoked::Unknown);
    assert_eq!(scene.head().await, before);

    assert_eq!(scene.revoke_key(&keys[0]).await, None);
    let left: Vec<_> = scene.keys().await.into_iter().map(|(_, key)| key).collect();
    assert_eq!(left, keys[1..]);
    let last = scene.clock.now().plus(MAX_TOKEN_LIFE);
    let revoked = (keys[0].public.id(), "KEY_REVOKE".to_owned(), last);
    assert_eq!(scene.revoked().await, [revoked]);
    assert_eq!(scene.head().await, before + 2, "a revocation, and other keys");
    let again = scene.store.revoke_signing_key(keys[0].public.clone(), None, FIRST).await.unwrap();
    assert_eq!(again, KeyRevoked::Unknown);
}

async fn a_key_whose_place_is_taken_follows_nobody<DB: Engine>(scene: Scene<DB>) {
    let keys = scene.make_keys(2).await;
    let sealer = Sealer::new(&Secrets::only("one")).unwrap();
    let late = sealer.make(2, scene.clock.now(), scene.clock.now()).unwrap();
    let revoked = scene.store.revoke_signing_key(keys[1].public.clone(), Some(late), FIRST).await;
    assert_eq!(revoked.unwrap(), KeyRevoked::PlaceTaken);
    assert_eq!(scene.keys().await.len(), 2);
    assert_eq!(scene.revoked().await, []);
}

async fn keys_that_nobody_can_open_any_more_are_revoked_all_the_same<DB: Engine>(scene: Scene<DB>) {
    let [lost] = scene.make_keys(1).await.try_into().unwrap();
    let secrets = Secrets::only("another");
    let fault = keeper::open(&scene.store, &secrets, &scene.clock).await.unwrap_err();
    assert!(matches!(fault, KeeperFault::Key(KeyFault::Sealed(_))), "{fault}");
    let kid = lost.public.kid();
    let next = keeper::revoke(&scene.store, &secrets, kid, DELAY, &scene.clock).await.unwrap();
    scene.clock.advance(LEAST_DELAY);
    let ring = keeper::open(&scene.store, &secrets, &scene.clock).await.unwrap();
    assert_eq!(ring.active(scene.clock.now()).map(|key| key.key.clone()), next);
}

/// A key that is nowhere.
fn never() -> shared::trust::PublicKey {
    shared::trust::PublicKey::new([7; 32])
}

async fn a_key_that_stands_alone_is_followed_soon<DB: Engine>(scene: Scene<DB>) {
    let [only] = scene.make_keys(1).await.try_into().unwrap();
    let next = scene.revoke_key(&only).await.unwrap();
    assert_eq!((next.seq, next.activate_time), (2, scene.clock.now().plus(LEAST_DELAY)));
    assert_eq!(scene.signs().await, None, "no verifier need know the next one yet");
    scene.clock.advance(LEAST_DELAY);
    assert_eq!(scene.signs().await, Some(2));
    // Those whose tokens have ended help nobody.
    keeper::rotate(&scene.store, &Secrets::only("one"), DELAY, &scene.clock).await.unwrap();
    scene.clock.advance(DELAY + MAX_TOKEN_LIFE + LEEWAY + Duration::from_secs(1));
    let keys = scene.keys().await;
    assert_eq!(keys[0].0, State::Ended);
    let next = scene.revoke_key(&keys[1].1).await.unwrap();
    assert_eq!(next.activate_time, scene.clock.now().plus(LEAST_DELAY));
}

async fn the_key_before_takes_over<DB: Engine>(scene: Scene<DB>) {
    let keys = scene.make_keys(2).await;
    let next = scene.revoke_key(&keys[1]).await.unwrap();
    assert_eq!((next.seq, next.activate_time), (3, scene.clock.now().plus(DELAY)));
    assert_eq!(scene.signs().await, Some(1));
    scene.clock.advance(DELAY);
    assert_eq!(scene.signs().await, Some(3));
}

async fn a_key_that_has_ended_does_not_come_back<DB: Engine>(scene: Scene<DB>) {
    let keys = scene.make_keys(2).await;
    scene.clock.advance(MAX_TOKEN_LIFE + LEEWAY + Duration::from_secs(1));
    let next = scene.revoke_key(&keys[1]).await.unwrap();
    assert_eq!(scene.signs().await, None, "verifiers know none that could sign");
    let left: Vec<_> = scene.keys().await.into_iter().map(|(_, key)| key).collect();
    assert_eq!(left, [next]);
}

async fn a_key_that_signs_tomorrow_is_too_late<DB: Engine>(scene: Scene<DB>) {
    let [only] = scene.make_keys(1).await.try_into().unwrap();
    let (secrets, day) = (Secrets::only("one"), Duration::from_hours(24));
    keeper::rotate(&scene.store, &secrets, day, &scene.clock).await.unwrap();
    let next = scene.revoke_key(&only).await.unwrap();
    assert_eq!((next.seq, next.activate_time), (3, scene.clock.now().plus(LEAST_DELAY)));
    scene.clock.advance(LEAST_DELAY);
    assert_eq!(scene.signs().await, Some(3));
    scene.clock.advance(day);
    assert_eq!(scene.signs().await, Some(3), "the one before has missed its time");

    // One that signs soon enough is all that is needed.
    let soon = keeper::rotate(&scene.store, &secrets, LEAST_DELAY, &scene.clock).await.unwrap();
    assert_eq!(scene.revoke_key(&next).await, None);
    scene.clock.advance(LEAST_DELAY);
    assert_eq!(scene.signs().await, Some(soon.seq));
}

async fn a_key_that_does_not_sign_is_missed_by_nobody<DB: Engine>(scene: Scene<DB>) {
    let keys = scene.make_keys(2).await;
    let secrets = Secrets::only("one");
    let pending = keeper::rotate(&scene.store, &secrets, DELAY, &scene.clock).await.unwrap();
    for key in [&pending, &keys[0]] {
        assert_eq!(scene.revoke_key(key).await, None);
        assert_eq!(scene.signs().await, Some(2));
    }
    let states: Vec<_> = scene.keys().await.into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, [State::Active]);
}

async fn keys_are_sealed_anew<DB: Engine>(scene: Scene<DB>) {
    let keys = scene.make_keys(3).await;
    let old = scene.store.signing_keys().await.unwrap();
    let both = Secrets { previous: Some("one".into()), ..Secrets::only("two") };
    let head = scene.head().await;
    for _ in 0..2 {
        assert_eq!(keeper::rewrap(&scene.store, &both).await.unwrap(), 3);
        let ring = keeper::open(&scene.store, &Secrets::only("two"), &scene.clock).await.unwrap();
        let left: Vec<_> =
            ring.published(scene.clock.now()).into_iter().map(|(_, key)| key).collect();
        assert_eq!(left, keys);
    }
    assert_eq!(scene.head().await, head, "to verifiers nothing has changed");
    let fault = keeper::open(&scene.store, &Secrets::only("one"), &scene.clock).await.unwrap_err();
    assert!(matches!(fault, KeeperFault::Key(KeyFault::Sealed(_))), "{fault}");
    // Somebody who has read what was there before comes too late.
    let late = scene.store.reseal_signing_key(old[0].clone(), vec![1]).await.unwrap();
    assert!(!late);
    keeper::open(&scene.store, &Secrets::only("two"), &scene.clock).await.unwrap();
}

async fn keys_that_do_not_open_are_not_sealed_anew<DB: Engine>(scene: Scene<DB>) {
    scene.make_keys(2).await;
    let before = scene.store.signing_keys().await.unwrap();
    for wrong in
        [Secrets::only("two"), Secrets { previous: Some("three".into()), ..Secrets::only("two") }]
    {
        let fault = keeper::rewrap(&scene.store, &wrong).await.unwrap_err();
        assert!(matches!(fault, KeeperFault::Key(KeyFault::Sealed(_))), "{fault}");
    }
    assert_eq!(scene.store.signing_keys().await.unwrap(), before);
}
