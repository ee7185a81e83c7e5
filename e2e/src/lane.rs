//! Writes as a client makes them one after another: each rests on the one before.

use std::collections::BTreeMap;

use shared::pb::task::{
    CreateProjectRequest, CreateTaskRequest, DeleteProjectRequest, DeleteTaskRequest, Project,
    Task, UndeleteTaskRequest, UpdateTaskRequest,
};
use tonic::Status;
use uuid::Uuid;

use crate::{Chance, Person};

/// A write as it is sent, the same each time.
#[derive(Debug, Clone)]
pub enum Call {
    /// `CreateProject`.
    CreateProject(CreateProjectRequest),
    /// `DeleteProject`.
    DeleteProject(DeleteProjectRequest),
    /// `CreateTask`.
    CreateTask(CreateTaskRequest),
    /// `UpdateTask`.
    UpdateTask(UpdateTaskRequest),
    /// `DeleteTask`.
    DeleteTask(DeleteTaskRequest),
    /// `UndeleteTask`.
    UndeleteTask(UndeleteTaskRequest),
}

/// What was answered.
#[derive(Debug)]
pub enum Answer {
    /// A project.
    Project(Project),
    /// A task.
    Task(Task),
    /// Nothing.
    Done,
}

/// A row as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its title.
    pub title: String,
    /// Whether it is deleted, or gone.
    pub is_deleted: bool,
    /// Its etag, as far as the client was told.
    pub etag: Option<String>,
}

/// How often, and as what, each row must have been written, by its id.
pub type History = BTreeMap<String, Vec<Written>>;

/// A project of somebody and a task in it.
#[derive(Debug, Default)]
pub struct Lane {
    project: Option<Project>,
    task: Option<Task>,
    /// How many writes there have been; texts are named after it.
    number: usize,
    /// What must have been written.
    pub history: History,
}

impl Call {
    /// Sends it as somebody.
    ///
    /// # Errors
    /// When it is refused, or its answer is lost.
    pub async fn send(self, mut person: Person) -> Result<Answer, Status> {
        let (projects, tasks) = (&mut person.projects, &mut person.tasks);
        let task = match self {
            Self::CreateProject(request) => {
                let project = projects.create_project(request).await?.into_inner().project;
                return Ok(Answer::Project(project.expect("a project")));
            }
            Self::DeleteProject(request) => {
                projects.delete_project(request).await?;
                return Ok(Answer::Done);
            }
            Self::CreateTask(request) => tasks.create_task(request).await?.into_inner().task,
            Self::UpdateTask(request) => tasks.update_task(request).await?.into_inner().task,
            Self::DeleteTask(request) => tasks.delete_task(request).await?.into_inner().task,
            Self::UndeleteTask(request) => tasks.undelete_task(request).await?.into_inner().task,
        };
        Ok(Answer::Task(task.expect("a task")))
    }

    /// The title that it gives.
    fn title(&self) -> Option<&str> {
        match self {
            Self::CreateProject(request) => request.project.as_ref().map(|it| it.title.as_str()),
            Self::CreateTask(request) => request.task.as_ref().map(|it| it.title.as_str()),
            Self::UpdateTask(request) => request.task.as_ref().map(|it| it.title.as_str()),
            Self::DeleteProject(_) | Self::DeleteTask(_) | Self::UndeleteTask(_) => None,
        }
    }
}

impl Lane {
    /// The next write, with a `request_id`: one that must be done, whatever the choice.
    pub fn next(&mut self, chance: &mut Chance) -> Call {
        self.number += 1;
        let (title, request_id) = (self.number.to_string(), Uuid::new_v4().to_string());
        let Some(Project { id: project_id, etag: project_etag, .. }) = self.project.clone() else {
            let project = Some(Project { title, ..Project::default() });
            return Call::CreateProject(CreateProjectRequest { project, request_id });
        };
        let Some(Task { id, etag, delete_time, .. }) = self.task.clone() else {
            let task = Some(Task { title, project_id, ..Task::default() });
            return Call::CreateTask(CreateTaskRequest { task, request_id });
        };
        let or_any = |etag, any| if any { String::new() } else { etag };
        let (choice, any) = (chance.below(8), chance.below(2) == 0);
        if choice == 0 {
            let (id, etag, force) = (project_id, or_any(project_etag, any), true);
            return Call::DeleteProject(DeleteProjectRequest { id, force, etag, request_id });
        }
        let etag = or_any(etag, any);
        if delete_time.is_some() {
            Call::UndeleteTask(UndeleteTaskRequest { id, etag, request_id })
        } else if choice < 4 {
            Call::DeleteTask(DeleteTaskRequest { id, etag, request_id })
        } else {
            let task = Some(Task { id, title, etag, ..Task::default() });
            Call::UpdateTask(UpdateTaskRequest { task, request_id, ..Default::default() })
        }
    }

    /// Takes over the answer, which must be that of one execution.
    pub fn take(&mut self, call: &Call, answer: Answer) {
        match answer {
            Answer::Project(project) => {
                assert!(!self.history.contains_key(&project.id), "a new one: {call:?}");
                self.wrote(&project.id, &project.title, false, Some(&project.etag));
                self.project = Some(project);
            }
            Answer::Task(task) => self.take_task(call, task),
            Answer::Done => {
                let project = self.project.take().expect("a project that was there");
                self.wrote(&project.id, &project.title, true, None);
                if let Some(task) = self.task.take().filter(|task| task.delete_time.is_none()) {
                    self.wrote(&task.id, &task.title, true, None);
                }
            }
        }
    }

    fn take_task(&mut self, call: &Call, task: Task) {
        match &self.task {
            Some(before) => assert_eq!(before.id, task.id, "{call:?}"),
            None => assert!(!self.history.contains_key(&task.id), "a new one: {call:?}"),
        }
        let is_deleted = matches!(call, Call::DeleteTask(_));
        assert_eq!(task.delete_time.is_some(), is_deleted, "{call:?}");
        let before = self.task.as_ref().map(|task| task.title.as_str());
        assert_eq!(Some(task.title.as_str()), call.title().or(before), "{call:?}");
        self.wrote(&task.id, &task.title, is_deleted, Some(&task.etag));
        self.task = Some(task);
    }

    fn wrote(&mut self, id: &str, title: &str, is_deleted: bool, etag: Option<&String>) {
        let written = Written { title: title.to_owned(), is_deleted, etag: etag.cloned() };
        self.history.entry(id.to_owned()).or_default().push(written);
    }
}
