//! `taskmanager.task.v1.ProjectService`.

use std::sync::Arc;

use shared::{
    database::Engine,
    fields::Violations,
    ids::parse_id,
    mask::Mask,
    pb::task::{
        self as pb, CreateProjectRequest, CreateProjectResponse, DeleteProjectRequest,
        DeleteProjectResponse, GetProjectRequest, GetProjectResponse, ListProjectsRequest,
        ListProjectsResponse, UpdateProjectRequest, UpdateProjectResponse,
        project_service_server::ProjectService,
    },
    trust::Caller,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{only_id, parse_etag, parse_target, timestamp};
use crate::{
    etag::Etag,
    keys::Keys,
    pages::Page,
    projects::{NewProject, Project, ProjectChange},
    store::SqlStore,
    text::{Description, Title},
};

#[derive(Debug)]
pub(super) struct Projects<DB: Engine> {
    pub(super) store: Arc<SqlStore<DB>>,
    pub(super) keys: Keys,
}

#[tonic::async_trait]
impl<DB: Engine> ProjectService for Projects<DB> {
    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<CreateProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let once = self.keys.once(&caller, &request, &mut bad);
        let new = new_project(request, &mut bad);
        let (once, new) = bad.finish(once.zip(new))?;
        let project = self.store.create_project(&caller, once, new).await?;
        Ok(Response::new(CreateProjectResponse { project: Some(project.into()) }))
    }

    async fn get_project(
        &self,
        request: Request<GetProjectRequest>,
    ) -> Result<Response<GetProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = only_id(&request.into_inner().id)?;
        let project = self.store.get_project(&caller, id).await?;
        Ok(Response::new(GetProjectResponse { project: Some(project.into()) }))
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let ListProjectsRequest { page_size, page_token } = request.into_inner();
        let context = format!("ListProjects {}", caller.user_id());
        let mut bad = Violations::new();
        let page = Page::parse(&self.keys.seals, Some(&context), page_size, &page_token, &mut bad);
        let page = self.store.list_projects(&caller, &bad.finish(page)?).await?;
        Ok(Response::new(ListProjectsResponse {
            next_page_token: page.next_token(&self.keys.seals, &context),
            projects: page.rows.into_iter().map(Into::into).collect(),
        }))
    }

    async fn update_project(
        &self,
        request: Request<UpdateProjectRequest>,
    ) -> Result<Response<UpdateProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let once = self.keys.once(&caller, &request, &mut bad);
        let update = project_change(request, &mut bad);
        let (once, (id, seen, change)) = bad.finish(once.zip(update))?;
        let project = self.store.update_project(&caller, once, id, seen, change).await?;
        Ok(Response::new(UpdateProjectResponse { project: Some(project.into()) }))
    }

    async fn delete_project(
        &self,
        request: Request<DeleteProjectRequest>,
    ) -> Result<Response<DeleteProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut bad = Violations::new();
        let once = self.keys.once(&caller, &request, &mut bad);
        let target = parse_target(&request.id, &request.etag, &mut bad);
        let (once, (id, seen)) = bad.finish(once.zip(target))?;
        self.store.delete_project(&caller, once, id, seen, request.force).await?;
        Ok(Response::new(DeleteProjectResponse {}))
    }
}

fn new_project(request: CreateProjectRequest, bad: &mut Violations) -> Option<NewProject> {
    let pb::Project { title, description, .. } = request.project.unwrap_or_default();
    let title = bad.check("project.title", Title::parse(title));
    let description = bad.check("project.description", Description::parse(description));
    title.zip(description).map(|(title, description)| NewProject { title, description })
}

fn project_change(
    request: UpdateProjectRequest,
    bad: &mut Violations,
) -> Option<(Uuid, Option<Etag>, ProjectChange)> {
    let pb::Project { id, title, description, etag, .. } = request.project.unwrap_or_default();
    let fields = [("title", !title.is_empty()), ("description", !description.is_empty())];
    let fixed = ["id", "create_time", "update_time", "etag"];
    let mask = Mask::parse(request.update_mask, &fields, &fixed, bad);
    let mut change = ProjectChange::default();
    if mask.names("title") {
        change.title = bad.check("project.title", Title::parse(title));
    }
    if mask.names("description") {
        change.description = bad.check("project.description", Description::parse(description));
    }
    let id = bad.check("project.id", parse_id(&id));
    let seen = parse_etag("project.etag", &etag, bad);
    id.zip(seen).map(|(id, seen)| (id, seen, change))
}

impl From<Project> for pb::Project {
    fn from(project: Project) -> Self {
        Self {
            id: project.id.to_string(),
            title: project.title.into(),
            description: project.description.into(),
            create_time: timestamp(project.create_time),
            update_time: timestamp(project.update_time),
            etag: Etag::of(project.revision).to_string(),
        }
    }
}
