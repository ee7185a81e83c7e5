//! Signing keys, and how processes that share them agree.

use std::time::Duration;

use auth_service::{
    keeper::{self, KeeperFault},
    keys::{KeyFault, SealedKey, Sealer, State},
    secret_key::Secrets,
};
use shared::{clock::Time, database::Engine};

use super::{Scene, on_every_engine};

on_every_engine!(
    Scene:
    a_key_is_kept_as_it_was_given,
    a_place_is_taken_once,
    what_comes_before_the_first_that_is_kept_is_forgotten,
    processes_that_start_at_once_share_one_key,
    of_two_rotations_at_once_one_is_made,
    keys_do_not_open_with_another_secret,
    a_row_that_contradicts_itself_is_a_fault,
);

const DELAY: Duration = Duration::from_mins(1);

fn secret(text: &str) -> Secrets {
    Secrets::only(text)
}

fn key(seq: i64, micros: i64) -> SealedKey {
    let sealer = Sealer::new(&secret("one")).unwrap();
    let time = |micros| Time::from_micros(micros).unwrap();
    sealer.make(seq, time(-1_234_567), time(micros)).unwrap()
}

async fn a_key_is_kept_as_it_was_given<DB: Engine>(scene: Scene<DB>) {
    assert_eq!(scene.store.signing_keys().await.unwrap(), []);
    let keys = [key(1, 123_456), key(2, 1), key(3, i64::from(i32::MAX) * 1_000_000)];
    // The order is that of their places, not that of their making.
    for index in [1, 0, 2] {
        assert!(scene.store.add_signing_key(keys[index].clone(), 1).await.unwrap());
    }
    assert_eq!(scene.store.signing_keys().await.unwrap(), keys);
    assert_eq!(scene.second_store().await.signing_keys().await.unwrap(), keys);
}

async fn a_place_is_taken_once<DB: Engine>(scene: Scene<DB>) {
    let [first, second] = [key(1, 1), key(2, 2)];
    for known in [&first, &second] {
        assert!(scene.store.add_signing_key(known.clone(), 1).await.unwrap());
    }
    // What is not added forgets nothing either.
    assert!(!scene.store.add_signing_key(key(2, 3), 2).await.unwrap());
    assert_eq!(scene.store.signing_keys().await.unwrap(), [first, second]);
}

async fn what_comes_before_the_first_that_is_kept_is_forgotten<DB: Engine>(scene: Scene<DB>) {
    let keys = [1, 2, 3, 4].map(|seq| key(seq, seq));
    for (key, first_kept) in keys.iter().zip([1, 1, 1, 3]) {
        assert!(scene.store.add_signing_key(key.clone(), first_kept).await.unwrap());
    }
    assert_eq!(scene.store.signing_keys().await.unwrap(), keys[2..]);
}

async fn processes_that_start_at_once_share_one_key<DB: Engine>(scene: Scene<DB>) {
    let (second, secret) = (scene.second_store().await, secret("one"));
    let (ring, other) = tokio::join!(
        keeper::open(&scene.store, &secret, &scene.clock),
        keeper::open(&second, &secret, &scene.clock),
    );
    let published = ring.unwrap().published(scene.clock.now());
    assert_eq!(other.unwrap().published(scene.clock.now()), published);
    assert_eq!(published.len(), 1);
    let again = keeper::open(&second, &secret, &scene.clock).await.unwrap();
    assert_eq!(again.published(scene.clock.now()), published);
}

async fn of_two_rotations_at_once_one_is_made<DB: Engine>(scene: Scene<DB>) {
    let (second, secret) = (scene.second_store().await, secret("one"));
    keeper::open(&second, &secret, &scene.clock).await.unwrap();
    let (one, other) = tokio::join!(
        keeper::rotate(&scene.store, &secret, DELAY, &scene.clock),
        keeper::rotate(&second, &secret, DELAY, &scene.clock),
    );
    let refused = match (one, other) {
        (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
        both => panic!("{both:?}"),
    };
    assert!(matches!(refused, KeeperFault::Race | KeeperFault::Pending(_)), "{refused}");
    let states =
        |list: Vec<(State, _)>| list.into_iter().map(|(state, _)| state).collect::<Vec<_>>();
    let list = keeper::list(&scene.store, &scene.clock).await.unwrap();
    assert_eq!(states(list), [State::Active, State::Pending]);

    let pending = keeper::rotate(&second, &secret, DELAY, &scene.clock).await;
    assert!(matches!(pending, Err(KeeperFault::Pending(_))), "{pending:?}");
    scene.clock.advance(DELAY);
    keeper::rotate(&second, &secret, DELAY, &scene.clock).await.unwrap();
    let list = keeper::list(&scene.store, &scene.clock).await.unwrap();
    assert_eq!(states(list), [State::Retiring, State::Active, State::Pending]);
}

async fn keys_do_not_open_with_another_secret<DB: Engine>(scene: Scene<DB>) {
    keeper::open(&scene.store, &secret("one"), &scene.clock).await.unwrap();
    let fault = keeper::open(&scene.store, &secret("two"), &scene.clock).await.unwrap_err();
    assert!(matches!(fault, KeeperFault::Key(KeyFault::Sealed(_))), "{fault}");
    let fault = keeper::rotate(&scene.store, &secret("two"), DELAY, &scene.clock).await;
    assert!(matches!(fault, Err(KeeperFault::Key(KeyFault::Sealed(_)))), "{fault:?}");
    assert_eq!(scene.store.signing_keys().await.unwrap().len(), 1);
    keeper::open(&scene.store, &secret("one"), &scene.clock).await.unwrap();
}

async fn a_row_that_contradicts_itself_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    assert!(scene.store.add_signing_key(key(1, 1), 1).await.unwrap());
    for (damage, column) in [
        ("update signing_keys set activate_time = 9223372036854775807", "activate_time"),
        ("update signing_keys set kid = 'x'", "kid"),
        ("update signing_keys set public_key = sealed_seed", "public_key"),
    ] {
        scene.by_hand(damage).await;
        let fault = scene.store.signing_keys().await.unwrap_err().to_string();
        assert!(fault.contains(&format!("signing_keys.{column}")), "{fault}");
    }
}
