//! `TrustService.WatchTrust`: whatever ends something, and wherever, every watcher hears of it.

use std::{collections::BTreeSet, time::Duration};

use e2e::{AuthServer, Engine, PASSWORD, on_every_engine};
use shared::pb::auth::{
    ChangePasswordRequest, RevokeOtherSessionsRequest, RevokeSessionRequest,
    SigningKeyState::{Active, Pending, Retiring},
    Tokens,
};
use uuid::Uuid;

use super::{
    refresh, refreshed, session,
    watcher::{Watcher, end_one},
};

on_every_engine!(
    whatever_ends_a_session_is_told,
    what_happens_through_another_server_is_told,
    keys_are_told_as_they_come_and_begin_to_sign,
    a_reset_is_a_snapshot_of_another_epoch,
);

fn id(tokens: &Tokens) -> Uuid {
    Uuid::parse_str(&tokens.session_id).unwrap()
}

/// Waits until these have been told, and nothing else.
async fn assert_told(watcher: &mut Watcher, expected: &[Uuid]) {
    let (expected, mut told): (BTreeSet<_>, _) =
        (expected.iter().copied().collect(), BTreeSet::new());
    while told != expected {
        told.extend(watcher.news().await.revoked);
        assert!(told.is_subset(&expected), "{told:?} are not all of {expected:?}");
    }
}

async fn whatever_ends_a_session_is_told(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let mut watcher = Watcher::start(&server, None).await;
    watcher.told().await;
    let begin = async || session(&server, "ann").await;

    let ended = end_one(&server).await;
    assert_told(&mut watcher, &[ended]).await;
    let (caller, other) = (begin().await, begin().await);
    let mut ann = server.bearer(&caller.access_token).users;
    let request = RevokeSessionRequest { id: other.session_id.clone(), ..Default::default() };
    ann.revoke_session(request).await.unwrap();
    assert_told(&mut watcher, &[id(&other)]).await;

    let other = begin().await;
    let next = refreshed(&server, &other.refresh_token).await;
    refreshed(&server, &next.refresh_token).await;
    refresh(&server, &other.refresh_token).await.unwrap_err();
    assert_told(&mut watcher, &[id(&other)]).await;

    // The first session, of the registration, is one of the others.
    ann.revoke_other_sessions(RevokeOtherSessionsRequest {}).await.unwrap();
    assert_eq!(watcher.news().await.revoked.len(), 1);
    let others = [begin().await, begin().await];
    let new = "something else altogether";
    let request = ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: new.to_owned(),
    };
    ann.change_password(request).await.unwrap();
    assert_told(&mut watcher, &others.map(|tokens| id(&tokens))).await;

    server.operate_with("users set-password ann", PASSWORD).await.unwrap();
    assert_told(&mut watcher, &[id(&caller)]).await;
    let ended = [begin().await, begin().await];
    server.operate("users disable ann").await.unwrap();
    assert_told(&mut watcher, &ended.map(|tokens| id(&tokens))).await;
}

async fn what_happens_through_another_server_is_told(on: Engine) {
    let one = AuthServer::start_on(on).await;
    let two = AuthServer::start_at(one.place.clone(), one.clock.clone(), []).await;
    one.register("ann").await;
    let mut watchers = [Watcher::start(&one, None).await, Watcher::start(&two, None).await];
    for watcher in &mut watchers {
        watcher.told().await;
    }
    for server in [&one, &two, &one] {
        let ended = end_one(server).await;
        for watcher in &mut watchers {
            assert_told(watcher, &[ended]).await;
        }
    }
}

async fn keys_are_told_as_they_come_and_begin_to_sign(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut watcher = Watcher::start(&server, None).await;
    let first = watcher.told().await.keys;
    server.operate("keys rotate").await.unwrap();
    let states = |keys: &[shared::pb::auth::SigningKey]| {
        keys.iter().map(shared::pb::auth::SigningKey::state).collect::<Vec<_>>()
    };
    let told = watcher.news().await;
    assert_eq!((states(&told.keys), told.is_snapshot), (vec![Active, Pending], false));
    assert_eq!(told.keys[0], first[0]);
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(states(&watcher.news().await.keys), [Retiring, Active]);
}

async fn a_reset_is_a_snapshot_of_another_epoch(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let mut watcher = Watcher::start(&server, None).await;
    let before = watcher.told().await.head;
    let ended = end_one(&server).await;
    assert_told(&mut watcher, &[ended]).await;
    server.operate("trust reset").await.unwrap();
    let told = watcher.news().await;
    assert!(told.is_snapshot);
    assert_ne!(told.head.epoch, before.epoch);
    assert_eq!((told.revoked, told.head.sequence), ([ended].into(), before.sequence + 2));
    // Who was away meanwhile is told everything too.
    let told = Watcher::start(&server, Some(before)).await.told().await;
    assert!(told.is_snapshot && told.revoked == [ended].into());
}
