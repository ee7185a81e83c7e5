//! Tasks between the wire and the domain.

use std::time::Duration;

use prost_types::Timestamp;
use shared::{
    clock::{Time, TimeOutOfRange},
    fields::Violations,
    ids::{IdFault, parse_id},
    mask::Mask,
    pb::task::{self as pb, CreateTaskRequest, TaskPriority, TaskStatus, UpdateTaskRequest},
};
use uuid::Uuid;

use crate::{
    api::{parse_etag, timestamp},
    etag::Etag,
    tasks::{NewTask, Priority, Status, Task, TaskChange},
    text::{Description, Title},
};

/// A number that is no status.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be TASK_STATUS_TODO, TASK_STATUS_IN_PROGRESS or TASK_STATUS_COMPLETED")]
pub(super) struct StatusFault;

/// A number that is no priority.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "must be TASK_PRIORITY_LOW, TASK_PRIORITY_MEDIUM, TASK_PRIORITY_HIGH or TASK_PRIORITY_URGENT"
)]
pub(super) struct PriorityFault;

/// What a creation asks for.
pub(super) fn new_task(request: CreateTaskRequest, bad: &mut Violations) -> Option<NewTask> {
    let task = request.task.unwrap_or_default();
    let project_id = bad.check("task.project_id", optional_id(&task.project_id));
    let title = bad.check("task.title", Title::parse(task.title));
    let description = bad.check("task.description", Description::parse(task.description));
    let status = match task.status {
        0 => Some(Status::Todo),
        number => bad.check("task.status", status(number)),
    };
    let priority = match task.priority {
        0 => Some(Priority::Medium),
        number => bad.check("task.priority", priority(number)),
    };
    let due_time = bad.check("task.due_time", optional_time(task.due_time));
    Some(NewTask {
        project_id: project_id?,
        title: title?,
        description: description?,
        status: status?,
        priority: priority?,
        due_time: due_time?,
    })
}

/// What an update asks for: the task, the version that the caller has seen, and the change.
pub(super) fn change(
    request: UpdateTaskRequest,
    bad: &mut Violations,
) -> Option<(Uuid, Option<Etag>, TaskChange)> {
    let task = request.task.unwrap_or_default();
    let fields = [
        ("project_id", !task.project_id.is_empty()),
        ("title", !task.title.is_empty()),
        ("description", !task.description.is_empty()),
        ("status", task.status != 0),
        ("priority", task.priority != 0),
        ("due_time", task.due_time.is_some()),
    ];
    let fixed =
        ["id", "complete_time", "create_time", "update_time", "delete_time", "purge_time", "etag"];
    let mask = Mask::parse(request.update_mask, &fields, &fixed, bad);
    let mut change = TaskChange::default();
    if mask.names("project_id") {
        change.project_id = bad.check("task.project_id", optional_id(&task.project_id));
    }
    if mask.names("title") {
        change.title = bad.check("task.title", Title::parse(task.title));
    }
    if mask.names("description") {
        change.description = bad.check("task.description", Description::parse(task.description));
    }
    if mask.names("status") {
        change.status = bad.check("task.status", status(task.status));
    }
    if mask.names("priority") {
        change.priority = bad.check("task.priority", priority(task.priority));
    }
    if mask.names("due_time") {
        change.due_time = bad.check("task.due_time", optional_time(task.due_time));
    }
    let id = bad.check("task.id", parse_id(&task.id));
    let seen = parse_etag("task.etag", &task.etag, bad);
    id.zip(seen).map(|(id, seen)| (id, seen, change))
}

pub(super) fn optional_id(text: &str) -> Result<Option<Uuid>, IdFault> {
    if text.is_empty() { Ok(None) } else { parse_id(text).map(Some) }
}

pub(super) fn optional_time(time: Option<Timestamp>) -> Result<Option<Time>, TimeOutOfRange> {
    time.map(Time::try_from).transpose()
}

pub(super) fn status(number: i32) -> Result<Status, StatusFault> {
    match TaskStatus::try_from(number) {
        Ok(TaskStatus::Todo) => Ok(Status::Todo),
        Ok(TaskStatus::InProgress) => Ok(Status::InProgress),
        Ok(TaskStatus::Completed) => Ok(Status::Completed),
        Ok(TaskStatus::Unspecified) | Err(_) => Err(StatusFault),
    }
}

pub(super) fn priority(number: i32) -> Result<Priority, PriorityFault> {
    match TaskPriority::try_from(number) {
        Ok(TaskPriority::Low) => Ok(Priority::Low),
        Ok(TaskPriority::Medium) => Ok(Priority::Medium),
        Ok(TaskPriority::High) => Ok(Priority::High),
        Ok(TaskPriority::Urgent) => Ok(Priority::Urgent),
        Ok(TaskPriority::Unspecified) | Err(_) => Err(PriorityFault),
    }
}

/// A task as it goes over the wire. A deleted one is kept for `retention`.
pub(super) fn task(task: Task, retention: Duration) -> pb::Task {
    let status = match task.status {
        Status::Todo => TaskStatus::Todo,
        Status::InProgress => TaskStatus::InProgress,
        Status::Completed => TaskStatus::Completed,
    };
    let priority = match task.priority {
        Priority::Low => TaskPriority::Low,
        Priority::Medium => TaskPriority::Medium,
        Priority::High => TaskPriority::High,
        Priority::Urgent => TaskPriority::Urgent,
    };
    pb::Task {
        id: task.id.to_string(),
        project_id: task.project_id.map(|id| id.to_string()).unwrap_or_default(),
        title: task.title.into(),
        description: task.description.into(),
        status: status.into(),
        priority: priority.into(),
        due_time: timestamp(task.due_time),
        complete_time: timestamp(task.complete_time),
        create_time: timestamp(task.create_time),
        update_time: timestamp(task.update_time),
        delete_time: timestamp(task.delete_time),
        etag: Etag::of(task.revision).to_string(),
        purge_time: timestamp(task.delete_time.map(|time| time.plus(retention))),
    }
}
