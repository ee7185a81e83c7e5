//! Revocations: how each comes to be written down, for how long, and what becomes of it.

use std::{collections::BTreeSet, time::Duration};

use auth_service::{
    keeper,
    revocations::Cause,
    secret_key::Secrets,
    services::{SCOPES, Service},
    store::TrustState,
};
use shared::{
    clock::Time,
    database::Engine,
    trust::{Head, MAX_TOKEN_LIFE},
};
use uuid::Uuid;

use super::{LIVES, Scene, hash, on_every_engine, refresh, successors};

on_every_engine!(
    Scene:
    each_cause_is_written_down,
    a_revocation_lasts_as_long_as_the_last_token,
    of_tokens_that_are_long_dead_nobody_need_hear,
    revocations_are_read_in_their_order_and_page_by_page,
    what_is_forgotten_is_said_before_it_is_gone,
    a_reset_renews_the_epoch_and_loses_nothing,
    processes_that_begin_at_once_share_one_epoch,
    a_revocation_that_contradicts_the_types_is_a_fault,
);

/// How long revocations are kept beyond the last token.
const GRACE: Duration = Duration::from_hours(1);
const TICK: Duration = Duration::from_micros(1);

async fn each_cause_is_written_down<DB: Engine>(scene: Scene<DB>) {
    let (store, secrets) = (&scene.store, Secrets::only("one"));
    keeper::open(store, &secrets, &scene.clock).await.unwrap();
    let (ann, first) = scene.register("ann").await;
    for _ in 0..100 {
        scene.later();
        scene.log_in(&ann).await;
    }
    let (caller, token) = scene.log_in_with_token(&ann).await;
    store.log_out(token.hash()).await.unwrap();
    let (reused, token) = scene.log_in_with_token(&ann).await;
    refresh(store, &[successors("one")], &token).await.unwrap();
    scene.clock.advance(Duration::from_secs(61));
    refresh(store, &[successors("one")], &token).await.unwrap_err();
    let caller_of_all = scene.log_in(&ann).await;
    store.revoke_session(&caller_of_all, caller_of_all.session_id(), None).await.unwrap();
    let caller_of_all = scene.log_in(&ann).await;
    store.revoke_other_sessions(&caller_of_all).await.unwrap();
    scene.log_in(&ann).await;
    store.change_password(&caller_of_all, 0, hash("new")).await.unwrap();
    store.set_password(ann.id, hash("newer")).await.unwrap();
    let (bob, _) = scene.register("bob").await;
    store.set_disabled(bob.id, true).await.unwrap();
    let (_, eve) = scene.register("eve").await;
    store.delete_user(&eve, 0, Uuid::new_v4()).await.unwrap();
    let kid = store.signing_keys().await.unwrap()[0].key.public.kid().to_owned();
    keeper::revoke(store, &secrets, &kid, Duration::from_mins(1), &scene.clock).await.unwrap();
    add_service(&scene, "task-service").await;
    store.remove_service("task-service".to_owned()).await.unwrap();

    let revoked = scene.revoked().await;
    let causes: BTreeSet<_> = revoked.iter().map(|(_, cause, _)| cause.as_str()).collect();
    assert_eq!(causes, Cause::ALL.map(Cause::as_str).into());
    let ids: BTreeSet<_> = revoked.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids.len(), revoked.len(), "nothing ends twice");
    for ended in [first, caller, reused, caller_of_all] {
        assert!(ids.contains(&ended.session_id()));
    }
}

async fn add_service<DB: Engine>(scene: &Scene<DB>, name: &str) {
    let secret = Service::make_secret().unwrap();
    let scopes = SCOPES.map(str::to_owned).to_vec();
    let service = Service::new(name.to_owned(), &secret, scopes, scene.clock.now()).unwrap();
    scene.store.add_service(service).await.unwrap();
}

async fn a_revocation_lasts_as_long_as_the_last_token<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (caller, token) = scene.log_in_with_token(&ann).await;
    scene.clock.advance(Duration::from_hours(3));
    refresh(&scene.store, &[successors("one")], &token).await.unwrap();
    let last = scene.clock.now().plus(LIVES.token);
    // The clock is set back: what was issued since then lives on by every other clock.
    scene.clock.set(scene.clock.now().minus(Duration::from_hours(2)));
    let again = refresh(&scene.store, &[successors("one")], &token).await.unwrap();
    assert_eq!(again.0.session.token_expire_time, last);
    scene.store.revoke_session(&caller, caller.session_id(), None).await.unwrap();
    assert_eq!(scene.revoked().await, [(caller.session_id(), "SESSION".to_owned(), last)]);

    add_service(&scene, "task-service").await;
    let id = scene.store.services().await.unwrap()[0].id;
    scene.store.remove_service("task-service".to_owned()).await.unwrap();
    let last = scene.clock.now().plus(MAX_TOKEN_LIFE);
    assert_eq!(scene.revoked().await[1], (id, "SERVICE_REMOVE".to_owned(), last));
}

async fn of_tokens_that_are_long_dead_nobody_need_hear<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.account("ann").await;
    let (just, dead) = (scene.log_in(&ann).await, scene.log_in(&ann).await);
    let by = scene.log_in(&ann).await;
    scene.clock.advance((LIVES.token + GRACE).saturating_sub(TICK));
    scene.store.revoke_session(&by, just.session_id(), None).await.unwrap();
    let told = scene.revoked().await;
    assert_eq!(told.len(), 1);
    scene.clock.advance(TICK);
    scene.store.revoke_session(&by, dead.session_id(), None).await.unwrap();
    scene.store.account(&dead).await.unwrap_err();
    assert_eq!(scene.revoked().await, told);
    assert_eq!(scene.head().await, 1);
}

/// Ends so many sessions, all of one user; the answer is their ids.
async fn revoke<DB: Engine>(scene: &Scene<DB>, count: usize) -> Vec<Uuid> {
    let user = scene.account("many").await;
    let mut ids = Vec::new();
    for _ in 0..count {
        let caller = scene.log_in(&user).await;
        scene.store.revoke_session(&caller, caller.session_id(), None).await.unwrap();
        ids.push(caller.session_id());
    }
    ids
}

async fn revocations_are_read_in_their_order_and_page_by_page<DB: Engine>(scene: Scene<DB>) {
    let ids = revoke(&scene, 10).await;
    let read = async |after, through, most| {
        let page = scene.second_store().await.revocations(after, through, most).await.unwrap();
        page.into_iter().map(|(place, it)| (place, it.id)).collect::<Vec<_>>()
    };
    let all: Vec<_> = (1..).zip(ids).collect();
    assert_eq!(read(0, 10, 100).await, all);
    assert_eq!(read(3, 7, 100).await, all[3..7]);
    assert_eq!(read(3, 10, 2).await, all[3..5]);
    assert_eq!(read(10, 10, 100).await, []);
    assert_eq!(read(0, 10, 0).await, []);
    let expire_time = scene.clock.now().plus(LIVES.token);
    let told = scene.store.revocations(0, 10, 100).await.unwrap();
    assert!(told.iter().all(|(_, revocation)| revocation.expire_time == expire_time));
}

async fn what_is_forgotten_is_said_before_it_is_gone<DB: Engine>(scene: Scene<DB>) {
    revoke(&scene, 5).await;
    let expire_time = scene.clock.now().plus(LIVES.token);
    let state = async || scene.store.trust().await.unwrap().0;
    assert_eq!(state().await.forgotten, Time::MIN);
    scene.clock.advance(LIVES.token + GRACE);
    assert_eq!(scene.store.sweep_revocations(2).await.unwrap(), 0, "they may still be needed");
    assert_eq!(state().await.forgotten, Time::MIN);
    scene.clock.advance(TICK);
    for count in [0, 2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_revocations(2).await.unwrap(), count);
        assert_eq!(state().await.forgotten, expire_time.plus(TICK));
    }
    assert_eq!(scene.revoked().await, []);
    assert_eq!(scene.head().await, 5, "forgetting is no change");
    // A clock that is set back brings nothing back, and one that is days ahead forgets nothing that
    // nobody has revoked.
    let kept = state().await;
    for time in [expire_time, expire_time.plus(Duration::from_hours(100))] {
        scene.clock.set(time);
        scene.store.sweep_revocations(2).await.unwrap();
        assert_eq!(state().await, kept);
    }
}

async fn a_reset_renews_the_epoch_and_loses_nothing<DB: Engine>(scene: Scene<DB>) {
    revoke(&scene, 3).await;
    let (before, revoked) = (scene.store.trust().await.unwrap().0, scene.revoked().await);
    assert!(scene.store.reset_trust(None).await.unwrap());
    let after = scene.second_store().await.trust().await.unwrap().0;
    assert_ne!(after.head.epoch, before.head.epoch);
    let head = Head { sequence: 4, ..after.head };
    assert_eq!(after, TrustState { head, ..before });
    assert_eq!(scene.revoked().await, revoked);
    assert!(scene.store.reset_trust(None).await.unwrap());
    assert_ne!(scene.store.trust().await.unwrap().0.head.epoch, after.head.epoch);
}

async fn processes_that_begin_at_once_share_one_epoch<DB: Engine>(scene: Scene<DB>) {
    scene.by_hand("delete from trust_head").await;
    let (one, two, three) =
        tokio::join!(scene.second_store(), scene.second_store(), scene.second_store());
    let first = one.trust().await.unwrap().0;
    assert_eq!((first.head.sequence, first.forgotten), (0, Time::MIN));
    for store in [&two, &three, &scene.second_store().await] {
        assert_eq!(store.trust().await.unwrap().0, first);
    }
    assert_eq!(scene.column::<i64>("select count(*) as it from trust_head").await, [1]);
}

async fn a_revocation_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    revoke(&scene, 1).await;
    scene.by_hand("update revocations set expire_time = 9223372036854775807").await;
    let fault = scene.store.revocations(0, 1, 1).await.unwrap_err().to_string();
    assert!(fault.contains("revocations.expire_time"), "{fault}");
    scene.by_hand("update trust_head set forgotten_time = -9223372036854775807").await;
    let fault = scene.store.trust().await.unwrap_err().to_string();
    assert!(fault.contains("trust_head.forgotten_time"), "{fault}");
}
