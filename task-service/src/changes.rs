//! What has changed about an owner's projects and tasks, in the order of its revisions.

use uuid::Uuid;

use crate::{projects::Project, tasks::Task};

/// The last state of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A task, perhaps a deleted one.
    Task(Task),
    /// A project.
    Project(Project),
    /// A project that is gone.
    ProjectDeleted {
        /// The project that it was.
        id: Uuid,
        /// The owner's revision at its end.
        revision: i64,
    },
}

/// How far somebody knows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The last revision that they have been told.
    pub revision: i64,
    /// The last one that there was when they began with nothing. What was deleted before that they
    /// have never heard of, and need not.
    pub beginning: i64,
}

/// What comes after a position.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes {
    /// The states, in the order of their revisions.
    pub changes: Vec<Change>,
    /// How far whoever takes them knows everything.
    pub position: Position,
    /// The owner's last revision when they were read.
    pub head: i64,
}

impl Change {
    /// The owner's revision at the change.
    #[must_use]
    pub fn revision(&self) -> i64 {
        match self {
            Self::Task(task) => task.revision,
            Self::Project(project) => project.revision,
            Self::ProjectDeleted { revision, .. } => *revision,
        }
    }
}

impl Position {
    /// Whether nothing that whoever is here must hear of has been forgotten, of an owner whose last
    /// revision is `head`. A position beyond it is of data that are gone: they have been restored.
    #[must_use]
    pub fn is_known(self, head: i64, forgotten: i64) -> bool {
        let last = self.revision.max(self.beginning);
        last <= head && forgotten <= last
    }
}
