//! Answers as they are kept for whoever asks again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{operation::Answer, projects, tasks};

/// An answer as it is written down: the row as it was.
#[derive(Serialize, Deserialize)]
pub(super) enum Kept<'a> {
    #[serde(rename = "project")]
    Project(projects::Row<'a>),
    #[serde(rename = "task")]
    Task(tasks::Row<'a>),
    #[serde(rename = "done")]
    Done,
}

impl<'a> Kept<'a> {
    pub(super) fn of(owner: Uuid, answer: &'a Answer) -> Self {
        match answer {
            Answer::Project(project) => {
                Self::Project(projects::Row::of((owner, project.id), project))
            }
            Answer::Task(task) => Self::Task(tasks::Row::of((owner, task.id), task)),
            Answer::Done => Self::Done,
        }
    }

    pub(super) fn answer(self) -> Result<Answer, sqlx::Error> {
        match self {
            Self::Project(row) => row.project().map(Answer::Project),
            Self::Task(row) => row.task().map(Answer::Task),
            Self::Done => Ok(Answer::Done),
        }
    }
}
