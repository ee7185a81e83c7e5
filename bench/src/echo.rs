//! The same task each time.

use prost_types::Timestamp;
use shared::pb::task::{Task, TaskPriority, TaskStatus};
use tonic::Status;

use crate::rpcs::Answers;

/// A task as large as those that the services are measured with.
pub(crate) struct Echo;

impl Answers for Echo {
    async fn get(&self, id: &str) -> Result<Task, Status> {
        let time = |seconds| Some(Timestamp { seconds, nanos: 123_456_000 });
        Ok(Task {
            id: id.to_owned(),
            project_id: String::new(),
            title: "bicycle 123456".to_owned(),
            description: "as we said when we met last week".to_owned(),
            status: TaskStatus::Todo.into(),
            priority: TaskPriority::Medium.into(),
            due_time: time(1_900_000_000),
            complete_time: None,
            create_time: time(1_800_000_000),
            update_time: time(1_800_000_001),
            delete_time: None,
            etag: "0000000000012345".to_owned(),
            purge_time: None,
        })
    }
}
