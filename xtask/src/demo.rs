//! `cargo demo`: the story of the pair in one screen, each answer checked.

mod changes;
mod sessions;
mod deletion;

use std::fmt::Display;

use auth_service::config::Config as AuthConfig;
use prost_types::FieldMask;
use shared::{
    client::{Client, Policy, Session},
    clock::Clock,
    env::Env,
    pb::{
        auth::{
            GetCurrentUserRequest, RegisterRequest, auth_service_client::AuthServiceClient,
            user_service_client::UserServiceClient,
        },
        task::{
            CreateProjectRequest, CreateTaskRequest, DeleteProjectRequest, GetTaskRequest,
            ListTasksRequest, Project, Task, TaskPriority, TaskStatus, UpdateTaskRequest,
            project_service_client::ProjectServiceClient, task_service_client::TaskServiceClient,
        },
    },
};
use task_service::config::Config as TaskConfig;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    Failure,
    call::{PASSWORD, login},
    credential::register,
    up::healthy,
};
use changes::Watch;

/// A service that runs in this process.
struct Service {
    channel: Channel,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), Failure>>,
}

/// The tasks of whoever calls.
type Tasks = TaskServiceClient<Channel>;

/// Somebody who has logged in.
struct Person {
    client: Client,
    session: Session,
}

pub(crate) async fn run() -> Result<(), Failure> {
    let data = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let auth_url = format!("http://{}", listener.local_addr()?);
    let database = format!("sqlite://{}/auth.db", data.path().display());
    let mut settings = Env::of("AUTH_", [("AUTH_DATABASE_URL", database.as_str())]);
    let auth_config = AuthConfig::read(&mut settings)?;
    let config = auth_config.clone();
    let auth = Service::start(listener, |listener, stopped| {
        auth_service::serve(listener, config, Clock::system(), stopped)
    })
    .await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let database = format!("sqlite://{}/task.db", data.path().display());
    let settings = [("TASK_DATABASE_URL", database.as_str()), ("TASK_AUTH_URL", &auth_url)];
    let config = TaskConfig::read(&mut Env::of("TASK_", settings))?;
    register(&auth_config, &config).await?;
    let secret = config.trust.credential().secret()?;
    let task = Service::start(listener, |listener, stopped| {
        task_service::serve(listener, config, Clock::system(), stopped)
    })
    .await?;

    let (ann, eve) = accounts(&auth.channel).await?;
    work(&task.channel, &ann, &eve).await?;
    sessions::show(&auth.channel, &task.channel, &secret).await?;
    deletion::show(&auth.channel, &task.channel, eve).await?;
    auth.stop().await?;
    println!("\nauth-service is stopped; task-service goes on, for it asks nobody");
    let tasks = TaskServiceClient::new(task.channel.clone());
    let list = ListTasksRequest::default();
    let mine = ann.client.read(&tasks, TaskServiceClient::list_tasks, list).await?;
    said("ListTasks", "as ann", format!("{} task", mine.tasks.len()));
    task.stop().await
}

/// Two people register and log in, and somebody tries to be one of them.
async fn accounts(channel: &Channel) -> Result<(Person, Person), Failure> {
    let mut auth = AuthServiceClient::new(channel.clone());
    let mut people = Vec::new();
    for username in ["ann", "eve"] {
        open(channel, username).await?;
        let answer = auth.login(login(username, PASSWORD)).await?.into_inner();
        let tokens = answer.tokens.unwrap_or_default();
        let session = Session::new(tokens, channel.clone(), Clock::system())?;
        let client = Client::new(session.clone(), Policy::default());
        people.push(Person { client, session });
        said("Login", username, "an access token, good for 15 minutes");
    }
    let wrong = auth.login(login("ann@example.com", "a wrong password")).await;
    refused("Login", "ann@example.com, a wrong password", wrong, Code::Unauthenticated)?;

    let users = UserServiceClient::new(channel.clone());
    let (ann, eve) = (people.remove(0), people.remove(0));
    let get = UserServiceClient::get_current_user;
    let me = ann.client.read(&users, get, GetCurrentUserRequest {}).await?;
    said("GetCurrentUser", "as ann", me.user.unwrap_or_default().email);
    Ok((ann, eve))
}

/// Opens an account.
async fn open(channel: &Channel, username: &str) -> Result<(), Failure> {
    let request = RegisterRequest {
        username: username.to_owned(),
        email: format!("{username}@example.com"),
        password: PASSWORD.to_owned(),
        image_url: String::new(),
        ..Default::default()
    };
    let (auth, nobody) =
        (AuthServiceClient::new(channel.clone()), Client::anonymous(Policy::default()));
    let answer = nobody.write(&auth, AuthServiceClient::register, request).await?;
    said("Register", username, format!("user {}", answer.user.unwrap_or_default().id));
    Ok(())
}

/// What ann does with her tasks, and what eve can not do with them.
async fn work(channel: &Channel, who: &Person, eve: &Person) -> Result<(), Failure> {
    println!();
    let (ann, eve) = (&who.client, &eve.client);
    let projects = ProjectServiceClient::new(channel.clone());
    let mut tasks = TaskServiceClient::new(channel.clone());
    let project = Project { title: "Home".to_owned(), ..Project::default() };
    let home = CreateProjectRequest { project: Some(project), ..Default::default() };
    let created = ann.write(&projects, ProjectServiceClient::create_project, home).await?;
    let project = created.project.unwrap_or_default();
    said("CreateProject", "Home", format!("project {}", project.id));
    said("WatchTasks", "from the beginning, and on", "a stream");
    let mut watch = Watch::begin(&who.session, &tasks).await?;
    watch.show().await?;

    let task = create(ann, &tasks, &project).await?;
    watch.show().await?;
    let done = UpdateTaskRequest {
        task: Some(Task { status: TaskStatus::Completed.into(), ..task.clone() }),
        update_mask: Some(FieldMask { paths: vec!["status".to_owned()] }),
        ..Default::default()
    };
    let update = TaskServiceClient::update_task;
    let changed = ann.write(&tasks, update, done.clone()).await?.task.unwrap_or_default();
    said("UpdateTask", "status", format!("{:?}, etag {}", changed.status(), changed.etag));
    watch.show().await?;
    let stale = ann.write(&tasks, update, done).await;
    refused("UpdateTask", "status, with the etag from before", stale, Code::Aborted)?;

    let get = GetTaskRequest { id: task.id };
    let foreign = eve.read(&tasks, TaskServiceClient::get_task, get.clone()).await;
    refused("GetTask", "ann's, as eve", foreign, Code::NotFound)?;
    refused("GetTask", "ann's, as nobody", tasks.get_task(get).await, Code::Unauthenticated)?;
    let delete = DeleteProjectRequest { id: project.id, ..DeleteProjectRequest::default() };
    let kept = ann.write(&projects, ProjectServiceClient::delete_project, delete).await;
    refused("DeleteProject", "Home", kept, Code::FailedPrecondition)
}

/// A task in a project; and the same again, as if the answer had been lost.
async fn create(ann: &Client, tasks: &Tasks, project: &Project) -> Result<Task, Failure> {
    let task = Task {
        project_id: project.id.clone(),
        title: "Water the plants 🌱".to_owned(),
        priority: TaskPriority::High.into(),
        ..Task::default()
    };
    let request_id = Uuid::new_v4().to_string();
    let create = CreateTaskRequest { task: Some(task), request_id };
    let created = ann.write(tasks, TaskServiceClient::create_task, create.clone()).await?;
    let task = created.task.unwrap_or_default();
    said("CreateTask", &task.title, format!("task {}, etag {}", task.id, task.etag));
    let again = ann.write(tasks, TaskServiceClient::create_task, create).await?;
    if again.task.as_ref() != Some(&task) {
        return Err("CreateTask, repeated with its request_id, gives another task".into());
    }
    said("CreateTask", "again, with the same request_id", "the same task, not a second one");
    Ok(task)
}

fn said(rpc: &str, what: &str, answer: impl Display) {
    println!("{rpc:<17} {what:<36} {answer}");
}

/// Shows a refusal. Any other answer is a failure of the demonstration.
fn refused<T>(rpc: &str, what: &str, answer: Result<T, Status>, code: Code) -> Result<(), Failure> {
    match answer {
        Err(status) if status.code() == code => {
            let reason = status.get_details_error_info().map(|info| info.reason);
            said(rpc, what, format!("refused: {code:?}, {}", reason.unwrap_or_default()));
            Ok(())
        }
        Err(status) => Err(format!("{rpc} answers {status}").into()),
        Ok(_) => Err(format!("{rpc} answers, and should refuse with {code:?}").into()),
    }
}

impl Service {
    async fn start<F, E>(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener, Stopped) -> F,
    ) -> Result<Self, Failure>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure>,
    {
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, Box::pin(async { drop(stopped.await) }));
        let mut ended = tokio::spawn(async { serving.await.map_err(Into::into) });
        tokio::select! {
            healthy = healthy(addr) => healthy?,
            ended = &mut ended => return Err(ended?.err().unwrap_or("it ended at once".into())),
        }
        let channel = Endpoint::from_shared(format!("http://{addr}"))?.connect_lazy();
        Ok(Self { channel, stop, ended })
    }

    async fn stop(self) -> Result<(), Failure> {
        drop(self.channel);
        drop(self.stop);
        self.ended.await?
    }
}

/// Resolves when the service shall end.
type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[cfg(test)]
mod tests {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_story_ends_as_it_should() {
        super::run().await.unwrap();
    }
}
