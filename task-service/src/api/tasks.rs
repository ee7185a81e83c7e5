//! `taskmanager.task.v1.TaskService`.

mod list;
mod wire;
mod watch;

use std::{sync::Arc, time::Duration};

use shared::{
    database::Engine,
    fields::Violations,
    pb::task::{
        self as pb, CreateTaskRequest, CreateTaskResponse, DeleteTaskRequest, DeleteTaskResponse,
        GetTaskRequest, GetTaskResponse, ListTasksRequest, ListTasksResponse, UndeleteTaskRequest,
        UndeleteTaskResponse, UpdateTaskRequest, UpdateTaskResponse, WatchTasksRequest,
        task_service_server::TaskService,
    },
    server::Places,
    trust::{Caller, Verifier},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{only_id, parse_target};
use crate::{keys::Keys, pages::Page, store::SqlStore, tasks::Task};
use watch::{Messages, Watcher};

#[derive(Debug)]
pub(super) struct Tasks<DB: Engine> {
    pub(super) store: Arc<SqlStore<DB>>,
    pub(super) keys: Keys,
    pub(super) verifier: Arc<Verifier>,
    /// How long a deleted task can be brought back.
    pub(super) retention: Duration,
    /// How long a stream is silent at the most.
    pub(super) bookmark_interval: Duration,
    /// The places of each caller for streams.
    pub(super) places: Places<Uuid>,
}

#[tonic::async_trait]
impl<DB: Engine> TaskService for Tasks<DB> {
    async fn create_task(
        &self,
        request: Request<CreateTaskRequest>,
    ) -> Result<Response<CreateTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let once = self.keys.once(&caller, &request, &mut bad);
        let new = wire::new_task(request, &mut bad);
        let (once, new) = bad.finish(once.zip(new))?;
        let task = self.store.create_task(&caller, once, new).await?;
        Ok(Response::new(CreateTaskResponse { task: Some(self.to_wire(task)) }))
    }

    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = only_id(&request.into_inner().id)?;
        let task = self.store.get_task(&caller, id).await?;
        Ok(Response::new(GetTaskResponse { task: Some(self.to_wire(task)) }))
    }

    async fn list_tasks(
        &self,
        request: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let filter = list::filter(&request, &mut bad);
        let context = filter.as_ref().map(|filter| list::context(&caller, filter));
        let (size, token) = (request.page_size, &request.page_token);
        let page = Page::parse(&self.keys.seals, context.as_deref(), size, token, &mut bad);
        let (filter, page) = bad.finish(filter.zip(page))?;
        let is_first = page.after.is_none();
        let page = self.store.list_tasks(&caller, &filter, &page).await?;
        // What is deleted outlives its project: a list that has something is a list.
        let is_nothing = is_first && page.rows.is_empty() && page.next.is_none();
        if let Some(project) = filter.project_id.filter(|_| is_nothing) {
            self.store.get_project(&caller, project).await?;
        }
        Ok(Response::new(ListTasksResponse {
            next_page_token: page.next_token(&self.keys.seals, &list::context(&caller, &filter)),
            tasks: page.rows.into_iter().map(|task| self.to_wire(task)).collect(),
        }))
    }

    async fn update_task(
        &self,
        request: Request<UpdateTaskRequest>,
    ) -> Result<Response<UpdateTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let once = self.keys.once(&caller, &request, &mut bad);
        let change = wire::change(request, &mut bad);
        let (once, (id, seen, change)) = bad.finish(once.zip(change))?;
        let task = self.store.update_task(&caller, once, id, seen, change).await?;
        Ok(Response::new(UpdateTaskResponse { task: Some(self.to_wire(task)) }))
    }

    async fn delete_task(
        &self,
        request: Request<DeleteTaskRequest>,
    ) -> Result<Response<DeleteTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let once = self.keys.once(&caller, &request, &mut bad);
        let target = parse_target(&request.id, &request.etag, &mut bad);
        let (once, (id, seen)) = bad.finish(once.zip(target))?;
        let task = self.store.delete_task(&caller, once, id, seen).await?;
        Ok(Response::new(DeleteTaskResponse { task: Some(self.to_wire(task)) }))
    }

    async fn undelete_task(
        &self,
        request: Request<UndeleteTaskRequest>,
    ) -> Result<Response<UndeleteTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let once = self.keys.once(&caller, &request, &mut bad);
        let target = parse_target(&request.id, &request.etag, &mut bad);
        let (once, (id, seen)) = bad.finish(once.zip(target))?;
        let task = self.store.undelete_task(&caller, once, id, seen).await?;
        Ok(Response::new(UndeleteTaskResponse { task: Some(self.to_wire(task)) }))
    }

    type WatchTasksStream = Messages;

    async fn watch_tasks(
        &self,
        request: Request<WatchTasksRequest>,
    ) -> Result<Response<Self::WatchTasksStream>, Status> {
        let caller = Caller::of(&request)?;
        let WatchTasksRequest { cursor, follow } = request.into_inner();
        let position = watch::parse_cursor(&self.keys.seals, &caller, &cursor)?;
        let place = self.places.take(caller.user_id())?;
        let watcher = Watcher {
            head: self.store.head(&caller),
            store: Arc::clone(&self.store),
            seals: self.keys.seals.clone(),
            verifier: Arc::clone(&self.verifier),
            caller,
            position,
            follow,
            is_current: false,
            retention: self.retention,
            bookmark_interval: self.bookmark_interval,
            _place: place,
        };
        Ok(Response::new(watcher.begin().await?))
    }
}

impl<DB: Engine> Tasks<DB> {
    fn to_wire(&self, task: Task) -> pb::Task {
        wire::task(task, self.retention)
    }
}
