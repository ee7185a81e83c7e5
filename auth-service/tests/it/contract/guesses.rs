//! What is remembered of guesses: counted exactly, by many at once, and forgotten in time.

use std::time::Duration;

use auth_service::{
    error::Error,
    guesses::{Attempt, Guesses, Limits, Rate, Whose},
    network::Network,
    store::SqlStore,
};
use e2e::on_postgres;
use shared::database::{Engine, Postgres};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use super::{Scene, on_every_engine};

on_every_engine!(
    Scene:
    as_many_get_through_as_there_is_room_for,
    an_attempt_that_finds_no_room_in_one_bucket_takes_from_none,
    what_still_makes_a_difference_is_not_deleted,
    no_more_is_deleted_at_once_than_was_asked_for,
    what_is_given_back_can_be_taken_again,
);

on_postgres!(processes_that_guess_at_the_same_names_never_wait_in_a_circle);

const HOUR: Duration = Duration::from_hours(1);

fn guesses(pair: u32, account: u32, network: u32) -> Guesses {
    let per_hour = |burst| Rate::new(burst, HOUR);
    let (pair, account, network) = (per_hour(pair), per_hour(account), per_hour(network));
    let (login, register) = (per_hour(1_000), per_hour(1));
    let limits = Limits { pair, account, network, login, register };
    Guesses::new(&"a secret".to_owned().into(), limits).unwrap()
}

/// A guess at a name that nobody has, from the network of this number.
fn attempt(guesses: &Guesses, name: &str, network: u8) -> Attempt {
    guesses.password(Whose::Nobody(name), Network::of([192, 0, 2, network].into()))
}

/// Whether there is room. Anything else is a failure.
async fn takes<DB: Engine>(store: &SqlStore<DB>, attempt: Attempt) -> bool {
    match store.take(attempt).await {
        Ok(_) => true,
        Err(Error::TooManyAttempts(wait)) => {
            assert!(!wait.is_zero() && wait <= HOUR);
            false
        }
        Err(other) => panic!("{other}"),
    }
}

/// Five names from five networks, each so often, at two stores at once. How many got through.
async fn storm<DB: Engine>(stores: [&SqlStore<DB>; 2], guesses: &Guesses, times: usize) -> usize {
    let mut calls = JoinSet::new();
    for number in 0..25 * times {
        let (name, network) = (format!("name{}", number % 5), number / 5 % 5);
        let attempt = attempt(guesses, &name, u8::try_from(network).unwrap());
        let store = stores[number / 3 % 2].clone();
        calls.spawn(async move { takes(&store, attempt).await });
    }
    calls.join_all().await.into_iter().filter(|through| *through).count()
}

async fn as_many_get_through_as_there_is_room_for<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    for (guesses, most) in [
        (guesses(3, 1_000, 1_000), 3 * 25),
        (guesses(1_000, 7, 1_000), 7 * 5),
        (guesses(1_000, 1_000, 9), 9 * 5),
    ] {
        assert_eq!(storm([&scene.store, &second], &guesses, 12).await, most);
        scene.clock.advance(HOUR);
    }
}

async fn an_attempt_that_finds_no_room_in_one_bucket_takes_from_none<DB: Engine>(scene: Scene<DB>) {
    let guesses = guesses(2, 3, 100);
    for through in [true, true, false, false] {
        assert_eq!(takes(&scene.store, attempt(&guesses, "ann", 1)).await, through);
    }
    for (network, through) in [(2, true), (3, false), (4, false)] {
        assert_eq!(takes(&scene.store, attempt(&guesses, "ann", network)).await, through);
    }
}

async fn what_still_makes_a_difference_is_not_deleted<DB: Engine>(scene: Scene<DB>) {
    let guesses = guesses(1, 1_000, 1_000);
    assert!(takes(&scene.store, attempt(&guesses, "ann", 1)).await);
    assert_eq!(scene.store.sweep_guesses(100).await.unwrap(), 0);
    scene.clock.advance(HOUR / 2);
    let taken = scene.store.take(attempt(&guesses, "bob", 1)).await.unwrap();
    scene.store.forgive(taken).await.unwrap();
    // What ann and bob have taken from accounts, and what bob has from himself.
    assert_eq!(scene.store.sweep_guesses(100).await.unwrap(), 4);
    assert!(!takes(&scene.store, attempt(&guesses, "ann", 1)).await);
    scene.clock.advance(HOUR / 2);
    // What ann has taken from where she is, and that bob's password was right.
    assert_eq!(scene.store.sweep_guesses(100).await.unwrap(), 2);
    assert!(takes(&scene.store, attempt(&guesses, "ann", 1)).await);
    scene.clock.advance(90 * 24 * HOUR);
    assert_eq!(scene.store.sweep_guesses(100).await.unwrap(), 4, "where bob is known, at last");
}

async fn no_more_is_deleted_at_once_than_was_asked_for<DB: Engine>(scene: Scene<DB>) {
    let (guesses, second) = (guesses(10, 1_000, 1_000), scene.second_store().await);
    let all = storm([&scene.store, &second], &guesses, 1).await + 10;
    scene.clock.advance(HOUR);
    assert_eq!(scene.store.sweep_guesses(20).await.unwrap(), 20);
    // Two at once, of which both may see the same, and guesses in between.
    let (one, two, through) = tokio::join!(
        scene.store.sweep_guesses(10),
        second.sweep_guesses(10),
        storm([&scene.store, &second], &guesses, 10),
    );
    assert!(one.unwrap() <= 10 && two.unwrap() <= 10);
    assert_eq!(through, 250);
    assert_eq!(storm([&scene.store, &second], &guesses, 1).await, 0, "no guess was forgotten");
    scene.clock.advance(HOUR);
    assert_eq!(scene.store.sweep_guesses(1_000).await.unwrap(), all);
    assert_eq!(scene.store.sweep_guesses(1_000).await.unwrap(), 0);
}

async fn what_is_given_back_can_be_taken_again<DB: Engine>(scene: Scene<DB>) {
    let guesses = guesses(2, 3, 3);
    for _ in 0..5 {
        let taken = scene.store.take(attempt(&guesses, "ann", 1)).await.unwrap();
        scene.store.give_back(taken).await.unwrap();
    }
    assert!(takes(&scene.store, attempt(&guesses, "ann", 1)).await);
    assert!(takes(&scene.store, attempt(&guesses, "ann", 1)).await);
    assert!(!takes(&scene.store, attempt(&guesses, "ann", 1)).await, "nothing was made known");
}

async fn processes_that_guess_at_the_same_names_never_wait_in_a_circle() {
    let place = e2e::Engine::Postgres.place("test").await;
    // Whoever waits in a circle waits until the store gives up.
    let mut operator = PgConnection::connect(&place.url).await.unwrap();
    let unseen = "do $$ begin execute format(
        'alter database %I set deadlock_timeout = ''1h''', current_database()
    ); end $$";
    operator.execute(unseen).await.unwrap();
    let scene = Scene::<Postgres>::open(place).await;
    let second = scene.second_store().await;
    let mut calls = JoinSet::new();
    for number in 0..40_u8 {
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        calls.spawn(async move {
            let guesses = guesses(1_000, 1_000, 1_000);
            for round in 0..60 {
                let (name, network) = ((number + round) % 5, (number / 5 + round) % 7);
                let attempt = attempt(&guesses, &format!("name{name}"), network);
                let taken = store.take(attempt).await.unwrap();
                store.forgive(taken).await.unwrap();
            }
        });
    }
    calls.join_all().await;
}
