//! Writes that come in each other's way: those of other processes on the same database, and those
//! that nobody waits for any more.

use std::time::Duration;

use e2e::{AuthServer, Engine, Person, TaskServer, on_every_engine, on_postgres, refused, until};
use shared::{
    database::{self, Database, Settings, Statement},
    on_engine,
    pb::task::{
        CreateProjectRequest, CreateTaskRequest, ListTasksRequest, Project, Task,
        UpdateProjectRequest,
    },
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use task_service::store::MIGRATIONS;
use tokio::{task::JoinSet, time::timeout};
use tonic::Code;

/// How long a write may take that meets another's lock: to begin, and then its statements.
const BOUND: Duration = Duration::from_secs(5);

on_every_engine!(
    a_write_that_waits_for_another_process_is_given_up_in_time,
    a_write_whose_caller_has_gone_is_done_only_if_it_had_begun,
);

on_postgres!(
    a_write_whose_connection_is_ended_before_its_commit_is_done_on_another,
    a_write_that_a_deadlock_has_undone_is_done_again,
    processes_that_may_not_see_each_others_writes_come_to_an_end,
);

/// Both services, on this engine, and somebody who has written something.
async fn pair(on: Engine, settings: [(&'static str, &str); 1]) -> (AuthServer, TaskServer, Person) {
    let auth = AuthServer::start_on(on).await;
    let task = TaskServer::start_with(&auth, settings).await;
    let mut ann = task.register(&auth, "ann").await;
    create(&mut ann, "first").await.unwrap();
    (auth, task, ann)
}

async fn create(ann: &mut Person, title: &str) -> Result<String, tonic::Status> {
    let task = Task { title: title.to_owned(), ..Task::default() };
    let answer =
        ann.tasks.create_task(CreateTaskRequest { task: Some(task), ..Default::default() }).await?;
    Ok(answer.into_inner().task.unwrap().id)
}

/// What somebody has, in the order of the alphabet.
async fn titles(ann: &mut Person) -> String {
    let answer = ann.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    let mut titles: Vec<_> = answer.into_inner().tasks.into_iter().map(|task| task.title).collect();
    titles.sort_unstable();
    titles.join(" ")
}

/// Runs `meanwhile` while another process holds every owner's row.
async fn while_locked<DB: database::Engine>(
    settings: &Settings,
    meanwhile: impl Future<Output = ()>,
) {
    let database = Database::<DB>::open(settings, &MIGRATIONS).await.unwrap();
    let mut other = database.connect_writer().await.unwrap();
    for sql in [DB::BEGIN, "update owners set revision = revision"] {
        Statement::<DB>::new(sql).all(&mut other).await.unwrap();
    }
    meanwhile.await;
    Statement::<DB>::new("rollback").all(&mut other).await.unwrap();
}

async fn locked(task: &TaskServer, meanwhile: impl Future<Output = ()>) {
    let settings = Settings::new("another process", &task.place.url).unwrap();
    let meanwhile = Box::pin(meanwhile);
    on_engine!(settings, DB => while_locked::<DB>(&settings, meanwhile).await);
}

async fn a_write_that_waits_for_another_process_is_given_up_in_time(on: Engine) {
    let (_auth, task, mut ann) = pair(on, [("TASK_DATABASE_TIMEOUT", "1s")]).await;
    let mut reader = ann.clone();
    locked(&task, async {
        for _ in 0..2 {
            let answer = timeout(BOUND, create(&mut ann, "blocked")).await.expect("in time");
            let refused = refused(answer.map(tonic::Response::new));
            assert_eq!(refused.kind(), (Code::Unavailable, "DATABASE_UNAVAILABLE"));
            assert!(refused.retry.is_some());
            assert_eq!(titles(&mut reader).await, "first", "reads go on");
        }
    })
    .await;
    until("writes go on", async || create(&mut ann, "last").await.is_ok()).await;
    assert_eq!(titles(&mut ann).await, "first last", "what was refused was not done");
}

async fn a_write_whose_caller_has_gone_is_done_only_if_it_had_begun(on: Engine) {
    let (_auth, task, mut ann) = pair(on, [("TASK_DATABASE_TIMEOUT", "20s")]).await;
    let count = async |name: &str| task.metric(name).await;
    let started = r#"grpc_server_started_total{grpc_type="unary",grpc_service="taskmanager.task.v1.TaskService",grpc_method="CreateTask"}"#;
    let gone = r#"grpc_server_handled_total{grpc_type="unary",grpc_service="taskmanager.task.v1.TaskService",grpc_method="CreateTask",grpc_code="Canceled"}"#;
    locked(&task, async {
        let mut callers = JoinSet::new();
        for title in ["begun", "queued", "queued", "queued"] {
            let (mut ann, before) = (ann.clone(), count(started).await);
            callers.spawn(async move { create(&mut ann, title).await });
            let arrived = async || count(started).await > before;
            until("the call has arrived", arrived).await;
        }
        until("three are queued", async || count("db_write_queue_length").await >= 3.0).await;
        callers.shutdown().await;
        until("all callers have gone", async || count(gone).await >= 4.0).await;
    })
    .await;
    let dropped = async || count("db_writes_dropped_total").await;
    until("the queued are dropped", async || dropped().await >= 3.0).await;
    let unclaimed = count("db_writes_unclaimed_total").await;
    assert!((1.0..2.0).contains(&unclaimed), "{unclaimed}");
    create(&mut ann, "last").await.unwrap();
    assert_eq!(titles(&mut ann).await, "begun first last");
    assert!(dropped().await < 4.0 && count("db_write_queue_length").await < 1.0);
}

/// A row and a column that PostgreSQL keeps of its own doings.
async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    let row = connection.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap();
    row.get(0)
}

async fn a_write_that_a_deadlock_has_undone_is_done_again() {
    let (_auth, task, mut ann) = pair(Engine::Postgres, [("TASK_DATABASE_TIMEOUT", "20s")]).await;
    let project = Project { title: "before".to_owned(), ..Project::default() };
    let request = CreateProjectRequest { project: Some(project), ..Default::default() };
    let answer = ann.projects.create_project(request).await.unwrap();
    let project = Project { title: "after".to_owned(), ..answer.into_inner().project.unwrap() };
    let etag = String::new();
    let request = UpdateProjectRequest {
        project: Some(Project { etag, ..project }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".to_owned()] }),
        ..Default::default()
    };

    // It takes the project and then the owner, the service the other way round; and it leaves it to
    // the service to see the deadlock.
    let mut other = PgConnection::connect(&task.place.url).await.unwrap();
    let mut watcher = PgConnection::connect(&task.place.url).await.unwrap();
    for sql in ["set deadlock_timeout = '1h'", "begin", "update projects set title = title"] {
        other.execute(sql).await.unwrap();
    }
    let update = tokio::spawn(async move { ann.projects.update_project(request).await });
    until("the service waits", async || number(&mut watcher, WAITING).await == 1).await;
    other.execute("update owners set revision = revision").await.unwrap();
    other.execute("commit").await.unwrap();

    let updated = update.await.unwrap().unwrap().into_inner().project.unwrap();
    assert_eq!(updated.title, "after");
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    // More than one, if the service is back before the other has been given the row.
    until("a deadlock is counted", async || number(&mut watcher, deadlocks).await >= 1).await;
}

/// How many connections to this database wait for a lock.
const WAITING: &str = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";

async fn a_write_whose_connection_is_ended_before_its_commit_is_done_on_another() {
    let (_auth, task, ann) = pair(Engine::Postgres, [("TASK_DATABASE_TIMEOUT", "20s")]).await;
    let mut operator = PgConnection::connect(&task.place.url).await.unwrap();
    let (mut writer, mut reader) = (ann.clone(), ann);
    let mut write = JoinSet::new();
    locked(&task, async {
        write.spawn(async move { create(&mut writer, "second").await });
        until("it waits", async || number(&mut operator, WAITING).await == 1).await;
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
        assert_eq!(number(&mut operator, end).await, 1);
        until("it waits again", async || number(&mut operator, WAITING).await == 1).await;
    })
    .await;
    write.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(titles(&mut reader).await, "first second");
}

/// Creates tasks one after another. Those that were made.
async fn create_many(mut ann: Person) -> Vec<String> {
    let mut made = Vec::new();
    for number in 0..50 {
        match create(&mut ann, &number.to_string()).await {
            Ok(id) => made.push(id),
            Err(status) => {
                let refused = refused::<()>(Err(status));
                assert_eq!(refused.kind(), (Code::Aborted, "CONFLICT"), "{}", refused.message);
            }
        }
    }
    made
}

async fn processes_that_may_not_see_each_others_writes_come_to_an_end() {
    let auth = AuthServer::start().await;
    let place = Engine::Postgres.place("task").await;
    let mut operator = PgConnection::connect(&place.url).await.unwrap();
    let strict = "do $$ begin execute format(
        'alter database %I set default_transaction_isolation = serializable', current_database()
    ); end $$";
    operator.execute(strict).await.unwrap();
    let first = TaskServer::start_at(&auth, place.clone(), []).await;
    let second = TaskServer::start_at(&auth, place, []).await;
    let mut ann = first.register(&auth, "ann").await;

    let mut clients = JoinSet::new();
    for server in [&first, &second] {
        for _ in 0..2 {
            clients.spawn(create_many(ann.at(server.channel())));
        }
    }
    let mut made = clients.join_all().await.concat();
    assert!(made.len() > 180, "{} of 200 are made", made.len());
    let mut listed = ListTasksRequest { page_size: 1_000, ..ListTasksRequest::default() };
    let mut there = Vec::new();
    loop {
        let page = ann.tasks.list_tasks(listed.clone()).await.unwrap().into_inner();
        there.extend(page.tasks.into_iter().map(|task| task.id));
        if page.next_page_token.is_empty() {
            break;
        }
        listed.page_token = page.next_page_token;
    }
    made.sort_unstable();
    there.sort_unstable();
    assert_eq!(there, made, "what was acknowledged is there, and nothing else");
    let undone = "select xact_rollback from pg_stat_database where datname = current_database()";
    until("they met", async || number(&mut operator, undone).await > 0).await;
}
