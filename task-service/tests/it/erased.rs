//! Users who are deleted while the program is killed again and again: nothing of them is left, and what
//! was theirs is counted once.

use e2e::{AuthServer, Engine, leaving::Leaving, on_every_engine};
use shared::clock::Clock;

use crate::program::{PROGRAM, registered};

on_every_engine!(whoever_is_deleted_while_it_is_killed_is_erased_once);

/// How often it is killed while an erasure is under way.
const KILLS: usize = 50;

async fn whoever_is_deleted_while_it_is_killed_is_erased_once(on: Engine) {
    let settings = [("AUTH_REGISTER_LIMIT", "1000/1h"), ("AUTH_HASH_THREADS", "2")];
    let auth = AuthServer::start_at(on.place("auth").await, Clock::system(), settings).await;
    let (place, directory) = (on.place("task").await, tempfile::tempdir().unwrap());
    let url = auth.url();
    let settings = [
        registered(&auth).await,
        ("TASK_AUTH_URL", url.as_str()),
        ("TASK_DATABASE_URL", place.url.as_str()),
    ];
    let mut running = PROGRAM.start(directory.path(), &settings).await;
    running.healthy().await;
    let mut leaving = Leaving::begin([(&url, &auth.place), (&running.url(), &place)]).await;
    let mut kills = 0;
    while kills < KILLS {
        leaving.any_moment().await;
        running.kill().await;
        kills += usize::from(leaving.is_pending().await);
        running = PROGRAM.start(directory.path(), &settings).await;
        leaving.task.lead_to(&running.url());
    }
    leaving.end().await;
}
