//! Tasks: what they are and what may be done to them.

mod filter;

use shared::clock::Time;
use uuid::Uuid;

pub use filter::{TaskFilter, TaskOrder};

use crate::{
    error::Refusal,
    etag::Etag,
    text::{Description, Title},
};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: Uuid,
    /// The project that it is part of.
    pub project_id: Option<Uuid>,
    /// What is to be done.
    pub title: Title,
    /// More about it.
    pub description: Description,
    /// How far it is.
    pub status: Status,
    /// How urgent it is.
    pub priority: Priority,
    /// When it is due.
    pub due_time: Option<Time>,
    /// When it was completed; `Some` exactly while the status is [`Status::Completed`].
    pub complete_time: Option<Time>,
    /// When it was made.
    pub create_time: Time,
    /// When it last changed.
    pub update_time: Time,
    /// When it was deleted.
    pub delete_time: Option<Time>,
    /// The owner's revision at the last change.
    pub revision: i64,
}

/// How far a task is, with the number that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Not begun.
    Todo = 1,
    /// Begun.
    InProgress = 2,
    /// Done.
    Completed = 3,
}

/// How urgent a task is, with the number that is stored and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Can wait.
    Low = 1,
    /// Neither the one nor the other.
    Medium = 2,
    /// Comes before the others.
    High = 3,
    /// Comes before everything.
    Urgent = 4,
}

/// What its owner says of a new task.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The project that it is part of.
    pub project_id: Option<Uuid>,
    /// What is to be done.
    pub title: Title,
    /// More about it.
    pub description: Description,
    /// How far it is.
    pub status: Status,
    /// How urgent it is.
    pub priority: Priority,
    /// When it is due.
    pub due_time: Option<Time>,
}

/// What is to change about a task: what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct TaskChange {
    /// The project that it is part of; `Some(None)` takes it out of its project.
    pub project_id: Option<Option<Uuid>>,
    /// What is to be done.
    pub title: Option<Title>,
    /// More about it.
    pub description: Option<Description>,
    /// How far it is.
    pub status: Option<Status>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// When it is due; `Some(None)` makes it due never.
    pub due_time: Option<Option<Time>>,
}

impl Task {
    /// A new task.
    #[must_use]
    pub fn new(id: Uuid, new: NewTask, now: Time, revision: i64) -> Self {
        let NewTask { project_id, title, description, status, priority, due_time } = new;
        let mut task = Self {
            id,
            project_id,
            title,
            description,
            status: Status::Todo,
            priority,
            due_time,
            complete_time: None,
            create_time: now,
            update_time: now,
            delete_time: None,
            revision,
        };
        task.set_status(status, now);
        task
    }

    /// Changes the task.
    ///
    /// # Errors
    /// When it is deleted, or no longer the one that the caller has seen.
    pub fn change(
        &mut self,
        change: TaskChange,
        seen: Option<Etag>,
        now: Time,
        revision: i64,
    ) -> Result<(), Refusal> {
        self.touch(seen, now, revision)?;
        let TaskChange { project_id, title, description, status, priority, due_time } = change;
        self.project_id = project_id.unwrap_or(self.project_id);
        self.priority = priority.unwrap_or(self.priority);
        self.due_time = due_time.unwrap_or(self.due_time);
        self.set_status(status.unwrap_or(self.status), now);
        if let Some(title) = title {
            self.title = title;
        }
        if let Some(description) = description {
            self.description = description;
        }
        Ok(())
    }

    /// Marks the task as deleted.
    ///
    /// # Errors
    /// When it is deleted already, or no longer the one that the caller has seen.
    pub fn delete(&mut self, seen: Option<Etag>, now: Time, revision: i64) -> Result<(), Refusal> {
        self.touch(seen, now, revision)?;
        self.delete_time = Some(now);
        Ok(())
    }

    /// Takes the deletion back.
    ///
    /// # Errors
    /// When it is not deleted, or no longer the one that the caller has seen.
    pub fn undelete(
        &mut self,
        seen: Option<Etag>,
        now: Time,
        revision: i64,
    ) -> Result<(), Refusal> {
        if self.delete_time.is_none() {
            return Err(Refusal::TaskNotDeleted);
        }
        Etag::check(seen, self.revision)?;
        self.delete_time = None;
        self.update_time = now;
        self.revision = revision;
        Ok(())
    }

    /// How many bytes its texts have.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.title.as_str().len() + self.description.as_str().len()
    }

    fn touch(&mut self, seen: Option<Etag>, now: Time, revision: i64) -> Result<(), Refusal> {
        if self.delete_time.is_some() {
            return Err(Refusal::TaskDeleted);
        }
        Etag::check(seen, self.revision)?;
        self.update_time = now;
        self.revision = revision;
        Ok(())
    }

    /// A task that stays completed keeps the time at which it became so.
    fn set_status(&mut self, status: Status, now: Time) {
        self.status = status;
        self.complete_time = match status {
            Status::Completed => self.complete_time.or(Some(now)),
            Status::Todo | Status::InProgress => None,
        };
    }
}

impl Status {
    /// The status that is stored as this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Todo, Self::InProgress, Self::Completed].into_iter().find(|it| *it as i64 == number)
    }
}

impl Priority {
    /// The priority that is stored as this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High, Self::Urgent]
            .into_iter()
            .find(|it| *it as i64 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_seconds(second)
    }

    fn task(status: Status) -> Task {
        let new = NewTask {
            project_id: None,
            title: Title::parse("t".to_owned()).unwrap(),
            description: Description::parse(String::new()).unwrap(),
            status,
            priority: Priority::Medium,
            due_time: None,
        };
        Task::new(Uuid::nil(), new, at(1), 7)
    }

    fn to(status: Status) -> TaskChange {
        TaskChange { status: Some(status), ..TaskChange::default() }
    }

    #[test]
    fn complete_time_follows_the_status() {
        assert_eq!(task(Status::Completed).complete_time, Some(at(1)));
        let mut task = task(Status::Todo);
        for (second, status, expected) in [
            (2, Status::InProgress, None),
            (3, Status::Completed, Some(at(3))),
            (4, Status::Completed, Some(at(3))),
            (5, Status::Todo, None),
            (6, Status::Completed, Some(at(6))),
        ] {
            task.change(to(status), None, at(second), second).unwrap();
            assert_eq!(task.complete_time, expected, "second {second}");
        }
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let mut task = task(Status::Todo);
        let before = task.clone();
        let stale = Some(Etag::of(6));
        let change = to(Status::Completed);
        assert_eq!(task.change(change.clone(), stale, at(2), 8), Err(Refusal::EtagMismatch));
        assert_eq!(task.delete(stale, at(2), 8), Err(Refusal::EtagMismatch));
        assert_eq!(task, before);

        task.delete(Some(Etag::of(7)), at(2), 8).unwrap();
        let deleted = task.clone();
        assert_eq!(task.change(change, None, at(3), 9), Err(Refusal::TaskDeleted));
        assert_eq!(task.delete(None, at(3), 9), Err(Refusal::TaskDeleted));
        assert_eq!(task.undelete(stale, at(3), 9), Err(Refusal::EtagMismatch));
        assert_eq!(task, deleted);

        task.undelete(Some(Etag::of(8)), at(3), 9).unwrap();
        assert_eq!(task, Task { update_time: at(3), revision: 9, ..before });
        let back = task.clone();
        assert_eq!(task.undelete(None, at(4), 10), Err(Refusal::TaskNotDeleted));
        assert_eq!(task, back);
    }
}
