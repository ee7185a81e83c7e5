//! Answers as they are kept for whoever asks again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{operation::Answer, projects, tasks};

/// An answer as it is written down: the row as it was. It is read by the next version too, so a column
/// that is added there later needs a default.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as they stand in the table.
    const TASK: &str = r#"{"task":{"owner_id":"01890000-0000-7000-8000-000000000001",
        "id":"01890000-0000-7000-8000-000000000002","project_id":null,"title":"t","description":"",
        "status":1,"priority":2,"due_time":9223372036854775807,"complete_time":null,"create_time":1,
        "update_time":1,"delete_time":0,"revision":7}}"#;
    const PROJECT: &str = r#"{"project":{"owner_id":"01890000-0000-7000-8000-000000000001",
        "id":"01890000-0000-7000-8000-000000000003","title":"p","description":"","create_time":1,
        "update_time":1,"revision":8}}"#;

    #[test]
    fn what_was_kept_by_an_earlier_version_is_read() {
        let read = |json| serde_json::from_str::<Kept<'_>>(json).unwrap().answer().unwrap();
        assert!(matches!(read(TASK), Answer::Task(task) if task.revision == 7));
        assert!(matches!(read(PROJECT), Answer::Project(project) if project.revision == 8));
        assert!(matches!(read("\"done\""), Answer::Done));
    }
}
