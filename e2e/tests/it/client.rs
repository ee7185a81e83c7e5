//! Calls that ride out what passes, against real servers and broken wires.

use std::{sync::Mutex, time::Duration};

use e2e::{
    AuthServer, PASSWORD, PATIENCE, TaskServer, until,
    wire::{State, Wire},
};
use shared::{
    client::{Client, Policy, Session},
    clock::Clock,
    pb::{
        auth::{
            GetCurrentUserRequest, LoginRequest, auth_service_client::AuthServiceClient,
            user_service_client::UserServiceClient,
        },
        task::{CreateTaskRequest, ListTasksRequest, Task, task_service_client::TaskServiceClient},
    },
};
use tokio::{sync::watch, task::JoinSet};
use tonic::{Code, Request, Response, Status, transport::Channel};

/// Ann, who has logged in, and whose calls have the time in which a server restarts.
async fn ann(auth: &AuthServer) -> Client {
    auth.register("ann").await;
    client(log_in(auth, auth.channel(), auth.clock.clone(), &[]).await)
}

pub(crate) fn client(session: Session) -> Client {
    Client::new(session, Policy { timeout: PATIENCE, ..Policy::default() })
}

/// Logs Ann in for these services. Her tokens are refreshed by way of the channel.
pub(crate) async fn log_in(
    auth: &AuthServer,
    channel: Channel,
    clock: Clock,
    audiences: &[&str],
) -> Session {
    let login = LoginRequest {
        login: "ann".to_owned(),
        password: PASSWORD.to_owned(),
        audiences: audiences.iter().map(|it| (*it).to_owned()).collect(),
        ..LoginRequest::default()
    };
    let answer = AuthServiceClient::new(auth.channel()).login(login).await.unwrap();
    Session::new(answer.into_inner().tokens.unwrap(), channel, clock).unwrap()
}

/// How often this RPC was answered like this; the name of the metric.
pub(crate) fn handled(service: &str, rpc: &str, code: &str) -> String {
    let labels = format!(r#"grpc_service="taskmanager.{service}",grpc_method="{rpc}""#);
    format!(r#"grpc_server_handled_total{{grpc_type="unary",{labels},grpc_code="{code}"}}"#)
}

/// Readers call again and again, before this harm is done, meanwhile and afterwards. None sees a failure.
async fn unharmed<F, T>(
    read: impl Fn() -> F + Clone + Send + Sync + 'static,
    harm: impl Future<Output = T>,
) where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (go, going) = watch::channel(true);
    let answered = watch::Sender::new(0_u32);
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (read, going, answered) = (read.clone(), going.clone(), answered.clone());
        readers.spawn(async move {
            while *going.borrow() {
                read().await?;
                answered.send_modify(|count| *count += 1);
            }
            Ok::<_, Status>(())
        });
    }
    let more = async || {
        let before = *answered.borrow();
        until("reads are answered", async || *answered.borrow() > before + 50).await;
    };
    more().await;
    let healed = harm.await;
    more().await;
    go.send_replace(false);
    for reader in readers.join_all().await {
        reader.expect("no reader sees that anything was away");
    }
    drop(healed);
}

#[tokio::test]
async fn reads_ride_out_a_restart_of_task_service() {
    let auth = AuthServer::start().await;
    let task = TaskServer::start(&auth).await;
    let wire = Wire::to(&task.url()).await;
    let ann = ann(&auth).await;
    let tasks = TaskServiceClient::new(wire.channel());
    let read = move || {
        let (ann, tasks) = (ann.clone(), tasks.clone());
        async move {
            let list = TaskServiceClient::list_tasks;
            ann.read(&tasks, list, ListTasksRequest::default()).await.map(drop)
        }
    };
    let restart = async {
        let task = task.restart().await;
        wire.lead_to(&task.url());
        task
    };
    unharmed(read, restart).await;
}

#[tokio::test]
async fn reads_ride_out_a_restart_of_auth_service() {
    let auth = AuthServer::start().await;
    let wire = Wire::to(&auth.url()).await;
    let ann = ann(&auth).await;
    let users = UserServiceClient::new(wire.channel());
    let read = move || {
        let (ann, users) = (ann.clone(), users.clone());
        async move {
            let get = UserServiceClient::get_current_user;
            ann.read(&users, get, GetCurrentUserRequest {}).await.map(drop)
        }
    };
    let restart = async {
        let auth = auth.restart_with([]).await;
        wire.lead_to(&auth.url());
        auth
    };
    unharmed(read, restart).await;
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_repeated_with_the_same_request_id() {
    let auth = AuthServer::start().await;
    let task = TaskServer::start(&auth).await;
    let wire = Wire::to(&task.url()).await;
    let ann = ann(&auth).await;
    let tasks = TaskServiceClient::new(wire.channel());
    let ids = Mutex::new(Vec::new());
    let create = async |tasks: &mut TaskServiceClient<Channel>,
                        request: Request<CreateTaskRequest>|
           -> Result<Response<_>, Status> {
        ids.lock().unwrap().push(request.get_ref().request_id.clone());
        tasks.create_task(request).await
    };
    let created = handled("task.v1.TaskService", "CreateTask", "OK");
    let lose = async {
        wire.set(State::OneWay);
        until("it is done", async || task.metric(&created).await >= 1.0).await;
        wire.break_off().await;
    };
    let plants = Task { title: "Water the plants".to_owned(), ..Task::default() };
    let request = CreateTaskRequest { task: Some(plants), ..CreateTaskRequest::default() };
    let ((), answer) = tokio::join!(lose, ann.write(&tasks, create, request));
    let made = answer.unwrap().task;
    let ids = ids.into_inner().unwrap();
    assert!(ids.len() == 2 && ids[0] == ids[1] && !ids[0].is_empty(), "{ids:?}");
    let list = TaskServiceClient::list_tasks;
    let there = ann.read(&tasks, list, ListTasksRequest::default()).await.unwrap().tasks;
    assert_eq!(there, Vec::from_iter(made), "one task");
}

/// A service that is away for longer than a call has time is told as it is.
#[tokio::test]
async fn an_outage_that_outlasts_the_deadline_is_told() {
    let auth = AuthServer::start().await;
    let ann = ann(&auth).await;
    let wire = Wire::to(&auth.url()).await;
    wire.set(State::Cut);
    let users = UserServiceClient::new(wire.channel());
    let ann = ann.within(Duration::from_secs(1));
    let get = UserServiceClient::get_current_user;
    let answer = ann.read(&users, get, GetCurrentUserRequest {}).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
}
