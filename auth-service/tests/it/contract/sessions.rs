//! Sessions: who may open one, how many there are, and when they are over.

use std::time::Duration;

use auth_service::{
    error::Refusal,
    sessions::{ClientLabel, RefreshToken},
};
use shared::{database::Engine, trust::Caller};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{LIVES, Scene, hash, on_every_engine, refresh, refusal, stored, successors};

on_every_engine!(
    Scene:
    a_session_is_kept_as_it_was_given,
    a_session_begins_only_with_the_password_that_was_checked,
    of_logins_and_a_new_password_at_once_no_session_is_left_over,
    one_session_too_many_ends_the_oldest,
    what_has_ended_by_itself_makes_room_first,
    what_is_over_is_deleted_a_little_at_a_time,
    a_session_that_contradicts_the_types_is_a_fault,
);

async fn a_session_is_kept_as_it_was_given<DB: Engine>(scene: Scene<DB>) {
    let (ann, caller) = scene.register("ann").await;
    scene.register("bob").await;
    scene.later();
    let label = ClientLabel::parse("Ann's '; -- 🦀 phone".to_owned()).unwrap();
    let audiences = vec!["auth-service".to_owned(), "task-service".to_owned()];
    let session = LIVES.begin(ann.id, label, audiences, &scene.clock);
    let token = RefreshToken::random().unwrap();
    scene.store.open_session(session.clone(), stored(&token), 0).await.unwrap();
    for store in [&*scene.store, &scene.second_store().await] {
        let sessions = store.sessions(&caller, scene.clock.now()).await.unwrap();
        let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        assert_eq!(ids, [caller.session_id(), session.id], "the oldest first, and no one else's");
        assert_eq!(sessions[1], session);
    }
    let almost = session.idle_expire_time.minus(Duration::from_micros(1));
    assert_eq!(
        scene.store.sessions(&caller, almost).await.unwrap(),
        std::slice::from_ref(&session)
    );
    assert_eq!(scene.store.sessions(&caller, session.idle_expire_time).await.unwrap(), []);
    assert_eq!(scene.head().await, 0, "nobody need hear of a login");
}

async fn a_session_begins_only_with_the_password_that_was_checked<DB: Engine>(scene: Scene<DB>) {
    let (ann, caller) = scene.register("ann").await;
    let open = async |user, version| {
        let token = RefreshToken::random().unwrap();
        scene.store.open_session(scene.session(user), stored(&token), version).await
    };
    for stale in [-1, 1] {
        assert_eq!(refusal(open(&ann, stale).await), Refusal::PasswordChanged);
    }
    scene.store.change_password(&caller, 0, hash("new")).await.unwrap();
    assert_eq!(refusal(open(&ann, 0).await), Refusal::PasswordChanged);
    open(&ann, 1).await.unwrap();
    // The same password in a better hash is the same password.
    scene.store.rehash(ann.id, hash("new"), hash("better")).await.unwrap();
    open(&ann, 1).await.unwrap();
    scene.store.set_disabled(ann.id, true).await.unwrap();
    assert_eq!(refusal(open(&ann, 1).await), Refusal::UserDisabled);
    assert_eq!(refusal(open(&ann, 0).await), Refusal::PasswordChanged);
    scene.store.set_disabled(ann.id, false).await.unwrap();
    let nobody = scene.user("bob", "bob@example.com");
    assert_eq!(refusal(open(&nobody, 0).await), Refusal::InvalidCredentials);
    assert_eq!(scene.column::<i64>("select count(*) as it from sessions").await, [0]);
    assert_eq!(scene.column::<i64>("select count(*) as it from refresh_tokens").await, [0]);
    open(&ann, 1).await.unwrap();
}

async fn of_logins_and_a_new_password_at_once_no_session_is_left_over<DB: Engine>(
    scene: Scene<DB>,
) {
    let (ann, caller) = scene.register("ann").await;
    let second = scene.second_store().await;
    let mut calls = JoinSet::new();
    for number in 0..50 {
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        let (session, caller) = (scene.session(&ann), caller.clone());
        calls.spawn(async move {
            if number == 25 {
                return store.change_password(&caller, 0, hash("new")).await;
            }
            let token = RefreshToken::random().unwrap();
            store.open_session(session, stored(&token), 0).await
        });
    }
    for answer in calls.join_all().await {
        if answer.is_err() {
            assert_eq!(refusal(answer), Refusal::PasswordChanged);
        }
    }
    let left = scene.store.sessions(&caller, scene.clock.now()).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|session| session.id).collect();
    assert_eq!(left, [caller.session_id()]);
}

async fn one_session_too_many_ends_the_oldest<DB: Engine>(scene: Scene<DB>) {
    let (ann, oldest) = scene.register("ann").await;
    let (_, bob) = scene.register("bob").await;
    let first = scene.store.sessions(&oldest, scene.clock.now()).await.unwrap().remove(0);
    let mut newer = Vec::new();
    for _ in 1..100 {
        scene.later();
        newer.push(scene.log_in(&ann).await);
    }
    assert_eq!(scene.revoked().await, [], "a hundred there may be");
    scene.store.account(&oldest).await.unwrap();
    scene.later();
    newer.push(scene.log_in(&ann).await);
    let ended = (first.id, "TOO_MANY_SESSIONS".to_owned(), first.token_expire_time);
    assert_eq!(scene.revoked().await, [ended]);
    assert_eq!(refusal(scene.store.account(&oldest).await), Refusal::SessionEnded);
    let left = scene.store.sessions(&newer[0], scene.clock.now()).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|session| session.id).collect();
    assert_eq!(left, newer.iter().map(Caller::session_id).collect::<Vec<_>>());
    scene.store.account(&bob).await.unwrap();
}

async fn what_has_ended_by_itself_makes_room_first<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (oldest, token) = scene.log_in_with_token(&ann).await;
    scene.later();
    let (idle, unused) = scene.log_in_with_token(&ann).await;
    scene.clock.advance(LIVES.idle.saturating_sub(Duration::from_mins(1)));
    refresh(&scene.store, &[successors("one")], &token).await.unwrap();
    for _ in 2..100 {
        scene.log_in(&ann).await;
    }
    scene.clock.advance(Duration::from_mins(1));
    let newest = scene.log_in(&ann).await;
    for alive in [&oldest, &newest] {
        scene.store.account(alive).await.unwrap();
    }
    assert_eq!(refusal(scene.store.account(&idle).await), Refusal::SessionEnded);
    let gone = refresh(&scene.store, &[successors("one")], &unused).await;
    assert_eq!(refusal(gone), Refusal::RefreshUnknown);
    assert_eq!(scene.revoked().await, [], "its tokens have ended long ago");
}

async fn what_is_over_is_deleted_a_little_at_a_time<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (alive, token) = scene.log_in_with_token(&ann).await;
    let mut over = Vec::new();
    for _ in 0..5 {
        scene.later();
        over.push(scene.log_in(&ann).await.session_id());
    }
    scene.clock.advance(LIVES.idle.saturating_sub(Duration::from_secs(6)));
    refresh(&scene.store, &[successors("one")], &token).await.unwrap();
    assert_eq!(scene.store.sweep_sessions(10).await.unwrap(), 0);
    scene.clock.advance(Duration::from_secs(6));
    // They have ended a second apart; that of the fifth is at this very moment.
    let ids = "select id as it from sessions order by id";
    for left in [3, 1, 0] {
        let expected = [&[alive.session_id()], &over[5 - left..]].concat();
        assert_eq!(scene.store.sweep_sessions(2).await.unwrap(), if left == 0 { 1 } else { 2 });
        assert_eq!(scene.column::<Uuid>(ids).await, expected, "the oldest go first");
    }
    assert_eq!(scene.store.sweep_sessions(2).await.unwrap(), 0);
    scene.store.account(&alive).await.unwrap();
    let tokens = "select count(*) as it from refresh_tokens";
    assert_eq!(scene.column::<i64>(tokens).await, [2], "those of the one that is left");
    assert_eq!(scene.head().await, 0, "nobody need hear of it");
}

async fn a_session_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (caller, token) = scene.log_in_with_token(&ann).await;
    let wrong = "9223372036854775807";
    for (column, value, back) in [
        ("client_label", "'a\n'", "''"),
        ("create_time", wrong, "1"),
        ("last_use_time", wrong, "1"),
        ("expire_time", wrong, "1"),
        ("token_expire_time", wrong, "1"),
        ("idle_expire_time", wrong, wrong),
    ] {
        scene.by_hand(format!("update sessions set {column} = {value}")).await;
        let expected = format!("sessions.{column}");
        let listed = scene.store.sessions(&caller, scene.clock.now()).await.unwrap_err();
        assert!(listed.to_string().contains(&expected), "{listed}");
        let used = refresh(&scene.store, &[successors("one")], &token).await.unwrap_err();
        assert!(used.to_string().contains(&expected), "{used}");
        scene.by_hand(format!("update sessions set {column} = {back}")).await;
    }
}
