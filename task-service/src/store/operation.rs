//! Writes as values.

use shared::database::{Slot, Write, WriteError};
use uuid::Uuid;

use super::{rows::Key, trust::Said};
use crate::{
    error::Refusal,
    etag::Etag,
    projects::{NewProject, Project, ProjectChange},
    tasks::{NewTask, Task, TaskChange},
};

/// A write on its way to the database.
pub(crate) enum Operation {
    /// Something that happens to a project of this owner.
    Project { owner: Uuid, write: ProjectWrite, slot: Slot<Result<Project, Refusal>> },
    /// The end of a project of this owner.
    DeleteProject { owner: Uuid, deletion: ProjectDeletion, slot: Slot<Result<(), Refusal>> },
    /// Something that happens to a task of this owner.
    Task { owner: Uuid, write: TaskWrite, slot: Slot<Result<Task, Refusal>> },
    /// A key for page tokens, unless there is one.
    KeepPageKey { fresh: Vec<u8>, slot: Slot<Vec<u8>> },
    /// What the issuer of tokens has said.
    KeepTrust { said: Said, slot: Slot<bool> },
}

/// What happens to a project.
#[derive(Debug)]
pub(crate) enum ProjectWrite {
    Create(NewProject),
    Update { id: Uuid, seen: Option<Etag>, change: ProjectChange },
}

/// Which project goes, and whether its tasks go with it.
#[derive(Debug)]
pub(crate) struct ProjectDeletion {
    pub(crate) id: Uuid,
    pub(crate) seen: Option<Etag>,
    pub(crate) force: bool,
}

/// What happens to a task.
#[derive(Debug)]
pub(crate) enum TaskWrite {
    Create(NewTask),
    Update { id: Uuid, seen: Option<Etag>, change: TaskChange },
    Delete { id: Uuid, seen: Option<Etag> },
}

impl Operation {
    /// The owner whose rows are written.
    pub(super) fn owner(&self) -> Option<Uuid> {
        match self {
            Self::Project { owner, .. }
            | Self::DeleteProject { owner, .. }
            | Self::Task { owner, .. } => Some(*owner),
            Self::KeepPageKey { .. } | Self::KeepTrust { .. } => None,
        }
    }

    /// The project that the write changes or refers to.
    pub(super) fn project(&self) -> Option<Key> {
        let project = match self {
            Self::Project { write: ProjectWrite::Update { id, .. }, .. } => Some(*id),
            Self::DeleteProject { deletion, .. } => Some(deletion.id),
            Self::Task { write, .. } => write.project(),
            Self::Project { write: ProjectWrite::Create(_), .. }
            | Self::KeepPageKey { .. }
            | Self::KeepTrust { .. } => None,
        };
        Some((self.owner()?, project?))
    }

    /// The task that the write changes.
    pub(super) fn task(&self) -> Option<Key> {
        match self {
            Self::Task { owner, write, .. } => Some((*owner, write.task()?)),
            Self::Project { .. }
            | Self::DeleteProject { .. }
            | Self::KeepPageKey { .. }
            | Self::KeepTrust { .. } => None,
        }
    }
}

impl TaskWrite {
    /// The project that the task is to be part of.
    pub(super) fn project(&self) -> Option<Uuid> {
        match self {
            Self::Create(new) => new.project_id,
            Self::Update { change, .. } => change.project_id.flatten(),
            Self::Delete { .. } => None,
        }
    }

    fn task(&self) -> Option<Uuid> {
        match self {
            Self::Create(_) => None,
            Self::Update { id, .. } | Self::Delete { id, .. } => Some(*id),
        }
    }
}

impl Write for Operation {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Project { slot, .. } => slot.is_abandoned(),
            Self::DeleteProject { slot, .. } => slot.is_abandoned(),
            Self::Task { slot, .. } => slot.is_abandoned(),
            Self::KeepPageKey { slot, .. } => slot.is_abandoned(),
            Self::KeepTrust { slot, .. } => slot.is_abandoned(),
        }
    }

    fn settle(self, outcome: Result<(), WriteError>) {
        match self {
            Self::Project { slot, .. } => slot.settle(outcome),
            Self::DeleteProject { slot, .. } => slot.settle(outcome),
            Self::Task { slot, .. } => slot.settle(outcome),
            Self::KeepPageKey { slot, .. } => slot.settle(outcome),
            Self::KeepTrust { slot, .. } => slot.settle(outcome),
        }
    }
}
