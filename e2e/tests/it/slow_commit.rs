//! A commit that takes long, and those who watch meanwhile.

use e2e::{AuthServer, Engine, PATIENCE, Person, TaskServer, on_postgres, until};
use shared::pb::task::{CreateTaskRequest, Task, WatchTasksRequest, change::Resource};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::{task::JoinHandle, time::timeout};

on_postgres!(what_is_committed_late_is_told_before_what_comes_after_it);

/// Has the commit of a task of this title wait for the operator, when everything else of it is done.
const SLOW: &str = "
create function dawdle() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock(1); return null; end $$;
create constraint trigger dawdle after insert on tasks deferrable initially deferred
    for each row when (new.title = 'slow') execute function dawdle();";

/// Which connections to this database are in such a commit, and which wait for another's.
const DAWDLING: &str = "wait_event = 'advisory'";
const WAITING: &str = "wait_event = 'transactionid'";

async fn count(operator: &mut PgConnection, what: &str) -> i64 {
    let select = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and {what}"
    );
    operator.fetch_one(AssertSqlSafe(select)).await.unwrap().get(0)
}

/// Creates a task, on a call of its own. Its etag.
fn create(person: &Person, title: &str) -> JoinHandle<String> {
    let (mut person, title) = (person.clone(), title.to_owned());
    tokio::spawn(async move {
        let task = Some(Task { title, ..Task::default() });
        let request = CreateTaskRequest { task, ..Default::default() };
        person.tasks.create_task(request).await.unwrap().into_inner().task.unwrap().etag
    })
}

/// Watches until so many tasks are told. Their titles and etags.
fn watch(person: &Person, enough: usize) -> JoinHandle<Vec<(String, String)>> {
    let mut person = person.clone();
    tokio::spawn(async move {
        let request = WatchTasksRequest { follow: true, ..Default::default() };
        let mut messages = person.tasks.watch_tasks(request).await.unwrap().into_inner();
        let mut told = Vec::new();
        while told.len() < enough {
            for change in messages.message().await.unwrap().expect("it goes on").changes {
                let Some(Resource::Task(task)) = change.resource else { panic!("{change:?}") };
                told.push((task.title, task.etag));
            }
        }
        told
    })
}

async fn told(watcher: JoinHandle<Vec<(String, String)>>) -> Vec<String> {
    let told = timeout(PATIENCE, watcher).await.expect("nothing is left out").unwrap();
    assert!(told.is_sorted_by(|one, next| one.1 < next.1), "{told:?}");
    told.into_iter().map(|(title, _)| title).collect()
}

async fn what_is_committed_late_is_told_before_what_comes_after_it() {
    let auth = AuthServer::start().await;
    let place = Engine::Postgres.place("task").await;
    let patient = [("TASK_DATABASE_TIMEOUT", "20s")];
    let one = TaskServer::start_at(&auth, place.clone(), patient).await;
    let two = TaskServer::start_at(&auth, place.clone(), patient).await;
    let mut operator = PgConnection::connect(&place.url).await.unwrap();
    sqlx::raw_sql(SLOW).execute(&mut operator).await.unwrap();
    operator.execute("select pg_advisory_lock(1)").await.unwrap();
    let (ann, bob) = (one.register(&auth, "ann").await, two.register(&auth, "bob").await);
    let there = ann.at(two.channel());
    create(&ann, "first").await.unwrap();
    let watchers = [watch(&ann, 5), watch(&there, 5)];
    let other = watch(&bob, 1);

    let slow = create(&ann, "slow");
    until("the commit takes its time", async || count(&mut operator, DAWDLING).await == 1).await;
    // Another owner's writes and watches go on.
    create(&bob, "other").await.unwrap();
    assert_eq!(told(other).await, ["other"]);
    assert_eq!(count(&mut operator, DAWDLING).await, 1, "meanwhile");
    // The same owner's wait for it.
    let later = create(&there, "later");
    until("it waits", async || count(&mut operator, WAITING).await == 1).await;
    assert!(!slow.is_finished() && !later.is_finished());
    operator.execute("select pg_advisory_unlock(1)").await.unwrap();
    let more = [create(&there, "more"), create(&there, "more")];
    for created in [slow, later].into_iter().chain(more) {
        created.await.unwrap();
    }
    for watcher in watchers {
        assert_eq!(told(watcher).await, ["first", "slow", "later", "more", "more"]);
    }
}
