//! What is called.

use std::sync::Arc;

use bytes::Bytes;
use e2e::Chance;
use prost::Message;
use prost_types::FieldMask;
use shared::pb::task::{
    CreateTaskRequest, GetTaskRequest, Task, TaskPriority, UpdateTaskRequest, UpdateTaskResponse,
};
use uuid::Uuid;

use super::load::{Work, framed};
use crate::Failure;

pub(super) const GET_TASK: &str = "/taskmanager.task.v1.TaskService/GetTask";
pub(super) const CREATE_TASK: &str = "/taskmanager.task.v1.TaskService/CreateTask";
pub(super) const UPDATE_TASK: &str = "/taskmanager.task.v1.TaskService/UpdateTask";
pub(super) const LIST_TASKS: &str = "/taskmanager.task.v1.TaskService/ListTasks";
pub(super) const WATCH_TASKS: &str = "/taskmanager.task.v1.TaskService/WatchTasks";
pub(super) const LOGIN: &str = "/taskmanager.auth.v1.AuthService/Login";
pub(super) const LIST_SIGNING_KEYS: &str = "/taskmanager.auth.v1.AuthService/ListSigningKeys";

/// The same request each time.
pub(super) struct Same(pub(super) Bytes);

/// Reads tasks all over the place.
pub(super) struct Get {
    requests: Arc<[Bytes]>,
    chance: Chance,
}

/// Makes tasks, each of them once however often it is asked for.
pub(super) struct Create {
    made: usize,
}

/// Changes tasks that nobody else changes, one after another, each with the etag that it saw last.
pub(super) struct Update {
    tasks: Vec<(Uuid, String)>,
    at: usize,
    changes: usize,
}

impl Same {
    pub(super) fn new(message: &impl Message) -> Self {
        Self(framed(message))
    }
}

/// The requests for these tasks.
pub(super) fn gets<'a>(ids: impl IntoIterator<Item = &'a Uuid>) -> Arc<[Bytes]> {
    ids.into_iter().map(|id| framed(&GetTaskRequest { id: id.to_string() })).collect()
}

impl Get {
    pub(super) fn new(requests: &Arc<[Bytes]>, caller: usize) -> Self {
        let seed = u64::try_from(caller).unwrap_or_default();
        Self { requests: Arc::clone(requests), chance: Chance::new(seed) }
    }
}

impl Create {
    pub(super) fn new(caller: usize) -> Self {
        Self { made: caller }
    }
}

impl Update {
    pub(super) fn new(tasks: impl IntoIterator<Item = Uuid>) -> Self {
        let tasks = tasks.into_iter().map(|id| (id, String::new()));
        Self { tasks: tasks.collect(), at: 0, changes: 0 }
    }
}

impl Work for Same {
    fn next(&mut self) -> Bytes {
        self.0.clone()
    }
}

impl Work for Get {
    fn next(&mut self) -> Bytes {
        self.chance.pick(&self.requests)
    }
}

impl Work for Create {
    fn next(&mut self) -> Bytes {
        self.made += 1;
        let task = Task {
            title: format!("bicycle {:06}", self.made),
            description: "as we said when we met last week".to_owned(),
            priority: TaskPriority::High.into(),
            ..Task::default()
        };
        framed(&CreateTaskRequest { task: Some(task), request_id: Uuid::new_v4().to_string() })
    }
}

impl Work for Update {
    fn next(&mut self) -> Bytes {
        self.changes += 1;
        let (id, etag) = self.tasks.get(self.at).cloned().unwrap_or_default();
        let title = format!("bicycle {:06}", self.changes);
        let task = Task { id: id.to_string(), etag, title, ..Task::default() };
        let update_mask = Some(FieldMask { paths: vec!["title".to_owned()] });
        framed(&UpdateTaskRequest { task: Some(task), update_mask, ..Default::default() })
    }

    fn answered(&mut self, message: Bytes) -> Result<(), Failure> {
        let task = UpdateTaskResponse::decode(message)?.task.unwrap_or_default();
        if let Some((_, etag)) = self.tasks.get_mut(self.at) {
            *etag = task.etag;
        }
        self.at = (self.at + 1) % self.tasks.len().max(1);
        Ok(())
    }
}
