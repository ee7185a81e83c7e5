//! Refresh tokens: good once, again for whoever lost the answer, and the end for whoever else has one.

use std::time::Duration;

use auth_service::{
    error::Refusal,
    sessions::{RefreshToken, Successors},
};
use shared::{clock::Time, database::Engine};
use tokio::task::JoinSet;

use super::{LIVES, Scene, on_every_engine, refresh, refusal, successors};

on_every_engine!(
    Scene:
    each_use_gives_the_next_token_and_moves_the_end,
    an_answer_that_was_lost_is_given_again,
    any_other_second_use_ends_the_session,
    of_many_uses_at_once_all_get_one_successor,
    a_session_that_is_over_goes_on_no_more,
    a_successor_is_found_under_the_secret_before,
    a_token_of_long_ago_is_not_known_any_more,
    a_token_that_contradicts_the_types_is_a_fault,
);

const WINDOW: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_micros(1);

fn one() -> [Successors; 1] {
    [successors("one")]
}

/// The token after this one.
async fn next<DB: Engine>(scene: &Scene<DB>, token: &RefreshToken) -> RefreshToken {
    refresh(&scene.store, &one(), token).await.unwrap().1
}

/// Why this token is refused.
async fn refused<DB: Engine>(scene: &Scene<DB>, token: &RefreshToken) -> Refusal {
    refusal(refresh(&scene.store, &one(), token).await)
}

async fn each_use_gives_the_next_token_and_moves_the_end<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (caller, mut token) = scene.log_in_with_token(&ann).await;
    let begun = scene.store.sessions(&caller, scene.clock.now()).await.unwrap().pop().unwrap();
    for _ in 0..4 {
        scene.clock.advance(LIVES.idle.saturating_sub(TICK));
        let now = scene.clock.now();
        if now >= begun.expire_time {
            assert_eq!(refused(&scene, &token).await, Refusal::RefreshExpired);
            return;
        }
        let (refreshed, successor) = refresh(&scene.store, &one(), &token).await.unwrap();
        let mut expected = begun.clone();
        expected.last_use_time = now;
        expected.idle_expire_time = now.plus(LIVES.idle).min(begun.expire_time);
        expected.token_expire_time = Time::from_seconds(now.plus(LIVES.token).seconds());
        if now.plus(LIVES.token) > begun.expire_time {
            expected.token_expire_time = begun.expire_time;
        }
        assert_eq!(refreshed.session, expected);
        let listed = scene.store.sessions(&caller, now).await.unwrap();
        assert_eq!(listed, [expected], "and that is what is kept");
        assert_ne!(successor.hash(), token.hash());
        token = successor;
    }
    panic!("the session never ends");
}

async fn an_answer_that_was_lost_is_given_again<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (caller, first) = scene.log_in_with_token(&ann).await;
    let second = next(&scene, &first).await;
    for wait in [Duration::ZERO, TICK, WINDOW.saturating_sub(TICK)] {
        scene.clock.advance(wait);
        assert_eq!(next(&scene, &first).await.hash(), second.hash());
    }
    let third = next(&scene, &second).await;
    assert_eq!(next(&scene, &second).await.hash(), third.hash());
    scene.clock.advance(WINDOW + TICK);
    assert_eq!(refused(&scene, &second).await, Refusal::RefreshReused, "it is too late");
    assert_eq!(refused(&scene, &third).await, Refusal::RefreshUnknown);
    assert_eq!(refusal(scene.store.account(&caller).await), Refusal::SessionEnded);

    // By a clock that is set back no time has passed.
    let (_, first) = scene.log_in_with_token(&ann).await;
    let second = next(&scene, &first).await;
    scene.clock.set(scene.clock.now().minus(Duration::from_hours(1)));
    assert_eq!(next(&scene, &first).await.hash(), second.hash());
}

async fn any_other_second_use_ends_the_session<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let other = scene.log_in(&ann).await;
    for late in [false, true] {
        for place in 0..3 {
            let (caller, first) = scene.log_in_with_token(&ann).await;
            let mut tokens = vec![first];
            for _ in 0..3 {
                tokens.push(next(&scene, tokens.last().unwrap()).await);
            }
            if late {
                scene.clock.advance(WINDOW + TICK);
            } else if place == 2 {
                continue;
            }
            let before = scene.head().await;
            assert_eq!(refused(&scene, &tokens[place]).await, Refusal::RefreshReused);
            assert_eq!(scene.head().await, before + 1);
            let (id, cause, _) = scene.revoked().await.pop().unwrap();
            assert_eq!((id, cause.as_str()), (caller.session_id(), "REFRESH_REUSE"));
            for token in &tokens {
                assert_eq!(refused(&scene, token).await, Refusal::RefreshUnknown);
            }
            assert_eq!(refusal(scene.store.account(&caller).await), Refusal::SessionEnded);
        }
    }
    scene.store.account(&other).await.unwrap();
}

async fn of_many_uses_at_once_all_get_one_successor<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (caller, token) = scene.log_in_with_token(&ann).await;
    let second = scene.second_store().await;
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        let token = token.clone();
        calls.spawn(async move { refresh(&store, &one(), &token).await.unwrap().1.hash() });
    }
    let given = calls.join_all().await;
    assert!(given.iter().all(|successor| *successor == given[0]));
    let unused = "select count(*) as it from refresh_tokens where use_time = 0";
    assert_eq!(scene.column::<i64>(unused).await, [1], "one branch lives");
    scene.store.account(&caller).await.unwrap();
}

async fn a_session_that_is_over_goes_on_no_more<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (_, token) = scene.log_in_with_token(&ann).await;
    let successor = next(&scene, &token).await;
    scene.clock.advance(LIVES.idle);
    for token in [&successor, &token] {
        assert_eq!(refused(&scene, token).await, Refusal::RefreshExpired);
    }
    scene.store.sweep_sessions(10).await.unwrap();
    assert_eq!(refused(&scene, &successor).await, Refusal::RefreshUnknown);
    assert_eq!(scene.head().await, 0);
}

async fn a_successor_is_found_under_the_secret_before<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (caller, first) = scene.log_in_with_token(&ann).await;
    let second = next(&scene, &first).await;
    let both = ["two", "one"].map(successors);
    let (refreshed, again) = refresh(&scene.store, &both, &first).await.unwrap();
    assert_eq!((again.hash(), refreshed.successor), (second.hash(), 1));
    let (refreshed, third) = refresh(&scene.store, &both, &second).await.unwrap();
    assert_eq!(refreshed.successor, 0, "a new one is made under the secret in force");

    // Without it nobody can make it again; that is nobody's fault.
    let alone = refresh(&scene.store, &one(), &second).await;
    assert_eq!(refusal(alone), Refusal::RefreshUnknown);
    scene.store.account(&caller).await.unwrap();
    refresh(&scene.store, &both, &third).await.unwrap();
}

async fn a_token_of_long_ago_is_not_known_any_more<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (caller, first) = scene.log_in_with_token(&ann).await;
    let second = next(&scene, &first).await;
    let mut newest = next(&scene, &second).await;
    // As if a hundred more had come between.
    let later = "update refresh_tokens set generation = generation + 100 where generation = 2";
    scene.by_hand(later).await;
    newest = next(&scene, &newest).await;
    assert_eq!(refused(&scene, &first).await, Refusal::RefreshUnknown);
    scene.store.account(&caller).await.unwrap();
    newest = next(&scene, &newest).await;
    assert_eq!(refused(&scene, &second).await, Refusal::RefreshUnknown);
    next(&scene, &newest).await;
}

async fn a_token_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (_, token) = scene.log_in_with_token(&ann).await;
    scene.by_hand("update refresh_tokens set use_time = 9223372036854775807").await;
    let fault = refresh(&scene.store, &one(), &token).await.unwrap_err().to_string();
    assert!(fault.contains("refresh_tokens.use_time"), "{fault}");
    scene.by_hand("update refresh_tokens set nonce = substr(nonce, 1, 31)").await;
    let fault = refresh(&scene.store, &one(), &token).await.unwrap_err().to_string();
    assert!(fault.contains("refresh_tokens.nonce"), "{fault}");
}
