//! Changes that are repeated: made once, with the same answer to each, for a day.

use std::time::Duration;

use auth_service::{
    error::{Error, Refusal},
    housekeeping::sweep,
    store::SqlStore,
    users::{User, UserChange},
};
use shared::{
    database::Engine,
    once::{KEPT, Once},
    pb::auth::{RevokeSessionRequest, UpdateCurrentUserRequest, User as WireUser},
    trust::Caller,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Scene, hash, image_url, on_every_engine, once, refusal, username};

on_every_engine!(
    Scene:
    a_change_is_made_once,
    a_change_is_found_again_under_a_new_password_and_not_after_the_session,
    of_the_same_change_at_the_same_moment_one_is_made,
    a_change_that_was_refused_may_be_tried_anew,
    a_session_is_ended_once,
    of_the_same_end_at_the_same_moment_one_is_made,
    everybody_has_their_own_ids,
    an_answer_is_kept_for_a_day_and_goes_a_little_at_a_time,
    an_answer_that_contradicts_the_types_is_a_fault,
);

fn picture(path: &str) -> UserChange {
    let image_url = Some(image_url(&format!("https://example.org/{path}")));
    UserChange { image_url, ..UserChange::default() }
}

/// What is known again as the change of this user by this id, whatever is changed.
fn change(caller: &Caller, id: u128, what: &str) -> Option<Once> {
    let user = Some(WireUser { image_url: what.to_owned(), ..WireUser::default() });
    once(caller.user_id(), id, UpdateCurrentUserRequest { user, ..Default::default() })
}

/// Asks for a picture by this id.
async fn ask<DB: Engine>(
    store: &SqlStore<DB>,
    caller: &Caller,
    id: u128,
    path: &str,
) -> Result<User, Error> {
    store.update_user(caller, picture(path), None, change(caller, id, path)).await
}

/// Ends a session by this id.
async fn end<DB: Engine>(
    store: &SqlStore<DB>,
    caller: &Caller,
    id: u128,
    session: Uuid,
) -> Result<(), Error> {
    let request = RevokeSessionRequest { id: session.to_string(), ..Default::default() };
    store.revoke_session(caller, session, once(caller.user_id(), id, request)).await
}

async fn a_change_is_made_once<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    scene.later();
    let first = ask(&scene.store, &ann, 1, "one").await.unwrap();
    scene.later();
    let last = ask(&scene.store, &ann, 2, "two").await.unwrap();
    assert_ne!(first, last);
    for store in [&*scene.store, &scene.second_store().await] {
        assert_eq!(ask(store, &ann, 1, "one").await.unwrap(), first);
        assert_eq!(refusal(ask(store, &ann, 1, "three").await), Refusal::RequestIdReused);
        assert_eq!(ask(store, &ann, 2, "two").await.unwrap(), last);
    }
    assert_eq!(scene.store.account(&ann).await.unwrap().user, last, "no more is changed");
    let owner = scene.column::<Uuid>("select distinct owner_id as it from answers").await;
    assert_eq!(owner, [ann.user_id()], "what is kept of a user can be found");
}

async fn a_change_is_found_again_under_a_new_password_and_not_after_the_session<DB: Engine>(
    scene: Scene<DB>,
) {
    let (user, ann) = scene.register("ann").await;
    let rename = UserChange { username: Some(username("anna")), ..UserChange::default() };
    let ask = async |id| {
        let once = change(&ann, id, "rename");
        scene.store.update_user(&ann, rename.clone(), Some(0), once).await
    };
    let first = ask(1).await.unwrap();
    scene.store.change_password(&ann, 0, hash("new")).await.unwrap();
    assert_eq!(ask(1).await.unwrap(), first);
    assert_eq!(refusal(ask(2).await), Refusal::PasswordChanged);
    scene.store.revoke_session(&ann, ann.session_id(), None).await.unwrap();
    assert_eq!(refusal(ask(1).await), Refusal::SessionEnded);
    let nobody = scene.caller(&user);
    let once = change(&nobody, 1, "rename");
    let refused = scene.store.update_user(&nobody, rename.clone(), Some(0), once).await;
    assert_eq!(refusal(refused), Refusal::SessionEnded);
}

async fn of_the_same_change_at_the_same_moment_one_is_made<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let (_, ann) = scene.register("ann").await;
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        let ann = ann.clone();
        calls.spawn(async move {
            // Known as one and the same, so that it shows which was made.
            let once = change(&ann, 1, "same");
            store.update_user(&ann, picture(&number.to_string()), None, once).await.unwrap()
        });
    }
    let mut answers = calls.join_all().await;
    answers.dedup();
    assert_eq!(answers, [scene.store.account(&ann).await.unwrap().user]);
}

async fn a_change_that_was_refused_may_be_tried_anew<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    let (_, bob) = scene.register("bob").await;
    let rename = |name: &str| UserChange { username: Some(username(name)), ..Default::default() };
    let ask = async || {
        let once = change(&ann, 1, "rename");
        scene.store.update_user(&ann, rename("bob"), None, once).await
    };
    assert_eq!(refusal(ask().await), Refusal::UsernameTaken);
    scene.store.update_user(&bob, rename("robert"), None, None).await.unwrap();
    assert_eq!(ask().await.unwrap().username, username("bob"));

    let gone = Uuid::new_v4();
    assert_eq!(refusal(end(&scene.store, &ann, 2, gone).await), Refusal::SessionNotFound);
    let session = scene.log_in(&scene.named("bob").await.unwrap()).await.session_id();
    end(&scene.store, &ann, 2, session).await.unwrap();
}

async fn a_session_is_ended_once<DB: Engine>(scene: Scene<DB>) {
    let (user, phone) = scene.register("ann").await;
    let (laptop, tablet) = (scene.log_in(&user).await, scene.log_in(&user).await);
    let second = scene.second_store().await;
    for store in [&*scene.store, &second] {
        end(store, &phone, 1, laptop.session_id()).await.unwrap();
        let other = end(store, &phone, 1, tablet.session_id()).await;
        assert_eq!(refusal(other), Refusal::RequestIdReused);
    }
    scene.store.account(&tablet).await.unwrap();
    let without = scene.store.revoke_session(&phone, laptop.session_id(), None).await;
    assert_eq!(refusal(without), Refusal::SessionNotFound);

    end(&scene.store, &phone, 2, phone.session_id()).await.unwrap();
    let ended = end(&scene.store, &phone, 2, phone.session_id()).await;
    assert_eq!(refusal(ended), Refusal::SessionEnded);
    end(&scene.store, &tablet, 2, phone.session_id()).await.unwrap();
    assert_eq!(scene.revoked().await.len(), 2);
}

async fn of_the_same_end_at_the_same_moment_one_is_made<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let (user, ann) = scene.register("ann").await;
    let session = scene.log_in(&user).await.session_id();
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        let ann = ann.clone();
        calls.spawn(async move { end(&store, &ann, 1, session).await.unwrap() });
    }
    calls.join_all().await;
    assert_eq!(scene.revoked().await.len(), 1);
}

async fn everybody_has_their_own_ids<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    let (_, bob) = scene.register("bob").await;
    let of_ann = ask(&scene.store, &ann, 1, "ann").await.unwrap();
    let of_bob = ask(&scene.store, &bob, 1, "bob").await.unwrap();
    assert_eq!((of_ann.id, of_bob.id), (ann.user_id(), bob.user_id()));
    assert_eq!(ask(&scene.store, &ann, 1, "ann").await.unwrap(), of_ann);
    assert_eq!(ask(&scene.store, &bob, 1, "bob").await.unwrap(), of_bob);
    // Each RPC has its own, too.
    let session = scene.log_in(&of_ann).await.session_id();
    end(&scene.store, &ann, 1, session).await.unwrap();
    assert_eq!(scene.revoked().await.len(), 1);
}

async fn an_answer_is_kept_for_a_day_and_goes_a_little_at_a_time<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    for id in 1..=5 {
        ask(&scene.store, &ann, id, &format!("{id}")).await.unwrap();
    }
    scene.clock.advance(KEPT.checked_sub(Duration::from_micros(1)).unwrap());
    let late = ask(&scene.store, &ann, 6, "6").await.unwrap();
    sweep(&scene.store).await.unwrap();
    assert_eq!(refusal(ask(&scene.store, &ann, 1, "x").await), Refusal::RequestIdReused);

    scene.clock.advance(Duration::from_micros(1));
    for count in [2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_answers(2).await.unwrap(), count);
    }
    let anew = ask(&scene.store, &ann, 1, "x").await.unwrap();
    assert_eq!(anew.image_url, image_url("https://example.org/x"));
    assert_eq!(ask(&scene.store, &ann, 6, "6").await.unwrap(), late, "it is not a day old");

    scene.clock.advance(KEPT);
    sweep(&scene.store).await.unwrap();
    assert_eq!(scene.column::<i64>("select count(*) as it from answers").await, [0]);
}

async fn an_answer_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    ask(&scene.store, &ann, 1, "one").await.unwrap();
    for damage in ["replace(answer, 'ann', 'a b')", "'null'", "''"] {
        scene.by_hand(format!("update answers set answer = {damage}")).await;
        let fault = ask(&scene.store, &ann, 1, "one").await.unwrap_err().to_string();
        assert!(fault.contains("answers.answer"), "{fault}");
    }
}
