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

use super::{only_id, parse_etag, timestamp};
use crate::{
    etag::Etag,
    pages::{Page, PageKey, Rows},
    projects::{NewProject, Project, ProjectChange},
    store::SqlStore,
    text::{Description, Title},
};

#[derive(Debug)]
pub(super) struct Projects<DB: Engine> {
    pub(super) store: Arc<SqlStore<DB>>,
    pub(super) pages: PageKey,
}

#[tonic::async_trait]
impl<DB: Engine> ProjectService for Projects<DB> {
    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<CreateProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let new = NewProject::try_from(request.into_inner())?;
        let project = self.store.create_project(&caller, new).await?;
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
        let page = Page::parse(&self.pages, Some(&context), page_size, &page_token, &mut bad);
        let Rows { rows, next, .. } = self.store.list_projects(&caller, &bad.finish(page)?).await?;
        Ok(Response::new(ListProjectsResponse {
            projects: rows.into_iter().map(Into::into).collect(),
            next_page_token: self.pages.seal_next(&context, next),
        }))
    }

    async fn update_project(
        &self,
        request: Request<UpdateProjectRequest>,
    ) -> Result<Response<UpdateProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (id, seen, change) = project_change(request.into_inner())?;
        let project = self.store.update_project(&caller, id, seen, change).await?;
        Ok(Response::new(UpdateProjectResponse { project: Some(project.into()) }))
    }

    async fn delete_project(
        &self,
        request: Request<DeleteProjectRequest>,
    ) -> Result<Response<DeleteProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let DeleteProjectRequest { id, etag, force } = request.into_inner();
        let mut bad = Violations::new();
        let id = bad.check("id", parse_id(&id));
        let seen = parse_etag("etag", &etag, &mut bad);
        let (id, seen) = bad.finish(id.zip(seen))?;
        self.store.delete_project(&caller, id, seen, force).await?;
        Ok(Response::new(DeleteProjectResponse {}))
    }
}

impl TryFrom<CreateProjectRequest> for NewProject {
    type Error = Violations;

    fn try_from(request: CreateProjectRequest) -> Result<Self, Violations> {
        let pb::Project { title, description, .. } = request.project.unwrap_or_default();
        let mut bad = Violations::new();
        let title = bad.check("project.title", Title::parse(title));
        let description = bad.check("project.description", Description::parse(description));
        let new = title.zip(description).map(|(title, description)| Self { title, description });
        bad.finish(new)
    }
}

fn project_change(
    request: UpdateProjectRequest,
) -> Result<(Uuid, Option<Etag>, ProjectChange), Violations> {
    let pb::Project { id, title, description, etag, .. } = request.project.unwrap_or_default();
    let mut bad = Violations::new();
    let fields = [("title", !title.is_empty()), ("description", !description.is_empty())];
    let fixed = ["id", "create_time", "update_time", "etag"];
    let mask = Mask::parse(request.update_mask, &fields, &fixed, &mut bad);
    let mut change = ProjectChange::default();
    if mask.names("title") {
        change.title = bad.check("project.title", Title::parse(title));
    }
    if mask.names("description") {
        change.description = bad.check("project.description", Description::parse(description));
    }
    let id = bad.check("project.id", parse_id(&id));
    let seen = parse_etag("project.etag", &etag, &mut bad);
    bad.finish(id.zip(seen).map(|(id, seen)| (id, seen, change)))
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
