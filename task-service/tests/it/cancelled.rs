//! Clients that take their writes back at any moment, and what is left of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use e2e::{AuthServer, Identity, Person, program::Running};
use shared::pb::task::{CreateTaskRequest, ListTasksRequest};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    api::titled,
    program::{PROGRAM, registered},
};

/// How many writes are taken back, and how many of them while their transaction runs.
const TAKEN_BACK: usize = 1_000;
const WHILE_RUNNING: i64 = 100;
/// How many good ones follow.
const GOOD: usize = 1_000;
/// How many are under way at once.
const AT_ONCE: usize = 20;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_mins(2);

fn create(title: &str) -> CreateTaskRequest {
    CreateTaskRequest { task: Some(titled(title)), ..Default::default() }
}

/// Creates as many tasks as fit beside each other, each no longer than it may take. How many were
/// taken back.
async fn create_some(ann: &Person, round: usize, patience: impl Fn(usize) -> Duration) -> usize {
    let mut calls = JoinSet::new();
    for place in 0..AT_ONCE {
        let (mut ann, patience) = (ann.clone(), patience(place));
        calls.spawn(async move {
            let title = format!("{round}-{place}");
            match timeout(patience, ann.tasks.create_task(create(&title))).await {
                Ok(answer) => drop(answer.unwrap()),
                Err(_) => return 1,
            }
            0
        });
    }
    calls.join_all().await.into_iter().sum()
}

/// Takes writes back, sooner and later than their transactions end, until enough of them were hit.
async fn take_back(running: &Running, ann: &Person) {
    let begun = Instant::now();
    create_some(ann, 0, |_| PATIENCE).await;
    let usual = begun.elapsed();
    let (mut round, mut taken_back) = (0, 0);
    while taken_back < TAKEN_BACK
        || running.metric("db_writes_unclaimed_total").await < WHILE_RUNNING
    {
        round += 1;
        let share = u32::try_from(round % 10 + 1).unwrap();
        let step = usual * share / 10 / u32::try_from(AT_ONCE).unwrap();
        taken_back += create_some(ann, round, |place| step * u32::try_from(place).unwrap()).await;
        // An answer says that the server has seen what was taken back before: one that is slow must
        // not take this for a flood of resets, which it cuts off.
        let small = ListTasksRequest { page_size: 1, ..ListTasksRequest::default() };
        ann.tasks.clone().list_tasks(small).await.unwrap();
    }
}

/// How often each title is there.
async fn stored(ann: &mut Person) -> BTreeMap<String, usize> {
    let mut stored = BTreeMap::new();
    let mut request = ListTasksRequest { page_size: 1_000, ..ListTasksRequest::default() };
    loop {
        let page = ann.tasks.list_tasks(request.clone()).await.unwrap().into_inner();
        for task in page.tasks {
            *stored.entry(task.title).or_default() += 1;
        }
        if page.next_page_token.is_empty() {
            return stored;
        }
        request.page_token = page.next_page_token;
    }
}

/// On the database of this URL, or on a SQLite file of its own.
async fn writes_that_are_taken_back_hurt_no_other(database: Option<&str>) {
    let auth = AuthServer::start_now().await;
    let (url, ann) = (auth.url(), auth.register("ann").await);
    let directory = tempfile::tempdir().unwrap();
    let mut settings = vec![
        registered(&auth).await,
        ("TASK_AUTH_URL", url.as_str()),
        ("TASK_METRICS_ADDR", "127.0.0.1:0"),
    ];
    settings.extend(database.map(|url| ("TASK_DATABASE_URL", url)));
    let running = PROGRAM.start(directory.path(), &settings).await;
    running.healthy().await;
    let mut ann = Person { name: ann.name, ..running.somebody(Identity::bearer(&ann.token)) };

    take_back(&running, &ann).await;
    for round in 0..GOOD / AT_ONCE {
        assert_eq!(create_some(&ann, 1_000_000 + round, |_| PATIENCE).await, 0);
    }
    let stored = stored(&mut ann).await;
    let good = stored.keys().filter(|title| title.starts_with("1000"));
    assert_eq!(good.count(), GOOD);
    assert!(stored.values().all(|times| *times == 1), "no write is done twice");
    assert_eq!(running.metric("db_writes_failed_total").await, 0);
    assert_eq!(running.metric("db_write_queue_length").await, 0);
    assert_eq!(running.metric("server_calls").await, 0);
    assert_eq!(running.end().await.1, Some(0));
}

#[tokio::test]
async fn writes_that_are_taken_back_hurt_no_other_on_sqlite() {
    timeout(PATIENCE, writes_that_are_taken_back_hurt_no_other(None)).await.unwrap();
}

#[tokio::test]
async fn writes_that_are_taken_back_hurt_no_other_on_postgres() {
    let Some(url) = e2e::postgres::database().await else { return };
    timeout(PATIENCE, writes_that_are_taken_back_hurt_no_other(Some(&url))).await.unwrap();
}
