//! `TrustService.WatchErasures`: whom a service is told of, and from where it goes on.

use std::time::Duration;

use auth_service::store::MIGRATIONS;
use e2e::{AuthServer, Engine, Person, on_every_engine, refused};
use shared::{
    database::{self, Database, Settings, Statement},
    ids::new_id,
    on_engine,
    pb::auth::{TrustHead, WatchErasuresRequest, WatchErasuresResponse, WatchTrustRequest},
};
use tonic::Code;
use uuid::Uuid;

use super::{
    account,
    erasing::{Listener, deleted, token_with_scope},
    invalid, register, service_token,
    watcher::{client, end_one},
};

on_every_engine!(
    a_new_service_is_told_of_everybody_in_order,
    it_goes_on_from_its_cursor,
    a_cursor_of_nowhere_is_none,
    a_cursor_that_another_server_was_faster_to_give_is_one,
    after_a_reset_everybody_is_told_of_again,
    what_comes_in_pages_is_told_whole,
    whoever_goes_through_another_server_is_told_of,
    only_services_with_the_scope_may_watch,
);

fn id(person: &Person) -> Uuid {
    person.user.id.parse().unwrap()
}

/// Registers these people and deletes them, one after another.
async fn lose(server: &AuthServer, names: &[&'static str]) -> Vec<Uuid> {
    let mut gone = Vec::new();
    for name in names {
        let mut person = server.register(name).await;
        deleted(&mut person).await;
        gone.push(id(&person));
    }
    gone
}

async fn a_new_service_is_told_of_everybody_in_order(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut first = Listener::start(&server, None).await;
    assert_eq!(first.message().await.unwrap(), WatchErasuresResponse::default(), "it is there");
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    // In the order of the deletions, not of the registrations.
    deleted(&mut bob).await;
    server.clock.advance(Duration::from_secs(1));
    deleted(&mut ann).await;
    let message = first.message().await.unwrap();
    let told = message.deleted_user.unwrap();
    assert_eq!(told.user_id, bob.user.id);
    let before = server.clock.now().minus(Duration::from_secs(1));
    assert_eq!(told.delete_time, Some(before.into()));
    assert_eq!(first.told().await.0, id(&ann));
    let mut second = Listener::start(&server, None).await;
    assert_eq!(second.told_of(2).await, [id(&bob), id(&ann)]);
    let carl = lose(&server, &["carl"]).await;
    for listener in [&mut first, &mut second] {
        assert_eq!(listener.told_of(1).await, carl);
    }
}

async fn it_goes_on_from_its_cursor(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let gone = lose(&server, &["ann", "bob", "carl"]).await;
    let mut listener = Listener::start(&server, None).await;
    let mut cursors = Vec::new();
    for user in &gone {
        let (told, cursor) = listener.told().await;
        assert_eq!(told, *user);
        cursors.push(cursor);
    }
    // What is revoked moves the head too, and no cursor waits for that.
    register(&mut server.anonymous(), account("ann")).await;
    end_one(&server).await;
    for (place, cursor) in cursors.into_iter().enumerate() {
        let mut again = Listener::start(&server, Some(cursor)).await;
        assert_eq!(again.told_of(2 - place).await, gone[place + 1..]);
    }
    lose(&server, &["eve"]).await;
    let last = listener.told().await.1;
    let mut again = Listener::start(&server, Some(last)).await;
    let next = lose(&server, &["fay"]).await;
    assert_eq!(again.told_of(1).await, next);
}

async fn a_cursor_of_nowhere_is_none(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let gone = lose(&server, &["ann", "bob"]).await;
    let cursor = Listener::start(&server, None).await.told().await.1;
    let head = |epoch: &str, sequence| Some(TrustHead { epoch: epoch.to_owned(), sequence });
    let foreign = Uuid::new_v4().to_string();
    for cursor in [head(&foreign, 1), head(&cursor.epoch, 1_000), head(&cursor.epoch, i64::MAX)] {
        let mut listener = Listener::start(&server, cursor).await;
        assert_eq!(listener.told_of(2).await, gone);
    }
    let mut listener = Listener::start(&server, head(&cursor.epoch, 0)).await;
    assert_eq!(listener.told_of(2).await, gone, "the beginning is a place like any other");

    let token = service_token(&server, "listener").await;
    for (cursor, fields) in [
        (head("", 1), ["cursor.epoch"].as_slice()),
        (head("x", 1), &["cursor.epoch"]),
        (head(&foreign, -1), &["cursor.sequence"]),
        (head("x", i64::MIN), &["cursor.sequence", "cursor.epoch"]),
    ] {
        let request = WatchErasuresRequest { cursor };
        assert_eq!(invalid(client(&server, &token).watch_erasures(request).await), fields);
    }
}

async fn a_cursor_that_another_server_was_faster_to_give_is_one(on: Engine) {
    let one = AuthServer::start_on(on).await;
    let two = AuthServer::start_at(one.place.clone(), one.clock.clone(), []).await;
    let token = service_token(&one, "listener").await;
    let listen = async |server: &AuthServer, cursor| {
        Listener::try_start(server, &token, cursor).await.unwrap().into_inner()
    };
    lose(&one, &["ann"]).await;
    let mut cursor = listen(&one, None).await.told().await.1;
    for (place, names) in [["bob", "carl"], ["dave", "eve"], ["fay", "gus"]].iter().enumerate() {
        let (here, there) = if place % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let mut listener = listen(here, Some(cursor)).await;
        let gone = lose(here, &names[..1]).await;
        let (told, at) = listener.told().await;
        assert_eq!(told, gone[0]);
        let mut listener = listen(there, Some(at)).await;
        let gone = lose(there, &names[1..]).await;
        let (told, at) = listener.told().await;
        assert_eq!(told, gone[0], "nobody is told of twice");
        cursor = at;
    }
}

async fn after_a_reset_everybody_is_told_of_again(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let gone = lose(&server, &["ann", "bob"]).await;
    let mut listener = Listener::start(&server, None).await;
    listener.told().await;
    let before = listener.told().await.1;
    server.operate("trust reset").await.unwrap();
    let (told, after) = listener.told().await;
    assert_eq!((told, listener.told().await.0), (gone[0], gone[1]));
    assert_ne!(after.epoch, before.epoch);
    let mut other = Listener::start(&server, Some(before)).await;
    assert_eq!(other.told_of(2).await, gone, "so is who was away meanwhile");
    let mut other = Listener::start(&server, Some(after)).await;
    assert_eq!(other.told_of(1).await, gone[1..]);
}

/// Puts deletions into a database without a server, each a few places after the one before.
async fn insert<DB: database::Engine>(settings: &Settings, users: &[Uuid]) {
    let database = Database::<DB>::open(settings, &MIGRATIONS).await.unwrap();
    let mut connection = database.connect_writer().await.unwrap();
    Statement::<DB>::new("begin").all(&mut connection).await.unwrap();
    let mut last = 0;
    for (place, user) in (1_i64..).zip(users) {
        last = place * 3;
        let insert = "insert into erasures (user_id, id, delete_time) values ($1, $2, 1)";
        let statement = Statement::<DB>::new(insert).bind(*user).bind(Uuid::new_v4());
        statement.all(&mut connection).await.unwrap();
        let insert = "insert into erasure_feed (sequence, user_id) values ($1, $2)";
        let statement = Statement::<DB>::new(insert).bind(last).bind(*user);
        statement.all(&mut connection).await.unwrap();
    }
    let update = Statement::<DB>::new("update trust_head set sequence = $1").bind(last);
    update.all(&mut connection).await.unwrap();
    Statement::<DB>::new("commit").all(&mut connection).await.unwrap();
}

async fn what_comes_in_pages_is_told_whole(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (config, clock) = (server.config(), server.clock.clone());
    let place = server.stop().await;
    let users: Vec<_> = (0..600).map(|_| new_id(clock.now())).collect();
    on_engine!(config.database, DB => insert::<DB>(&config.database, &users).await);
    let server = AuthServer::start_at(place, clock, []).await;
    let mut listener = Listener::start(&server, None).await;
    let (mut told, mut cursors) = (Vec::new(), Vec::new());
    for _ in &users {
        let (user, cursor) = listener.told().await;
        told.push(user);
        cursors.push(cursor);
    }
    assert_eq!(told, users);
    // The end of a page is a place like any other.
    for at in [254, 255, 256, 257, 511, 512] {
        let mut listener = Listener::start(&server, Some(cursors[at].clone())).await;
        assert_eq!(listener.told_of(599 - at).await, users[at + 1..], "{at}");
    }
    let next = lose(&server, &["ann"]).await;
    assert_eq!(listener.told_of(1).await, next);
}

async fn whoever_goes_through_another_server_is_told_of(on: Engine) {
    let one = AuthServer::start_on(on).await;
    let two = AuthServer::start_at(one.place.clone(), one.clock.clone(), []).await;
    let mut listeners = [Listener::start(&one, None).await, Listener::start(&two, None).await];
    for (server, name) in [(&one, "ann"), (&two, "bob"), (&one, "carl")] {
        let gone = lose(server, &[name]).await;
        for listener in &mut listeners {
            assert_eq!(listener.told_of(1).await, gone);
        }
    }
}

async fn only_services_with_the_scope_may_watch(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let watcher = token_with_scope(&server, "watcher", "trust.watch").await;
    let eraser = token_with_scope(&server, "eraser", "erasure.confirm").await;
    let watch = async |token: &str| {
        client(&server, token).watch_erasures(WatchErasuresRequest::default()).await
    };
    let user = refused(watch(&ann.token).await);
    assert_eq!(user.kind(), (Code::PermissionDenied, "SERVICE_TOKEN_REQUIRED"));
    let other = refused(watch(&watcher).await);
    assert_eq!(other.kind(), (Code::PermissionDenied, "SCOPE_MISSING"));
    assert!(other.message.contains("erasure.confirm"), "{}", other.message);
    watch(&eraser).await.unwrap();
    let trust = WatchTrustRequest::default();
    let other = refused(client(&server, &eraser).watch_trust(trust.clone()).await);
    assert_eq!(other.kind(), (Code::PermissionDenied, "SCOPE_MISSING"));
    client(&server, &watcher).watch_trust(trust).await.unwrap();
}
