//! Users who delete their accounts while the program is killed again and again: each is told to the other
//! service, and settled once.

use std::fs;

use e2e::{
    Engine, SERVICE_SECRET, TaskServer, leaving::Leaving, on_every_engine, program::stderr,
    wire::Wire,
};

use crate::program::{PROGRAM, SECRET};

on_every_engine!(whoever_is_deleted_while_it_is_killed_is_erased_once);

/// How often it is killed while an erasure is under way.
const KILLS: usize = 50;

async fn whoever_is_deleted_while_it_is_killed_is_erased_once(on: Engine) {
    let (place, directory) = (on.place("auth").await, tempfile::tempdir().unwrap());
    let settings = [
        ("AUTH_DATABASE_URL", place.url.as_str()),
        ("AUTH_SECRET_KEY", SECRET),
        ("AUTH_REGISTER_LIMIT", "1000/1h"),
    ];
    let mut running = PROGRAM.start(directory.path(), &settings).await;
    fs::write(directory.path().join("secret"), SERVICE_SECRET).unwrap();
    let add = ["services", "add", "task-service", "--secret-file", "secret"];
    let added = PROGRAM.run(directory.path(), &add, &settings).await;
    assert!(added.status.success(), "{}", stderr(&added));
    // task-service asks where it has always asked.
    let wire = Wire::to(&running.url()).await;
    let task = TaskServer::start_now(&wire.url(), on.place("task").await).await;
    let mut leaving = Leaving::begin([(&running.url(), &place), (&task.url(), &task.place)]).await;
    let mut kills = 0;
    while kills < KILLS {
        leaving.any_moment().await;
        running.kill().await;
        kills += usize::from(leaving.is_pending().await);
        running = PROGRAM.start(directory.path(), &settings).await;
        for wire in [&wire, &leaving.auth] {
            wire.lead_to(&running.url());
        }
    }
    leaving.end().await;
}
