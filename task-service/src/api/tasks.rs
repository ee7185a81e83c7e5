//! `taskmanager.task.v1.TaskService`.

mod wire;

use std::sync::Arc;

use shared::{
    database::Engine,
    fields::Violations,
    ids::parse_id,
    pb::task::{
        CreateTaskRequest, CreateTaskResponse, DeleteTaskRequest, DeleteTaskResponse,
        GetTaskRequest, GetTaskResponse, ListTasksRequest, ListTasksResponse, UpdateTaskRequest,
        UpdateTaskResponse, task_service_server::TaskService,
    },
    trust::Caller,
};
use tonic::{Request, Response, Status};

use super::{only_id, parse_etag};
use crate::{
    pages::{Page, PageKey, Rows},
    store::SqlStore,
    tasks::NewTask,
};

#[derive(Debug)]
pub(super) struct Tasks<DB: Engine> {
    pub(super) store: Arc<SqlStore<DB>>,
    pub(super) pages: PageKey,
}

#[tonic::async_trait]
impl<DB: Engine> TaskService for Tasks<DB> {
    async fn create_task(
        &self,
        request: Request<CreateTaskRequest>,
    ) -> Result<Response<CreateTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let new = NewTask::try_from(request.into_inner())?;
        let task = self.store.create_task(&caller, new).await?;
        Ok(Response::new(CreateTaskResponse { task: Some(task.into()) }))
    }

    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = only_id(&request.into_inner().id)?;
        let task = self.store.get_task(&caller, id).await?;
        Ok(Response::new(GetTaskResponse { task: Some(task.into()) }))
    }

    async fn list_tasks(
        &self,
        request: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let filter = wire::filter(&request, &mut bad);
        let context = filter.as_ref().map(|filter| wire::context(&caller, filter));
        let (size, token) = (request.page_size, &request.page_token);
        let page = Page::parse(&self.pages, context.as_deref(), size, token, &mut bad);
        let (filter, page) = bad.finish(filter.zip(page))?;
        let Rows { rows, next, .. } = self.store.list_tasks(&caller, &filter, &page).await?;
        if let Some(project) = filter.project_id.filter(|_| rows.is_empty()) {
            self.store.get_project(&caller, project).await?;
        }
        Ok(Response::new(ListTasksResponse {
            tasks: rows.into_iter().map(Into::into).collect(),
            next_page_token: self.pages.seal_next(&wire::context(&caller, &filter), next),
        }))
    }

    async fn update_task(
        &self,
        request: Request<UpdateTaskRequest>,
    ) -> Result<Response<UpdateTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (id, seen, change) = wire::change(request.into_inner())?;
        let task = self.store.update_task(&caller, id, seen, change).await?;
        Ok(Response::new(UpdateTaskResponse { task: Some(task.into()) }))
    }

    async fn delete_task(
        &self,
        request: Request<DeleteTaskRequest>,
    ) -> Result<Response<DeleteTaskResponse>, Status> {
        let caller = Caller::of(&request)?;
        let DeleteTaskRequest { id, etag } = request.into_inner();
        let mut bad = Violations::new();
        let id = bad.check("id", parse_id(&id));
        let seen = parse_etag("etag", &etag, &mut bad);
        let (id, seen) = bad.finish(id.zip(seen))?;
        let task = self.store.delete_task(&caller, id, seen).await?;
        Ok(Response::new(DeleteTaskResponse { task: Some(task.into()) }))
    }
}
