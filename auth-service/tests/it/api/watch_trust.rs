//! `TrustService.WatchTrust`: what a watcher is told, and when.

use std::{collections::BTreeSet, time::Duration};

use auth_service::{feed::PAGE, store::MIGRATIONS};
use e2e::{AuthServer, Engine, on_every_engine, refused};
use shared::{
    clock::Time,
    database::{self, Database, Statement},
    on_engine,
    pb::auth::{
        ListSigningKeysRequest, TrustHead, WatchTrustRequest,
        trust_service_client::TrustServiceClient,
    },
};
use tokio::time::Instant;
use tonic::Code;
use uuid::Uuid;

use super::{
    invalid, service_token,
    watcher::{Watcher, client, end_one},
};

on_every_engine!(
    a_new_watcher_is_told_everything_at_once,
    a_snapshot_comes_in_parts_and_its_head_with_the_last,
    who_comes_back_is_told_what_was_missed,
    a_head_of_nowhere_is_none,
    services_alone_may_watch,
    when_nothing_happens_that_is_told_too,
);

async fn a_new_watcher_is_told_everything_at_once(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let ended = end_one(&server).await;
    let mut watcher = Watcher::start(&server, None).await;
    let mut revoked = BTreeSet::new();
    let told = watcher.told().await;
    assert!(told.is_snapshot);
    let keys = server.anonymous().auth.list_signing_keys(ListSigningKeysRequest {}).await.unwrap();
    assert_eq!(told.keys, keys.into_inner().signing_keys);
    revoked.extend(told.revoked);
    // The first message tells of the moment of the last look; the next one is up to date.
    revoked.extend(watcher.told().await.revoked);
    assert_eq!(revoked, [ended].into());
    let other = end_one(&server).await;
    let told = watcher.news().await;
    assert_eq!((told.revoked, told.is_snapshot, told.keys), ([other].into(), false, vec![]));
}

/// Puts revocations into a database without a server.
async fn insert<DB: database::Engine>(settings: &database::Settings, ids: &[Uuid], end: Time) {
    let database = Database::<DB>::open(settings, &MIGRATIONS).await.unwrap();
    let mut connection = database.connect_writer().await.unwrap();
    Statement::<DB>::new("begin").all(&mut connection).await.unwrap();
    for (place, id) in (1_i64..).zip(ids) {
        let insert = "insert into revocations (sequence, id, cause, create_time, expire_time)
                      values ($1, $2, 'LOGOUT', 0, $3)";
        let statement = Statement::<DB>::new(insert).bind(place).bind(*id).bind(end.micros());
        statement.all(&mut connection).await.unwrap();
    }
    let update = Statement::<DB>::new("update trust_head set sequence = $1");
    let update = update.bind(i64::try_from(ids.len()).unwrap());
    update.all(&mut connection).await.unwrap();
    Statement::<DB>::new("commit").all(&mut connection).await.unwrap();
}

async fn a_snapshot_comes_in_parts_and_its_head_with_the_last(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (config, clock) = (server.config(), server.clock.clone());
    let place = server.stop().await;
    let ids: Vec<_> = (0..10_000).map(|_| Uuid::new_v4()).collect();
    let end = clock.now().plus(Duration::from_mins(15));
    on_engine!(config.database, DB => insert::<DB>(&config.database, &ids, end).await);
    let server = AuthServer::start_at(place, clock, []).await;
    let told = Watcher::start(&server, None).await.told().await;
    let page = usize::try_from(PAGE).unwrap();
    assert_eq!(told.sizes, [page, page, 10_000 - 2 * page]);
    assert!(told.is_snapshot && !told.keys.is_empty());
    assert_eq!(told.head.sequence, 10_000);
    assert_eq!(told.revoked, ids.iter().copied().collect());
    // A delta of that size comes in parts too.
    let head = TrustHead { sequence: 1_000, ..told.head };
    let told = Watcher::start(&server, Some(head)).await.told().await;
    assert_eq!((told.sizes.as_slice(), told.is_snapshot), ([page, page, 808].as_slice(), false));
    assert_eq!(told.revoked, ids[1_000..].iter().copied().collect());
}

async fn who_comes_back_is_told_what_was_missed(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let mut watcher = Watcher::start(&server, None).await;
    let before = end_one(&server).await;
    let mut told = watcher.told().await;
    while !told.revoked.contains(&before) {
        told = watcher.told().await;
    }
    let head = told.head;
    drop(watcher);
    let mut missed = BTreeSet::new();
    for _ in 0..3 {
        missed.insert(end_one(&server).await);
    }
    let mut watcher = Watcher::start(&server, Some(head.clone())).await;
    let (mut told, mut seen) = (watcher.told().await, BTreeSet::new());
    assert!(!told.is_snapshot && !told.keys.is_empty(), "the keys come in any case");
    while told.head.sequence < head.sequence + 3 {
        seen.extend(told.revoked);
        told = watcher.told().await;
    }
    seen.extend(told.revoked);
    assert_eq!(seen, missed);
    let mut watcher = Watcher::start(&server, Some(told.head.clone())).await;
    let again = watcher.told().await;
    assert_eq!((again.head, again.revoked, again.is_snapshot), (told.head, [].into(), false));
}

async fn a_head_of_nowhere_is_none(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let ended = end_one(&server).await;
    let mut watcher = Watcher::start(&server, None).await;
    let mut head = watcher.told().await.head;
    while head.sequence == 0 {
        head = watcher.told().await.head;
    }
    let epoch = Uuid::new_v4().to_string();
    for nowhere in [
        TrustHead { epoch, sequence: head.sequence },
        TrustHead { epoch: Uuid::nil().to_string(), sequence: 0 },
        TrustHead { sequence: head.sequence + 1, ..head.clone() },
        TrustHead { sequence: i64::MAX, ..head.clone() },
    ] {
        let told = Watcher::start(&server, Some(nowhere.clone())).await.told().await;
        assert!(told.is_snapshot, "{nowhere:?}");
        assert_eq!((told.revoked, &told.head), ([ended].into(), &head));
    }
    let token = service_token(&server, "watcher").await;
    for (epoch, sequence, fields) in [
        ("", 0, vec!["head.epoch"]),
        ("x", 0, vec!["head.epoch"]),
        (&head.epoch, -1, vec!["head.sequence"]),
        ("x", i64::MIN, vec!["head.sequence", "head.epoch"]),
    ] {
        let head = TrustHead { epoch: epoch.to_owned(), sequence };
        let request = WatchTrustRequest { head: Some(head) };
        assert_eq!(invalid(client(&server, &token).watch_trust(request).await), fields);
    }
}

async fn services_alone_may_watch(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    for (token, expected) in [
        (ann.token.as_str(), (Code::PermissionDenied, "SERVICE_TOKEN_REQUIRED")),
        ("x", (Code::Unauthenticated, "TOKEN_INVALID")),
    ] {
        let answer = client(&server, token).watch_trust(WatchTrustRequest { head: None }).await;
        assert_eq!(refused(answer).kind(), expected);
    }
    let mut nobody = TrustServiceClient::new(server.channel());
    let missing = refused(nobody.watch_trust(WatchTrustRequest { head: None }).await);
    assert_eq!(missing.kind(), (Code::Unauthenticated, "TOKEN_MISSING"));
}

async fn when_nothing_happens_that_is_told_too(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut watcher = Watcher::start(&server, None).await;
    let first = watcher.told().await;
    let begun = Instant::now();
    for _ in 0..4 {
        let told = watcher.told().await;
        assert_eq!((told.head, told.is_snapshot), (first.head.clone(), false));
        assert_eq!((told.keys, told.revoked), (vec![], [].into()));
    }
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}
