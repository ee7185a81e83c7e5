//! `TrustService.WatchErasures`: how a stream ends, and what it says when there is nobody to tell of.

use std::time::Duration;

use e2e::{
    AuthServer, Engine, PASSWORD, clock, on_every_engine, on_postgres, postgres::Server, refused,
    until,
};
use shared::pb::auth::{GetErasureRequest, WatchErasuresResponse};
use tokio::time::Instant;
use tonic::Code;
use uuid::Uuid;

use super::{
    erasing::{Listener, delete, deleted},
    service_token,
    watcher::end_one,
};

on_every_engine!(
    it_ends_with_its_token_and_goes_on_with_a_new_one,
    it_ends_with_its_service_and_with_no_other,
    it_ends_with_the_server,
    while_sessions_end_it_says_no_more_than_that_it_lives,
);
on_postgres!(while_the_database_is_away_a_deletion_is_not_lost);

async fn it_ends_with_its_token_and_goes_on_with_a_new_one(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let mut listener = Listener::start(&server, None).await;
    deleted(&mut ann).await;
    let cursor = listener.told().await.1;
    server.clock.advance(Duration::from_secs(15 * 60 + 5));
    assert_eq!(listener.end().await, (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()));
    let mut bob = server.register("bob").await;
    deleted(&mut bob).await;
    let mut listener = Listener::start(&server, Some(cursor)).await;
    assert_eq!(listener.told().await.0.to_string(), bob.user.id);
}

async fn it_ends_with_its_service_and_with_no_other(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut listener = Listener::start(&server, None).await;
    let token = service_token(&server, "other").await;
    let mut other = Listener::try_start(&server, &token, None).await.unwrap().into_inner();
    server.operate("services remove listener").await.unwrap();
    assert_eq!(listener.end().await, (Code::Unauthenticated, "TOKEN_REVOKED".to_owned()));
    let mut ann = server.register("ann").await;
    deleted(&mut ann).await;
    assert_eq!(other.told().await.0.to_string(), ann.user.id);
}

async fn it_ends_with_the_server(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut listener = Listener::start(&server, None).await;
    let (_, end) = tokio::join!(server.stop(), listener.end());
    assert_eq!(end, (Code::Unavailable, "DRAINING".to_owned()));
}

async fn while_sessions_end_it_says_no_more_than_that_it_lives(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let mut listener = Listener::start(&server, None).await;
    assert_eq!(listener.message().await.unwrap(), WatchErasuresResponse::default());
    let began = Instant::now();
    let (next, ()) = tokio::join!(listener.message(), async {
        for _ in 0..5 {
            end_one(&server).await;
        }
    });
    assert_eq!(next.unwrap(), WatchErasuresResponse::default());
    let waited = began.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(20)).contains(&waited), "{waited:?}");
}

async fn while_the_database_is_away_a_deletion_is_not_lost() {
    let mut database = Server::start().await;
    let settings = [("AUTH_DATABASE_TIMEOUT", "1s")];
    let server = AuthServer::start_at(database.place().await, clock(), settings).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    let mut listener = Listener::start(&server, None).await;
    deleted(&mut ann).await;
    let (told, cursor) = listener.told().await;
    assert_eq!(told.to_string(), ann.user.id);
    let token = service_token(&server, "other").await;
    database.stop().await;
    let id = Uuid::new_v4().to_string();
    let away = refused(delete(&mut bob, PASSWORD, &id).await);
    assert_eq!(away.kind(), (Code::Unavailable, "DATABASE_UNAVAILABLE"));
    let mut other = None;
    until("whoever comes now hears nothing", async || {
        let started = Listener::try_start(&server, &token, Some(cursor.clone())).await;
        let listener = other.insert(started.unwrap().into_inner());
        listener.hears_nothing_for(Duration::from_secs(2)).await
    })
    .await;
    database.start_again().await;
    // An answer may come too late, and then it was done.
    until("bob is deleted", async || {
        let request = GetErasureRequest { id: id.clone() };
        delete(&mut bob, PASSWORD, &id).await.is_ok() || bob.auth.get_erasure(request).await.is_ok()
    })
    .await;
    for mut listener in [listener, other.unwrap()] {
        assert_eq!(listener.told().await.0.to_string(), bob.user.id);
    }
}
