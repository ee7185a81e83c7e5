//! What ann is told of her own changes, as they are made.

use shared::{
    client::Session,
    pb::task::{Change, WatchTasksRequest, WatchTasksResponse, change::Resource},
};
use tonic::{Request, Streaming};

use super::{Tasks, said};
use crate::Failure;

/// A stream of changes.
pub(super) struct Watch(Streaming<WatchTasksResponse>);

impl Watch {
    /// Watches from the beginning.
    pub(super) async fn begin(session: &Session, tasks: &Tasks) -> Result<Self, Failure> {
        let mut request = Request::new(WatchTasksRequest { cursor: String::new(), follow: true });
        let authorization = session.authorization().await?;
        request.metadata_mut().insert("authorization", authorization);
        Ok(Self(tasks.clone().watch_tasks(request).await?.into_inner()))
    }

    /// Shows what is told until everything is.
    pub(super) async fn show(&mut self) -> Result<(), Failure> {
        loop {
            let message = self.0.message().await?.ok_or("the stream has ended")?;
            for change in message.changes {
                said("", "the watch tells", state(change));
            }
            if message.current {
                return Ok(());
            }
        }
    }
}

fn state(change: Change) -> String {
    match change.resource {
        Some(Resource::Task(task)) if task.delete_time.is_some() => {
            format!("{} is deleted", task.title)
        }
        Some(Resource::Task(task)) => format!("{} is {:?}", task.title, task.status()),
        Some(Resource::Project(project)) => format!("{} is there", project.title),
        Some(Resource::DeletedProjectId(id)) => format!("{id} is gone"),
        None => "nothing".to_owned(),
    }
}
