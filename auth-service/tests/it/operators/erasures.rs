//! `erasures list`, and what the service shows of erasures that take long.

use std::time::Duration;

use auth_service::store::MIGRATIONS;
use e2e::{AuthServer, Engine, on_every_engine, until};
use prost_types::Timestamp;
use shared::{
    database::{Database, Sqlite, Statement},
    pb::auth::ErasureState,
};

use crate::api::{
    erasing::{acknowledge, complete, confirmed_here, deleted, erasure},
    service_token,
};

on_every_engine!(what_is_pending_is_listed_with_whom_it_waits_for, what_is_pending_is_measured,);

async fn what_is_pending_is_listed_with_whom_it_waits_for(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let list = async |line: &str| server.operate(line).await.unwrap();
    for line in ["erasures list", "erasures list --all"] {
        assert_eq!(list(line).await, "");
    }
    let (notes, tasks) =
        (service_token(&server, "notes").await, service_token(&server, "tasks").await);
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    let begin: Timestamp = server.clock.now().into();
    let bobs = deleted(&mut bob).await.id;
    let anns = deleted(&mut ann).await.id;
    for id in [&anns, &bobs] {
        confirmed_here(&server, id).await;
    }
    let users = server.operate("users list").await.unwrap();
    assert_eq!(users, "", "they are no users any more");
    let head = |id: &str, person: &e2e::Person| format!("{id} {} {begin}", person.user.id);
    let (ann_line, bob_line) = (head(&anns, &ann), head(&bobs, &bob));
    let pending = format!("{bob_line} PENDING notes,tasks\n{ann_line} PENDING notes,tasks\n");
    assert_eq!(list("erasures list").await, pending);
    assert_eq!(list("erasures list --all").await, pending);

    server.clock.advance(Duration::from_secs(1));
    acknowledge(&server, &notes, &bob.user.id, &[]).await.unwrap();
    acknowledge(&server, &tasks, &bob.user.id, &[]).await.unwrap();
    let end: Timestamp = server.clock.now().into();
    assert_eq!(list("erasures list").await, format!("{ann_line} PENDING notes,tasks\n"));
    let all = format!("{bob_line} COMPLETE {end}\n{ann_line} PENDING notes,tasks\n");
    assert_eq!(list("erasures list --all").await, all);

    server.operate("services remove tasks").await.unwrap();
    assert_eq!(list("erasures list").await, format!("{ann_line} PENDING notes\n"));
    server.operate("services remove notes").await.unwrap();
    assert_eq!(list("erasures list").await, "");
    let all = format!("{bob_line} COMPLETE {end}\n{ann_line} COMPLETE {end}\n");
    assert_eq!(list("erasures list --all").await, all);
}

async fn what_is_pending_is_measured(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let tasks = service_token(&server, "tasks").await;
    let shows = async |count: f64, seconds: f64| {
        let shown = async || {
            let metric = async |name| server.metric(name).await;
            (metric("erasures_pending").await, metric("erasures_pending_seconds").await)
                == (count, seconds)
        };
        until(&format!("{count} are pending for {seconds} s"), shown).await;
    };
    shows(0.0, 0.0).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    deleted(&mut ann).await;
    server.clock.advance(Duration::from_secs(90));
    shows(1.0, 90.0).await;
    deleted(&mut bob).await;
    shows(2.0, 90.0).await;
    acknowledge(&server, &tasks, &ann.user.id, &[]).await.unwrap();
    shows(1.0, 0.0).await;
    server.operate("services remove tasks").await.unwrap();
    shows(0.0, 0.0).await;
}

/// Somebody copies the database, or has a look at it and forgets that.
#[tokio::test]
async fn while_a_reader_sees_what_was_an_erasure_is_pending_and_measured_and_others_can_write() {
    let server = AuthServer::start_on(Engine::Sqlite).await;
    let mut ann = server.register("ann").await;
    let settings = server.config().database;
    let database = Database::<Sqlite>::open(&settings, &MIGRATIONS).await.unwrap();
    let mut reader = database.connect_writer().await.unwrap();
    for sql in ["begin", "select * from users"] {
        Statement::<Sqlite>::new(sql).all(&mut reader).await.unwrap();
    }
    let id = deleted(&mut ann).await.id;
    until("it is measured", async || server.metric("erasures_pending").await >= 1.0).await;
    assert_eq!(erasure(&server, &id).await.state(), ErasureState::Pending);
    assert_eq!(server.operate("erasures list").await.unwrap().lines().count(), 1);
    server.register("bob").await;
    assert_eq!(erasure(&server, &id).await.state(), ErasureState::Pending);
    Statement::<Sqlite>::new("commit").all(&mut reader).await.unwrap();
    complete(&server, &id).await;
    until("it is measured no more", async || server.metric("erasures_pending").await < 1.0).await;
}
