//! The RPCs, called as clients call them: a file for each, and one for what they have in common.

mod authorization;
mod create_project;
mod get_project;
mod list_projects;
mod update_project;
mod delete_project;
mod create_task;
mod get_task;
mod list_tasks;
mod request_ids;
mod update_task;
mod delete_task;
mod undelete_task;
mod watch_tasks;
mod erased;

use e2e::{AuthServer, Engine, Person, TaskServer};
use shared::pb::task::{
    CreateProjectRequest, CreateTaskRequest, GetTaskRequest, ListTasksRequest, Project, Task,
};
use tonic::{Code, Response, Status};

/// Both services, and two people.
pub(crate) struct Scene {
    pub(crate) auth: AuthServer,
    pub(crate) server: TaskServer,
    pub(crate) ann: Person,
    pub(crate) bob: Person,
}

impl Scene {
    pub(crate) async fn new(on: Engine) -> Self {
        Self::with(on, []).await
    }

    pub(crate) async fn with<const N: usize>(
        on: Engine,
        settings: [(&'static str, &str); N],
    ) -> Self {
        let auth = AuthServer::start_on(on).await;
        let server = TaskServer::start_with(&auth, settings).await;
        let (ann, bob) = (server.register(&auth, "ann").await, server.register(&auth, "bob").await);
        Self { auth, server, ann, bob }
    }
}

pub(crate) const ELSEWHERE: &str = "01890000-0000-7000-8000-000000000000";

/// Texts that no title may be.
pub(crate) fn bad_titles() -> Vec<String> {
    let texts = ["", "   ", "\u{3000}", "nul\0", "line\nfeed", "\u{7f}", "\u{9b}31m"];
    texts.into_iter().map(str::to_owned).chain(["é".repeat(201)]).collect()
}

/// Texts that no description may be.
pub(crate) fn bad_descriptions() -> Vec<String> {
    vec!["nul\0".to_owned(), "\u{1b}[31m".to_owned(), "\u{b}".to_owned(), "é".repeat(10_001)]
}

/// Texts that no id may be.
pub(crate) const BAD_IDS: [&str; 7] = [
    "1",
    "not-a-uuid",
    "0189000000007000800000000000000",
    "01890000000070008000000000000000",
    "{01890000-0000-7000-8000-000000000000}",
    "01890000-0000-7000-8000-00000000000g",
    "01890000-0000-7000-8000-000000000000\0",
];

pub(crate) fn invalid<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Vec<String> {
    let refused = e2e::refused(answer);
    assert_eq!(refused.kind(), (Code::InvalidArgument, "FIELD_INVALID"), "{}", refused.message);
    refused.fields
}

pub(crate) async fn create_project(person: &mut Person, title: &str) -> Project {
    let project = Project { title: title.to_owned(), ..Project::default() };
    let request = CreateProjectRequest { project: Some(project), ..Default::default() };
    person.projects.create_project(request).await.unwrap().into_inner().project.unwrap()
}

pub(crate) async fn create_task(person: &mut Person, task: Task) -> Task {
    let request = CreateTaskRequest { task: Some(task), ..Default::default() };
    person.tasks.create_task(request).await.unwrap().into_inner().task.unwrap()
}

pub(crate) fn titled(title: &str) -> Task {
    Task { title: title.to_owned(), ..Task::default() }
}

pub(crate) async fn get_task(person: &mut Person, id: &str) -> Task {
    let request = GetTaskRequest { id: id.to_owned() };
    person.tasks.get_task(request).await.unwrap().into_inner().task.unwrap()
}

/// The titles of everything that somebody has.
pub(crate) async fn titles(person: &mut Person) -> Vec<String> {
    let answer = person.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    answer.into_inner().tasks.into_iter().map(|task| task.title).collect()
}
