//! A write that was let in before its user was deleted, and whose turn comes after the erasure.

use e2e::{
    AuthServer, Engine, TaskServer, on_postgres, refused,
    rows::{counted, naming},
    until,
};
use sqlx::{Connection, Executor, PgConnection, Row};
use uuid::Uuid;

use super::{REVOKED, complete, counts, delete, late::create};

on_postgres!(a_write_whose_turn_comes_after_the_erasure_is_refused);

const WAITING: &str = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event = 'transactionid'";

async fn a_write_whose_turn_comes_after_the_erasure_is_refused() {
    let auth = AuthServer::start().await;
    let place = Engine::Postgres.place("task").await;
    let patient = [("TASK_DATABASE_TIMEOUT", "20s")];
    let one = TaskServer::start_at(&auth, place.clone(), patient).await;
    let two = TaskServer::start_at(&auth, place.clone(), patient).await;
    let [ann, bob] = [one.register(&auth, "ann").await, one.register(&auth, "bob").await];
    for person in [&ann, &bob] {
        create(person).await.unwrap();
    }
    // The door of the first server waits for a row of bob's, and ann's write waits for the door.
    let mut operator = PgConnection::connect(&place.url).await.unwrap();
    operator.execute("begin").await.unwrap();
    let lock = sqlx::query("select 1 from owners where owner_id = $1 for update");
    lock.bind(Uuid::parse_str(&bob.user.id).unwrap()).execute(&mut operator).await.unwrap();
    let of_bob = tokio::spawn(async move { create(&bob).await });
    until("the door waits", async || {
        operator.fetch_one(WAITING).await.unwrap().get::<i64, _>(0) == 1
    })
    .await;
    let there = ann.clone();
    let in_flight = tokio::spawn(async move { create(&there).await });
    until("it is let in", async || one.metric("db_write_queue_length").await > 0.0).await;

    let id = delete(&ann, &auth).await;
    assert_eq!(counts(&complete(&auth, &id).await[1]), [("projects", 0), ("tasks", 1)]);
    assert!(!in_flight.is_finished());
    operator.execute("rollback").await.unwrap();
    of_bob.await.unwrap().unwrap();
    assert_eq!(refused(in_flight.await.unwrap()).kind(), REVOKED);
    let rows = two.place().rows().await;
    assert_eq!(counted(&naming(&rows, &[&ann.user.id])), [("owners", 1)]);
}
