//! Writes as values.

use shared::{
    database::{Slot, Write, WriteError},
    once::Once,
    trust::Head,
};
use uuid::Uuid;

use super::{erase::Batch, rows::Key, sweep::Sweep, trust::Said};
use crate::{
    error::Refusal,
    etag::Etag,
    projects::{NewProject, Project, ProjectChange},
    tasks::{NewTask, Task, TaskChange},
};

/// A write on its way to the database.
pub(crate) enum Operation {
    /// What an owner asks for.
    Ask(Ask),
    /// What is over is forgotten.
    Sweep { sweep: Sweep, slot: Slot<usize> },
    /// Some of what an owner has is deleted, until nothing is left.
    Erase { batch: Batch, slot: Slot<Option<Uuid>> },
    /// It is known everywhere that nothing is left.
    KeepErased { owner: Uuid, cursor: Head, slot: Slot<()> },
    /// Titles that have none yet get their keys.
    FoldTitles { slot: Slot<bool> },
    /// A key for page tokens, unless there is one.
    KeepPageKey { fresh: Vec<u8>, slot: Slot<Vec<u8>> },
    /// What the issuer of tokens has said.
    KeepTrust { said: Said, slot: Slot<bool> },
}

/// What an owner asks for, once if it may be asked for again.
pub(crate) struct Ask {
    pub(crate) owner: Uuid,
    pub(crate) once: Option<Once>,
    pub(crate) deed: Deed,
    pub(crate) slot: Slot<Result<Answer, Refusal>>,
}

/// What is to happen.
#[derive(Debug)]
pub(crate) enum Deed {
    CreateProject(NewProject),
    UpdateProject { id: Uuid, seen: Option<Etag>, change: ProjectChange },
    DeleteProject { id: Uuid, seen: Option<Etag>, force: bool },
    CreateTask(NewTask),
    UpdateTask { id: Uuid, seen: Option<Etag>, change: TaskChange },
    DeleteTask { id: Uuid, seen: Option<Etag> },
    UndeleteTask { id: Uuid, seen: Option<Etag> },
}

/// What has come of it.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Project(Project),
    Task(Task),
    Done,
}

impl Operation {
    /// The owner whose row is locked for it.
    pub(super) fn owner(&self) -> Option<Uuid> {
        match self {
            Self::Ask(ask) => Some(ask.owner),
            Self::Sweep { sweep, .. } => Some(sweep.owner),
            Self::Erase { batch, .. } => Some(batch.owner),
            Self::KeepErased { owner, .. } => Some(*owner),
            Self::FoldTitles { .. } | Self::KeepPageKey { .. } | Self::KeepTrust { .. } => None,
        }
    }

    /// What an owner asks for.
    pub(super) fn ask(&self) -> Option<&Ask> {
        if let Self::Ask(ask) = self { Some(ask) } else { None }
    }

    /// Whether it rests on what every other write of its group leaves in the tables: what takes a project's tasks
    /// along, or forgets those that were deleted long ago and are not being brought back.
    pub(super) fn comes_last(&self) -> bool {
        match self {
            Self::Ask(ask) => matches!(ask.deed, Deed::DeleteProject { .. }),
            Self::Sweep { .. } => true,
            Self::Erase { .. }
            | Self::KeepErased { .. }
            | Self::FoldTitles { .. }
            | Self::KeepPageKey { .. }
            | Self::KeepTrust { .. } => false,
        }
    }
}

impl Ask {
    /// The project that it changes or refers to.
    pub(super) fn project(&self) -> Option<Key> {
        let id = match &self.deed {
            Deed::UpdateProject { id, .. } | Deed::DeleteProject { id, .. } => Some(*id),
            Deed::CreateTask(new) => new.project_id,
            Deed::UpdateTask { change, .. } => change.project_id.flatten(),
            Deed::CreateProject(_) | Deed::DeleteTask { .. } | Deed::UndeleteTask { .. } => None,
        };
        Some((self.owner, id?))
    }

    /// The task that it changes.
    pub(super) fn task(&self) -> Option<Key> {
        match &self.deed {
            Deed::UpdateTask { id, .. }
            | Deed::DeleteTask { id, .. }
            | Deed::UndeleteTask { id, .. } => Some((self.owner, *id)),
            Deed::CreateProject(_)
            | Deed::UpdateProject { .. }
            | Deed::DeleteProject { .. }
            | Deed::CreateTask(_) => None,
        }
    }
}

impl Answer {
    /// The task that it must be.
    pub(super) fn task(self) -> Result<Task, WriteError> {
        if let Self::Task(task) = self { Ok(task) } else { Err(WriteError::Unanswered) }
    }

    /// The project that it must be.
    pub(super) fn project(self) -> Result<Project, WriteError> {
        if let Self::Project(project) = self { Ok(project) } else { Err(WriteError::Unanswered) }
    }
}

impl Write for Operation {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Ask(ask) => ask.slot.is_abandoned(),
            Self::Sweep { slot, .. } => slot.is_abandoned(),
            Self::Erase { slot, .. } => slot.is_abandoned(),
            Self::KeepErased { slot, .. } => slot.is_abandoned(),
            Self::KeepPageKey { slot, .. } => slot.is_abandoned(),
            Self::FoldTitles { slot } | Self::KeepTrust { slot, .. } => slot.is_abandoned(),
        }
    }

    fn settle(self, outcome: Result<(), WriteError>) {
        match self {
            Self::Ask(ask) => ask.slot.settle(outcome),
            Self::Sweep { slot, .. } => slot.settle(outcome),
            Self::Erase { slot, .. } => slot.settle(outcome),
            Self::KeepErased { slot, .. } => slot.settle(outcome),
            Self::KeepPageKey { slot, .. } => slot.settle(outcome),
            Self::FoldTitles { slot } | Self::KeepTrust { slot, .. } => slot.settle(outcome),
        }
    }
}
