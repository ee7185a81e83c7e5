//! People who register, log in, and call task-service.

use shared::pb::{
    auth::{RegisterRequest, Tokens, auth_service_client::AuthServiceClient},
    task::{ListProjectsRequest, project_service_client::ProjectServiceClient},
};
use tonic::{Status, transport::Channel};

use crate::call::{PASSWORD, login, with};

/// Opens an account; the answer is its id.
pub(crate) async fn register(auth: &Channel, name: &str) -> Result<String, Status> {
    let request = RegisterRequest {
        username: name.to_owned(),
        email: format!("{name}@example.com"),
        password: PASSWORD.to_owned(),
        image_url: String::new(),
        ..Default::default()
    };
    let answer = AuthServiceClient::new(auth.clone()).register(request).await?;
    Ok(answer.into_inner().user.unwrap_or_default().id)
}

/// Logs in.
pub(crate) async fn log_in(auth: &Channel, name: &str) -> Result<Tokens, Status> {
    let answer = AuthServiceClient::new(auth.clone()).login(login(name, PASSWORD)).await?;
    answer.into_inner().tokens.ok_or_else(|| Status::internal("a login without tokens"))
}

/// The cheapest call that a verifier accepts: one read in a database that is empty.
pub(crate) async fn call(task: &Channel, token: &str) -> Result<(), Status> {
    let request = ListProjectsRequest { page_size: 1, page_token: String::new() };
    ProjectServiceClient::new(task.clone()).list_projects(with(token, request)).await?;
    Ok(())
}
