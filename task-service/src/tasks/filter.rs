//! Lists of tasks: what is asked for.

use shared::clock::Time;
use uuid::Uuid;

use super::{Priority, Status};
use crate::text::TitlePart;

/// Which tasks to list, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only those of this project.
    pub project_id: Option<Uuid>,
    /// Only those with one of these statuses; empty means any.
    pub statuses: Vec<Status>,
    /// Only those with one of these priorities; empty means any.
    pub priorities: Vec<Priority>,
    /// Only those due at this time or later.
    pub due_start: Option<Time>,
    /// Only those due before this time.
    pub due_end: Option<Time>,
    /// Only those whose title contains this.
    pub title_contains: Option<TitlePart>,
    /// Whether deleted ones are among them.
    pub show_deleted: bool,
    /// What they are ordered by.
    pub order: TaskOrder,
    /// Whether the order is turned around.
    pub descending: bool,
}

/// What tasks can be ordered by, with the number that page tokens are bound to; ids break ties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskOrder {
    /// When they were made.
    #[default]
    CreateTime = 1,
    /// When they last changed.
    UpdateTime = 2,
    /// When they are due, those due never at the end.
    DueTime = 3,
    /// How urgent they are.
    Priority = 4,
    /// What they are called, without regard to case.
    Title = 5,
}
