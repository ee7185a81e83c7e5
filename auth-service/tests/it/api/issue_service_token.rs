//! `AuthService.IssueServiceToken`, and what such a token is good for.

use e2e::{AuthServer, Engine, SERVICE_SECRET, add_service, on_every_engine, refused, until};
use shared::{
    clock::Time,
    pb::auth::{
        ChangePasswordRequest, DeleteCurrentUserRequest, GetCurrentUserRequest,
        IssueServiceTokenRequest, IssueServiceTokenResponse, ListSessionsRequest,
        RevokeOtherSessionsRequest, RevokeSessionRequest, UpdateCurrentUserRequest,
    },
};
use tonic::{Code, Response, Status};

use super::{invalid, reason, service_token};

on_every_engine!(
    a_service_gets_a_token_for_its_secret,
    an_unknown_service_and_a_wrong_secret_are_one_answer,
    the_shape_of_a_credential_is_checked_before_anything_else,
    a_service_is_no_user,
    a_service_that_is_removed_is_out,
);

async fn issue(
    server: &AuthServer,
    service: &str,
    secret: &str,
) -> Result<Response<IssueServiceTokenResponse>, Status> {
    let (service, secret) = (service.to_owned(), secret.to_owned());
    server.anonymous().auth.issue_service_token(IssueServiceTokenRequest { service, secret }).await
}

async fn a_service_gets_a_token_for_its_secret(on: Engine) {
    let server = AuthServer::start_on(on).await;
    add_service(&server.config(), "task-service").await;
    let one = issue(&server, "task-service", SERVICE_SECRET).await.unwrap().into_inner();
    let end = Time::from_seconds(server.clock.now().seconds() + 15 * 60);
    let expected = IssueServiceTokenResponse {
        access_token: one.access_token.clone(),
        token_type: "Bearer".to_owned(),
        access_token_expire_time: Some(end.into()),
        scopes: ["trust.watch", "erasure.confirm"].map(str::to_owned).to_vec(),
    };
    assert_eq!(one, expected);
    let other = issue(&server, "task-service", SERVICE_SECRET).await.unwrap().into_inner();
    assert_ne!(one.access_token, other.access_token);
}

async fn an_unknown_service_and_a_wrong_secret_are_one_answer(on: Engine) {
    let server = AuthServer::start_on(on).await;
    add_service(&server.config(), "task-service").await;
    let wrong = refused(issue(&server, "task-service", "wrong").await);
    assert_eq!(wrong.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    let long = "s".repeat(512);
    for (service, secret) in [
        ("nobody", SERVICE_SECRET),
        ("Task-service", SERVICE_SECRET),
        ("task-servic%", SERVICE_SECRET),
        ("'--", SERVICE_SECRET),
        ("task-service", &SERVICE_SECRET[1..]),
        ("task-service", &SERVICE_SECRET.to_uppercase()),
        ("task-service", &format!("{SERVICE_SECRET}\n")),
        ("task-service", " "),
        ("task-service", &long),
    ] {
        assert_eq!(refused(issue(&server, service, secret).await), wrong, "{service} {secret}");
    }
}

async fn the_shape_of_a_credential_is_checked_before_anything_else(on: Engine) {
    let server = AuthServer::start_on(on).await;
    add_service(&server.config(), "task-service").await;
    let (name, long) = ("a".repeat(65), "s".repeat(513));
    for (service, secret, fields) in [
        ("", "", vec!["service", "secret"]),
        (&name, &long, vec!["service", "secret"]),
        ("two words", "x", vec!["service"]),
        ("a,b", "x", vec!["service"]),
        ("größe", "x", vec!["service"]),
        ("task-service", "", vec!["secret"]),
        ("task-service", &long, vec!["secret"]),
    ] {
        assert_eq!(invalid(issue(&server, service, secret).await), fields, "{service} {secret}");
    }
}

async fn a_service_is_no_user(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let mut service = server.bearer(&service_token(&server, "task-service").await).users;
    let answers = [
        refused(service.get_current_user(GetCurrentUserRequest {}).await),
        refused(service.update_current_user(UpdateCurrentUserRequest::default()).await),
        refused(service.change_password(ChangePasswordRequest::default()).await),
        refused(service.list_sessions(ListSessionsRequest {}).await),
        refused(service.revoke_session(RevokeSessionRequest::default()).await),
        refused(service.revoke_other_sessions(RevokeOtherSessionsRequest {}).await),
        refused(service.delete_current_user(DeleteCurrentUserRequest::default()).await),
    ];
    for answer in answers {
        assert_eq!(answer.kind(), (Code::PermissionDenied, "USER_TOKEN_REQUIRED"));
    }
}

async fn a_service_that_is_removed_is_out(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let token = service_token(&server, "task-service").await;
    let other = service_token(&server, "other").await;
    server.operate("services remove task-service").await.unwrap();
    let gone = refused(issue(&server, "task-service", SERVICE_SECRET).await);
    assert_eq!(gone.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    until("its token ends", async || reason(&server, &token).await == "TOKEN_REVOKED").await;
    assert_eq!(reason(&server, &other).await, "USER_TOKEN_REQUIRED");
    // Registered anew it has new tokens, and the old ones stay as they are.
    let again = service_token(&server, "task-service").await;
    assert_eq!(reason(&server, &again).await, "USER_TOKEN_REQUIRED");
    assert_eq!(reason(&server, &token).await, "TOKEN_REVOKED");
}
