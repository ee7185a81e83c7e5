//! The part of the story that is about sessions: refreshed, stolen, listed, and ended everywhere.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use shared::pb::{
    auth::{
        GetCurrentUserRequest, IssueServiceTokenRequest, ListSessionsRequest, LoginRequest,
        LogoutRequest, RefreshTokenRequest, Tokens, auth_service_client::AuthServiceClient,
        user_service_client::UserServiceClient,
    },
    task::{ListTasksRequest, task_service_client::TaskServiceClient},
};
use tonic::{Code, Request, transport::Channel};

use super::{Tasks, refused, said};
use crate::{
    Failure,
    call::{PASSWORD, is_revoked, login, with},
};

/// Within what time a verifier that is connected refuses the tokens of a session that has ended.
const BOUND: Duration = Duration::from_secs(2);

/// Somebody at auth-service who has no access token.
type Auth = AuthServiceClient<Channel>;

/// Shows what becomes of sessions. The secret is that of task-service.
pub(super) async fn show(
    auth: &Channel,
    task: &Channel,
    secret: &SecretString,
) -> Result<(), Failure> {
    println!();
    let mut client = AuthServiceClient::new(auth.clone());
    use_twice(&mut client).await?;

    let laptop = log_in(&mut client, "Ann's laptop").await?;
    let mut users = UserServiceClient::new(auth.clone());
    let list = with(&laptop.access_token, ListSessionsRequest {});
    for session in users.list_sessions(list).await?.into_inner().sessions {
        let what = if session.current { "this one" } else { "another" };
        said("ListSessions", what, format!("{} {}", session.id, session.client_label));
    }
    end(&mut client, task, laptop).await?;

    let service = "task-service".to_owned();
    let request = IssueServiceTokenRequest { service, secret: secret.expose_secret().to_owned() };
    let issued = client.issue_service_token(request).await?.into_inner();
    said("IssueServiceToken", "task-service", issued.scopes.join(" "));
    let as_user =
        users.get_current_user(with(&issued.access_token, GetCurrentUserRequest {})).await;
    refused("GetCurrentUser", "as task-service", as_user, Code::PermissionDenied)
}

/// A refresh token that is used again when its successor has been used was copied: that ends it all.
async fn use_twice(client: &mut Auth) -> Result<(), Failure> {
    let first = log_in(client, "Ann's phone").await?.refresh_token;
    let second = refresh(client, &first).await?;
    let third = refresh(client, &second).await?;
    said("RefreshToken", "the first, then the second", "each is exchanged for the next");
    let again = RefreshTokenRequest { refresh_token: first, audiences: Vec::new() };
    let again = client.refresh_token(again).await;
    refused("RefreshToken", "the first again: it was copied", again, Code::Unauthenticated)?;
    let last = RefreshTokenRequest { refresh_token: third, audiences: Vec::new() };
    let last = client.refresh_token(last).await;
    refused("RefreshToken", "the third: the session has ended", last, Code::Unauthenticated)
}

/// Ends a session, and waits until task-service refuses its access token.
async fn end(client: &mut Auth, task: &Channel, tokens: Tokens) -> Result<(), Failure> {
    let mut tasks = TaskServiceClient::new(task.clone());
    let list = || with(&tokens.access_token, ListTasksRequest::default());
    let mine = tasks.list_tasks(list()).await?.into_inner();
    said("ListTasks", "from the laptop", format!("{} task", mine.tasks.len()));
    client.logout(LogoutRequest { refresh_token: tokens.refresh_token }).await?;
    let ended = Instant::now();
    said("Logout", "from the laptop", "the session has ended");
    until_refused(&mut tasks, list).await?;
    let ms = ended.elapsed().as_secs_f64() * 1e3;
    said("ListTasks", "from the laptop", format!("refused: TOKEN_REVOKED, {ms:.1} ms later"));
    Ok(())
}

/// Waits until task-service refuses the token of a session that has just ended.
pub(super) async fn until_refused(
    tasks: &mut Tasks,
    list: impl Fn() -> Request<ListTasksRequest>,
) -> Result<(), Failure> {
    let ended = Instant::now();
    loop {
        match tasks.list_tasks(list()).await {
            Ok(_) if ended.elapsed() < BOUND => {}
            Ok(_) => return Err(format!("the token is still accepted after {BOUND:?}").into()),
            Err(status) if is_revoked(&status) => return Ok(()),
            Err(status) => return Err(format!("ListTasks answers {status}").into()),
        }
    }
}

async fn log_in(client: &mut Auth, label: &str) -> Result<Tokens, Failure> {
    let request = LoginRequest { client_label: label.to_owned(), ..login("ann", PASSWORD) };
    let answer = client.login(request).await?.into_inner();
    said("Login", label, "an access token, and a refresh token");
    Ok(answer.tokens.unwrap_or_default())
}

async fn refresh(client: &mut Auth, token: &str) -> Result<String, Failure> {
    let request = RefreshTokenRequest { refresh_token: token.to_owned(), audiences: Vec::new() };
    let answer = client.refresh_token(request).await?.into_inner();
    Ok(answer.tokens.unwrap_or_default().refresh_token)
}
