//! `TrustService.WatchTrust`: how a stream ends, and when it is silent.

use std::time::Duration;

use e2e::{
    AuthServer, Engine, PASSWORD, clock, on_every_engine, on_postgres, postgres::Server, refused,
    until,
};
use tonic::{Code, Response};

use super::{
    login, service_token,
    watcher::{Watcher, end_one},
};

on_every_engine!(
    it_ends_with_its_token,
    it_ends_with_its_service,
    it_ends_with_the_key_of_its_token,
    it_ends_with_the_server,
);
on_postgres!(
    while_the_database_is_away_nothing_is_told,
    a_token_that_ends_while_the_database_is_away_is_no_word_of_it,
);

async fn it_ends_with_its_token(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut watcher = Watcher::start(&server, None).await;
    let head = watcher.told().await.head;
    server.clock.advance(Duration::from_secs(15 * 60 + 4));
    for _ in 0..2 {
        watcher.told().await;
    }
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(watcher.end().await, (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()));
    // With a new one it goes on from where it was.
    let told = Watcher::start(&server, Some(head.clone())).await.told().await;
    assert_eq!((told.head, told.is_snapshot), (head, false));
}

async fn it_ends_with_its_service(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut watcher = Watcher::start(&server, None).await;
    watcher.told().await;
    let token = service_token(&server, "other").await;
    let mut other = Watcher::try_start(&server, &token, None).await.unwrap().into_inner();
    server.operate("services remove watcher").await.unwrap();
    assert_eq!(watcher.news().await.revoked.len(), 1, "what ends it is what it is told last");
    assert_eq!(watcher.end().await, (Code::Unauthenticated, "TOKEN_REVOKED".to_owned()));
    let mut told = other.told().await;
    while told.revoked.is_empty() {
        told = other.told().await;
    }
    other.told().await;
}

async fn it_ends_with_the_key_of_its_token(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut watcher = Watcher::start(&server, None).await;
    let kid = watcher.told().await.keys.remove(0).kid;
    server.operate(&format!("keys revoke {kid}")).await.unwrap();
    assert_eq!(watcher.end().await, (Code::Unauthenticated, "TOKEN_REVOKED".to_owned()));
}

async fn it_ends_with_the_server(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut watcher = Watcher::start(&server, None).await;
    watcher.told().await;
    let (_, end) = tokio::join!(server.stop(), watcher.end());
    assert_eq!(end, (Code::Unavailable, "DRAINING".to_owned()));
}

/// A server on a database of its own, and somebody who watches it.
async fn start() -> (Server, AuthServer, Watcher) {
    let database = Server::start().await;
    let place = database.place().await;
    let server = AuthServer::start_at(place, clock(), [("AUTH_DATABASE_TIMEOUT", "1s")]).await;
    server.register("ann").await;
    let mut watcher = Watcher::start(&server, None).await;
    watcher.told().await;
    (database, server, watcher)
}

/// What was on its way arrives; then there is nothing for longer than a verifier waits.
async fn falls_silent(watcher: &mut Watcher) {
    until("it falls silent", async || watcher.is_silent_for(Duration::from_millis(2_500)).await)
        .await;
}

async fn a_token_that_ends_while_the_database_is_away_is_no_word_of_it() {
    let (mut database, server, mut watcher) = start().await;
    database.stop().await;
    falls_silent(&mut watcher).await;
    server.clock.advance(Duration::from_secs(15 * 60 + 5));
    let end = refused(Err::<Response<()>, _>(watcher.message().await.unwrap_err()));
    assert_eq!(end.kind(), (Code::Unauthenticated, "TOKEN_EXPIRED"));
}

async fn while_the_database_is_away_nothing_is_told() {
    let (mut database, server, mut watcher) = start().await;
    let token = service_token(&server, "another").await;
    for freeze in [false, true] {
        let head = watcher.told().await.head;
        if freeze {
            database.freeze();
        } else {
            database.stop().await;
        }
        falls_silent(&mut watcher).await;
        // Whoever comes now is told nothing either.
        let another = Watcher::try_start(&server, &token, Some(head.clone())).await;
        let mut another = another.unwrap().into_inner();
        assert!(another.is_silent_for(Duration::from_secs(1)).await);
        if freeze {
            database.thaw();
        } else {
            database.start_again().await;
        }
        watcher.told().await;
        another.told().await;
        let mut ended = None;
        until("the database answers", async || {
            let answer = login(&mut server.anonymous(), "ann", PASSWORD).await;
            if answer.is_ok() {
                ended = Some(end_one(&server).await);
            }
            ended.is_some()
        })
        .await;
        assert_eq!(watcher.news().await.revoked, [ended.unwrap()].into());
    }
}
