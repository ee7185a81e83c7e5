//! What the pair does while its database is away, and afterwards.

use std::{collections::BTreeSet, pin::Pin, time::Duration};

use e2e::{
    AuthServer, Person, Refused, TaskServer, clock, on_postgres,
    postgres::{Line, Server},
    refused, until,
};
use shared::pb::{
    auth::{GetCurrentUserRequest, UpdateCurrentUserRequest, User},
    task::{CreateTaskRequest, GetTaskRequest, ListTasksRequest, Task},
};
use sqlx::Executor;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tonic::{Code, Response, Status};

on_postgres!(
    a_database_that_is_stopped_killed_or_frozen_is_away_until_it_is_back,
    nothing_that_a_restart_has_made_stale_is_seen_by_a_caller,
    no_acknowledged_write_is_lost_when_the_database_is_killed,
    connections_that_are_ended_one_by_one_are_made_anew,
    connections_that_never_answer_again_are_replaced,
    a_standby_is_no_place_to_write_until_it_is_made_one,
);

/// How long a call may take at the most: to get a connection, and then the setting below twice.
const BOUND: Duration = Duration::from_secs(8);

/// The pair on a PostgreSQL server of its own, and somebody who calls it.
struct Scene {
    database: Server,
    auth: AuthServer,
    task: TaskServer,
    ann: Person,
    /// A task that is there.
    id: String,
}

impl Scene {
    async fn new() -> Self {
        let database = Server::start().await;
        let (auth, task) = (database.place().await, database.place().await);
        let auth = AuthServer::start_at(auth, clock(), [("AUTH_DATABASE_TIMEOUT", "1s")]).await;
        let task = TaskServer::start_at(&auth, task, [("TASK_DATABASE_TIMEOUT", "1s")]).await;
        let ann = auth.register("ann").await;
        let mut here = ann.at(task.channel());
        let made = here.tasks.create_task(titled("there")).await.unwrap().into_inner();
        let id = made.task.unwrap_or_default().id;
        Self { database, auth, task, ann, id }
    }

    /// Calls that read and write, at both services, all at once.
    async fn calls(&self) -> [Result<(), Status>; 5] {
        let (ann, here) = (self.ann.clone(), self.ann.at(self.task.channel()));
        let (mut reader, mut writer) = (ann.users.clone(), ann.users);
        let (mut list, mut create) = (here.tasks.clone(), here.tasks.clone());
        let (mut get, id) = (here.tasks, self.id.clone());
        let user = User { image_url: "https://example.org/1".to_owned(), ..User::default() };
        let update = UpdateCurrentUserRequest { user: Some(user), ..Default::default() };
        let (read, updated, listed, got, created) = tokio::join!(
            answered(reader.get_current_user(GetCurrentUserRequest {})),
            answered(writer.update_current_user(update)),
            answered(list.list_tasks(ListTasksRequest::default())),
            answered(get.get_task(GetTaskRequest { id })),
            answered(create.create_task(titled("t"))),
        );
        [read, updated, listed, got, created]
    }

    /// Every call is told to come back, in time; and every call is answered once `heal` is done.
    async fn outlives(&mut self, harm: Harm) {
        harm.strike(&mut self.database).await;
        for _ in 0..2 {
            for answer in self.calls().await {
                assert_away(&answer);
            }
        }
        harm.heal(&mut self.database).await;
        until("the pair heals", async || self.calls().await.iter().all(Result::is_ok)).await;
        assert!(self.calls().await.iter().all(Result::is_ok), "it stays healed");
    }
}

/// What can become of a database server.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Stop,
    Kill,
    Freeze,
}

impl Harm {
    async fn strike(self, database: &mut Server) {
        match self {
            Self::Stop => database.stop().await,
            Self::Kill => database.kill().await,
            Self::Freeze => database.freeze(),
        }
    }

    async fn heal(self, database: &mut Server) {
        match self {
            Self::Stop | Self::Kill => database.start_again().await,
            Self::Freeze => database.thaw(),
        }
    }
}

fn titled(title: &str) -> CreateTaskRequest {
    CreateTaskRequest {
        task: Some(Task { title: title.to_owned(), ..Task::default() }),
        ..Default::default()
    }
}

/// What a call comes to, in time.
fn answered<'c, T>(
    call: impl Future<Output = Result<Response<T>, Status>> + Send + 'c,
) -> Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'c>> {
    Box::pin(async { timeout(BOUND, call).await.expect("it is answered in time").map(drop) })
}

/// The answer says that the database is away, and when to come back.
fn assert_away(answer: &Result<(), Status>) {
    let Refused { code, reason, retry, .. } = refused(answer.clone().map(Response::new));
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "DATABASE_UNAVAILABLE"), "{answer:?}");
    assert!(retry.is_some_and(|delay| !delay.is_zero()));
}

async fn a_database_that_is_stopped_killed_or_frozen_is_away_until_it_is_back() {
    let mut scene = Scene::new().await;
    for harm in [Harm::Stop, Harm::Freeze, Harm::Kill, Harm::Freeze] {
        scene.outlives(harm).await;
    }
    let token = scene.auth.register("bob").await.token;
    assert!(!token.is_empty());
}

async fn nothing_that_a_restart_has_made_stale_is_seen_by_a_caller() {
    let mut scene = Scene::new().await;
    for _ in 0..3 {
        assert!(scene.calls().await.iter().all(Result::is_ok));
        scene.database.stop().await;
        scene.database.start_again().await;
    }
    for answer in scene.calls().await {
        answer.expect("connections that were idle are replaced");
    }
}

/// Creates tasks until it is told to stop. Those that were acknowledged, and how many were not.
async fn create(mut ann: Person, mut go: watch::Receiver<bool>) -> (Vec<String>, u32) {
    let (mut kept, mut failed) = (Vec::new(), 0);
    while *go.borrow_and_update() {
        match ann.tasks.create_task(titled("t")).await {
            Ok(answer) => kept.push(answer.into_inner().task.unwrap().id),
            Err(status) => {
                assert_away(&Err(status));
                failed += 1;
            }
        }
        tokio::task::yield_now().await;
    }
    (kept, failed)
}

/// Clients that create tasks as fast as they can.
struct Load {
    go: watch::Sender<bool>,
    clients: JoinSet<(Vec<String>, u32)>,
}

impl Load {
    fn start(scene: &Scene) -> Self {
        let (go, going) = watch::channel(true);
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            clients.spawn(create(scene.ann.at(scene.task.channel()), going.clone()));
        }
        Self { go, clients }
    }

    /// Every task that was acknowledged, and how many were not.
    async fn stop(self) -> (BTreeSet<String>, u32) {
        self.go.send_replace(false);
        let answers = self.clients.join_all().await;
        let failed = answers.iter().map(|(_, failed)| failed).sum();
        (answers.into_iter().flat_map(|(kept, _)| kept).collect(), failed)
    }
}

/// How many writes task-service has done.
async fn committed(scene: &Scene) -> f64 {
    scene.task.metric("db_writes_committed_total").await
}

/// Waits until so many more writes are done.
async fn progress(scene: &Scene) {
    let before = committed(scene).await;
    until("writes are done", async || committed(scene).await >= before + 100.0).await;
}

/// Every one of these tasks can be read.
async fn assert_kept(scene: &Scene, kept: &BTreeSet<String>) {
    let mut ann = scene.ann.at(scene.task.channel());
    for id in kept {
        let task = ann.tasks.get_task(GetTaskRequest { id: id.clone() }).await;
        assert!(task.is_ok(), "{id} was acknowledged and is lost: {task:?}");
    }
}

async fn no_acknowledged_write_is_lost_when_the_database_is_killed() {
    let mut scene = Scene::new().await;
    let load = Load::start(&scene);
    for _ in 0..3 {
        progress(&scene).await;
        scene.database.kill().await;
        scene.database.start_again().await;
    }
    progress(&scene).await;
    let (kept, failed) = load.stop().await;
    assert!(kept.len() >= 100 && failed > 0, "{} kept, {failed} failed", kept.len());
    assert_kept(&scene, &kept).await;
}

async fn connections_that_are_ended_one_by_one_are_made_anew() {
    let scene = Scene::new().await;
    let load = Load::start(&scene);
    let mut operator = scene.database.connect().await;
    for _ in 0..20 {
        progress(&scene).await;
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
                   where application_name = 'task-service'";
        operator.execute(end).await.unwrap();
    }
    progress(&scene).await;
    let (kept, failed) = load.stop().await;
    // What was in its commit at that moment nobody can know; all else is run again.
    assert!(failed <= 20 * 16 && kept.len() > 1_000, "{} kept, {failed} failed", kept.len());
    assert_kept(&scene, &kept).await;
    assert!(scene.calls().await.iter().all(Result::is_ok));
}

/// How many lists task-service has answered.
const LISTED: &str = r#"grpc_server_handled_total{grpc_type="unary",grpc_service="taskmanager.task.v1.TaskService",grpc_method="ListTasks",grpc_code="OK"}"#;

async fn connections_that_never_answer_again_are_replaced() {
    let database = Server::start().await;
    let line = Line::to(&database);
    let place = line.reach(&database, &database.place().await);
    let auth = AuthServer::start().await;
    let settings = [("TASK_DATABASE_TIMEOUT", "1s"), ("TASK_DATABASE_CONNECTIONS", "2")];
    let task = TaskServer::start_at(&auth, place, settings).await;
    let ann = task.register(&auth, "ann").await;
    let mut here = ann.clone();
    let made = here.tasks.create_task(titled("there")).await.unwrap().into_inner();
    let one = GetTaskRequest { id: made.task.unwrap_or_default().id };
    let list = async |mut ann: Person| ann.tasks.list_tasks(ListTasksRequest::default()).await;
    let get = move |mut ann: Person| {
        let one = one.clone();
        async move { ann.tasks.get_task(one).await }
    };
    for _ in 0..3 {
        let (go, going) = watch::channel(true);
        let mut readers = JoinSet::new();
        for _ in 0..8 {
            let (ann, going, get) = (ann.clone(), going.clone(), get.clone());
            readers.spawn(async move {
                while *going.borrow() {
                    drop(tokio::join!(list(ann.clone()), get(ann.clone())));
                }
            });
        }
        let before = task.metric(LISTED).await;
        until("reads are done", async || task.metric(LISTED).await > before + 50.0).await;
        line.fall_silent();
        go.send_replace(false);
        readers.join_all().await;
        until("reads are answered", async || list(ann.clone()).await.is_ok()).await;
        until("single rows are read", async || get(ann.clone()).await.is_ok()).await;
        let mut writer = ann.clone();
        until("writes are done", async || writer.tasks.create_task(titled("t")).await.is_ok())
            .await;
    }
}

/// A standby, as after a failover that has not ended: it reads, and refuses every write.
async fn a_standby_is_no_place_to_write_until_it_is_made_one() {
    let scene = Scene::new().await;
    assert!(scene.calls().await.iter().all(Result::is_ok));
    let mut operator = scene.database.connect().await;
    for sql in [
        "alter role test set default_transaction_read_only = on",
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%service'",
    ] {
        operator.execute(sql).await.unwrap();
    }
    let refuses = async || matches!(scene.calls().await, [Ok(()), Err(_), Ok(()), Ok(()), Err(_)]);
    until("writes are refused, and reads go on", refuses).await;
    for answer in scene.calls().await.into_iter().filter(Result::is_err) {
        assert_away(&answer);
    }
    // Connections stay what they were when they were made.
    operator.execute("alter role test reset default_transaction_read_only").await.unwrap();
    until("writes go on", async || scene.calls().await.iter().all(Result::is_ok)).await;
}
