//! How sessions are ended: by whom, which, and that nothing can be done in one that has ended.

use auth_service::{
    error::{Error, Refusal},
    users::UserChange,
};
use shared::{database::Engine, ids::new_id, trust::Caller};
use uuid::Uuid;

use super::{LIVES, Scene, hash, on_every_engine, refresh, refusal, successors, username};

on_every_engine!(
    Scene:
    a_session_ends_one_of_the_same_user,
    what_is_somebody_elses_can_not_be_ended,
    a_session_that_has_ended_can_do_nothing,
    a_user_ends_every_other_session,
    a_new_password_ends_every_other_session,
    an_operator_ends_every_session,
    logging_out_works_with_any_token_of_the_session_and_may_be_repeated,
);

/// What a call in this session comes to, whatever it is.
async fn refusals<DB: Engine>(scene: &Scene<DB>, caller: &Caller) -> Vec<Refusal> {
    let store = &scene.store;
    let rename = UserChange { username: Some(username("other")), ..UserChange::default() };
    let fails = async |answer: Result<(), Error>| refusal(answer);
    vec![
        fails(store.account(caller).await.map(drop)).await,
        fails(store.update_user(caller, rename, None, None).await.map(drop)).await,
        fails(store.change_password(caller, 0, hash("new")).await).await,
        fails(store.revoke_session(caller, caller.session_id(), None).await).await,
        fails(store.revoke_session(caller, Uuid::new_v4(), None).await).await,
        fails(store.revoke_other_sessions(caller).await.map(drop)).await,
    ]
}

async fn assert_ended<DB: Engine>(scene: &Scene<DB>, callers: &[&Caller]) {
    for caller in callers {
        assert_eq!(refusals(scene, caller).await, [Refusal::SessionEnded; 6]);
    }
}

async fn assert_alive<DB: Engine>(scene: &Scene<DB>, callers: &[&Caller]) {
    for caller in callers {
        scene.store.account(caller).await.unwrap();
    }
}

/// The ids and causes of what has been revoked, in the order of the ids.
async fn causes<DB: Engine>(scene: &Scene<DB>) -> Vec<(Uuid, String)> {
    let revoked = scene.revoked().await;
    let mut causes: Vec<_> = revoked.into_iter().map(|(id, cause, _)| (id, cause)).collect();
    causes.sort();
    causes
}

fn caused(cause: &str, callers: &[&Caller]) -> Vec<(Uuid, String)> {
    let mut causes: Vec<_> =
        callers.iter().map(|caller| (caller.session_id(), cause.to_owned())).collect();
    causes.sort();
    causes
}

async fn a_session_ends_one_of_the_same_user<DB: Engine>(scene: Scene<DB>) {
    let (ann, phone) = scene.register("ann").await;
    let (laptop, tablet) = (scene.log_in(&ann).await, scene.log_in(&ann).await);
    scene.store.revoke_session(&phone, laptop.session_id(), None).await.unwrap();
    assert_alive(&scene, &[&phone, &tablet]).await;
    assert_ended(&scene, &[&laptop]).await;
    let again = scene.store.revoke_session(&phone, laptop.session_id(), None).await;
    assert_eq!(refusal(again), Refusal::SessionNotFound);
    scene.store.revoke_session(&phone, phone.session_id(), None).await.unwrap();
    assert_alive(&scene, &[&tablet]).await;
    assert_ended(&scene, &[&laptop, &phone]).await;
    assert_eq!(causes(&scene).await, caused("SESSION", &[&laptop, &phone]));
    let lives = [LIVES.token; 2].map(|life| scene.clock.now().plus(life));
    let ends = scene.revoked().await.into_iter().map(|(_, _, time)| time);
    assert_eq!(ends.collect::<Vec<_>>(), lives);
}

async fn what_is_somebody_elses_can_not_be_ended<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    let (bob, caller) = scene.register("bob").await;
    let (other, token) = scene.log_in_with_token(&bob).await;
    for id in [caller.session_id(), other.session_id(), bob.id, Uuid::nil(), new_id(scene.later())]
    {
        let refused = scene.store.revoke_session(&ann, id, None).await;
        assert_eq!(refusal(refused), Refusal::SessionNotFound);
    }
    assert_eq!(scene.store.revoke_other_sessions(&ann).await.unwrap(), 0);
    assert_eq!(scene.head().await, 0);
    assert_alive(&scene, &[&ann, &caller, &other]).await;
    refresh(&scene.store, &[successors("one")], &token).await.unwrap();
}

async fn a_session_that_has_ended_can_do_nothing<DB: Engine>(scene: Scene<DB>) {
    let (ann, phone) = scene.register("ann").await;
    let (bob, _) = scene.register("bob").await;
    let (laptop, token) = scene.log_in_with_token(&ann).await;
    scene.store.revoke_session(&phone, laptop.session_id(), None).await.unwrap();
    // One that never was, and one that is somebody else's, with this one's user.
    let never = scene.caller(&ann);
    assert_ended(&scene, &[&laptop, &never, &scene.caller(&bob)]).await;
    let gone = refresh(&scene.store, &[successors("one")], &token).await;
    assert_eq!(refusal(gone), Refusal::RefreshUnknown);
    let account = scene.store.account(&phone).await.unwrap();
    assert_eq!((account.user, account.password_hash), (ann, hash("ann")));
    assert_alive(&scene, &[&phone]).await;
    let tokens = "select count(*) as it from refresh_tokens";
    assert_eq!(scene.column::<i64>(tokens).await, [2], "those of the two that are left");
}

async fn a_user_ends_every_other_session<DB: Engine>(scene: Scene<DB>) {
    let (ann, phone) = scene.register("ann").await;
    let (_, bob) = scene.register("bob").await;
    let (laptop, tablet) = (scene.log_in(&ann).await, scene.log_in(&ann).await);
    assert_eq!(scene.store.revoke_other_sessions(&tablet).await.unwrap(), 2);
    assert_eq!(scene.store.revoke_other_sessions(&tablet).await.unwrap(), 0);
    assert_alive(&scene, &[&tablet, &bob]).await;
    assert_ended(&scene, &[&phone, &laptop]).await;
    assert_eq!(causes(&scene).await, caused("OTHER_SESSIONS", &[&phone, &laptop]));
}

async fn a_new_password_ends_every_other_session<DB: Engine>(scene: Scene<DB>) {
    let (ann, phone) = scene.register("ann").await;
    let (_, bob) = scene.register("bob").await;
    let laptop = scene.log_in(&ann).await;
    let late = scene.store.change_password(&phone, 7, hash("new")).await;
    assert_eq!(refusal(late), Refusal::PasswordChanged);
    assert_alive(&scene, &[&phone, &laptop]).await;
    scene.store.change_password(&phone, 0, hash("new")).await.unwrap();
    assert_alive(&scene, &[&phone, &bob]).await;
    assert_ended(&scene, &[&laptop]).await;
    assert_eq!(causes(&scene).await, caused("PASSWORD_CHANGE", &[&laptop]));
}

async fn an_operator_ends_every_session<DB: Engine>(scene: Scene<DB>) {
    let (ann, phone) = scene.register("ann").await;
    let (bob, other) = scene.register("bob").await;
    let laptop = scene.log_in(&ann).await;
    scene.store.set_disabled(ann.id, true).await.unwrap();
    assert_ended(&scene, &[&phone, &laptop]).await;
    assert_alive(&scene, &[&other]).await;
    assert_eq!(causes(&scene).await, caused("DISABLE", &[&phone, &laptop]));
    assert!(scene.store.find_by_id(ann.id).await.unwrap().unwrap().is_disabled);
    scene.store.set_disabled(ann.id, false).await.unwrap();
    assert!(!scene.store.find_by_id(ann.id).await.unwrap().unwrap().is_disabled);
    let again = scene.log_in(&ann).await;
    assert_alive(&scene, &[&again, &other]).await;
    assert_ended(&scene, &[&phone, &laptop]).await;

    scene.store.set_password(bob.id, hash("new")).await.unwrap();
    assert_ended(&scene, &[&other]).await;
    assert_alive(&scene, &[&again]).await;
    let account = scene.store.find_by_id(bob.id).await.unwrap().unwrap();
    assert_eq!((account.password_hash, account.password_version), (hash("new"), 1));
    let revoked = scene.revoked().await;
    assert_eq!(revoked[2].0, other.session_id());
    assert_eq!((revoked[2].1.as_str(), revoked.len()), ("SET_PASSWORD", 3));
    let nobody = scene.store.set_disabled(Uuid::new_v4(), true).await;
    assert_eq!(refusal(nobody), Refusal::UserNotFound);
}

async fn logging_out_works_with_any_token_of_the_session_and_may_be_repeated<DB: Engine>(
    scene: Scene<DB>,
) {
    let (ann, phone) = scene.register("ann").await;
    let secret = [successors("one")];
    let mut ended = Vec::new();
    for uses in 0..3 {
        let (caller, first) = scene.log_in_with_token(&ann).await;
        let mut tokens = vec![first];
        for _ in 0..uses {
            tokens.push(refresh(&scene.store, &secret, tokens.last().unwrap()).await.unwrap().1);
        }
        // The oldest of them: long used, or not at all.
        scene.store.log_out(tokens[0].hash()).await.unwrap();
        for token in &tokens {
            scene.store.log_out(token.hash()).await.unwrap();
            let gone = refresh(&scene.store, &secret, token).await;
            assert_eq!(refusal(gone), Refusal::RefreshUnknown);
        }
        assert_ended(&scene, &[&caller]).await;
        ended.push(caller);
    }
    let ended: Vec<&Caller> = ended.iter().collect();
    assert_eq!(causes(&scene).await, caused("LOGOUT", &ended), "once each");
    assert_alive(&scene, &[&phone]).await;
}
