//! The two RPCs that floors answer.

use std::pin::Pin;

use shared::pb::task::{
    CreateTaskRequest, CreateTaskResponse, DeleteTaskRequest, DeleteTaskResponse, GetTaskRequest,
    GetTaskResponse, ListTasksRequest, ListTasksResponse, Task, UndeleteTaskRequest,
    UndeleteTaskResponse, UpdateTaskRequest, UpdateTaskResponse, WatchTasksRequest,
    WatchTasksResponse, task_service_server::TaskService,
};
use tonic::{Request, Response, Status, codegen::tokio_stream::Stream};

/// How a floor comes by the tasks that it answers with.
pub(crate) trait Answers: Send + Sync + 'static {
    /// The task of this id.
    fn get(&self, id: &str) -> impl Future<Output = Result<Task, Status>> + Send;

    /// A new task.
    fn create(&self, task: Task) -> impl Future<Output = Result<Task, Status>> + Send {
        drop(task);
        async { Err(unimplemented()) }
    }
}

/// `TaskService`, as far as floors have it.
pub(crate) struct Rpcs<A>(pub(crate) A);

#[tonic::async_trait]
impl<A: Answers> TaskService for Rpcs<A> {
    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        let task = self.0.get(&request.get_ref().id).await?;
        Ok(Response::new(GetTaskResponse { task: Some(task) }))
    }

    async fn create_task(
        &self,
        request: Request<CreateTaskRequest>,
    ) -> Result<Response<CreateTaskResponse>, Status> {
        let task = self.0.create(request.into_inner().task.unwrap_or_default()).await?;
        Ok(Response::new(CreateTaskResponse { task: Some(task) }))
    }

    async fn list_tasks(
        &self,
        _: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        Err(unimplemented())
    }

    async fn update_task(
        &self,
        _: Request<UpdateTaskRequest>,
    ) -> Result<Response<UpdateTaskResponse>, Status> {
        Err(unimplemented())
    }

    async fn delete_task(
        &self,
        _: Request<DeleteTaskRequest>,
    ) -> Result<Response<DeleteTaskResponse>, Status> {
        Err(unimplemented())
    }

    async fn undelete_task(
        &self,
        _: Request<UndeleteTaskRequest>,
    ) -> Result<Response<UndeleteTaskResponse>, Status> {
        Err(unimplemented())
    }

    type WatchTasksStream = Pin<Box<dyn Stream<Item = Result<WatchTasksResponse, Status>> + Send>>;

    async fn watch_tasks(
        &self,
        _: Request<WatchTasksRequest>,
    ) -> Result<Response<Self::WatchTasksStream>, Status> {
        Err(unimplemented())
    }
}

fn unimplemented() -> Status {
    Status::unimplemented("a floor does not have it")
}
