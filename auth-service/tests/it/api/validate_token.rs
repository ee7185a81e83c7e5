//! `AuthService.ValidateToken`.

use std::time::Duration;

use e2e::{AuthServer, Engine, PASSWORD, Person, on_every_engine, until};
use shared::{
    clock::Time,
    pb::auth::{LoginRequest, LogoutRequest, ValidateTokenRequest, ValidateTokenResponse},
    testing::Forge,
};
use uuid::Uuid;

use super::{credentials, invalid, service_token, tokens};

on_every_engine!(
    a_good_token_is_active_and_says_what_it_is_good_for,
    a_token_for_another_service_is_active_too,
    nothing_is_said_of_a_token_that_is_not_good,
    a_token_ends_also_one_that_was_good_a_moment_ago,
    a_token_of_another_issuer_is_not_good_though_the_key_is,
    a_token_whose_session_has_ended_is_not_good,
    a_token_of_a_service_says_what_it_allows,
);

async fn validate(person: &mut Person, token: &str) -> ValidateTokenResponse {
    let request = ValidateTokenRequest { access_token: token.to_owned() };
    person.auth.validate_token(request).await.unwrap().into_inner()
}

async fn a_good_token_is_active_and_says_what_it_is_good_for(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let mut anonymous = server.anonymous();
    let said = validate(&mut anonymous, &ann.token).await;
    let now = server.clock.now().seconds();
    let expected = ValidateTokenResponse {
        active: true,
        subject: ann.user.id,
        session_id: said.session_id.clone(),
        audiences: vec!["auth-service".to_owned(), "task-service".to_owned()],
        scopes: vec![],
        issue_time: Some(Time::from_seconds(now).into()),
        expire_time: Some(Time::from_seconds(now + 15 * 60).into()),
    };
    assert_eq!(said, expected);
    Uuid::parse_str(&said.session_id).unwrap();

    let other = tokens(&mut anonymous, credentials("ann", PASSWORD)).await;
    let other = validate(&mut anonymous, &other.access_token).await;
    assert_eq!(other.subject, said.subject);
    assert_ne!(other.session_id, said.session_id);
}

async fn a_token_for_another_service_is_active_too(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let audiences = vec!["task-service".to_owned()];
    let request = LoginRequest { audiences: audiences.clone(), ..credentials("ann", PASSWORD) };
    let narrow = tokens(&mut ann, request).await;
    let said = validate(&mut ann, &narrow.access_token).await;
    assert!(said.active);
    assert_eq!((said.subject, said.audiences), (ann.user.id, audiences));
}

async fn nothing_is_said_of_a_token_that_is_not_good(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let mut anonymous = server.anonymous();
    let user = Uuid::parse_str(&ann.user.id).unwrap();
    let (forge, now) = (Forge::new(), server.clock.now());
    let (head, signature) = ann.token.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let stranger = AuthServer::start_on(on).await.register("ann").await;
    for bad in [
        forge.sign(&forge.claims(user, "auth-service", now)),
        stranger.token,
        format!("eyJhbGciOiJub25lIn0.{payload}."),
        format!("{header}.{payload}."),
        format!("{head}.{}", "A".repeat(86)),
        format!("{header}.{}.{signature}", payload.replacen("ey", "eA", 1)),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("Bearer {}", ann.token),
        format!("{} ", ann.token),
        format!("{}=", ann.token),
        ann.token.to_uppercase(),
        head.to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        " ".to_owned(),
        "\0".to_owned(),
        "🦀.🦀.🦀".to_owned(),
        "' or '1'='1".to_owned(),
        "a".repeat(100_000),
        format!("{header}.{}.{signature}", "A".repeat(100_000)),
    ] {
        let said = validate(&mut anonymous, &bad).await;
        assert_eq!(said, ValidateTokenResponse::default(), "{bad:.200}");
    }
    assert!(validate(&mut anonymous, &ann.token).await.active);
    let nothing = ValidateTokenRequest { access_token: String::new() };
    assert_eq!(invalid(anonymous.auth.validate_token(nothing).await), ["access_token"]);
}

async fn a_token_ends_also_one_that_was_good_a_moment_ago(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let token = ann.token.clone();
    assert!(validate(&mut ann, &token).await.active);
    server.clock.advance(Duration::from_secs(15 * 60 + 4));
    assert!(validate(&mut ann, &token).await.active, "the clocks may be 5 seconds apart");
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(validate(&mut ann, &token).await, ValidateTokenResponse::default());
}

async fn a_token_of_another_issuer_is_not_good_though_the_key_is(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let token = server.register("ann").await.token;
    let server = server.restart_with([("AUTH_ISSUER", "somebody-else")]).await;
    let said = validate(&mut server.anonymous(), &token).await;
    assert_eq!(said, ValidateTokenResponse::default());
    let server = server.restart_with([("AUTH_ISSUER", "taskmanager")]).await;
    assert!(validate(&mut server.anonymous(), &token).await.active, "a restart ends no token");
}

async fn a_token_whose_session_has_ended_is_not_good(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let (first, alive) = (ann.token.clone(), tokens(&mut ann, credentials("ann", PASSWORD)).await);
    let other = tokens(&mut ann, credentials("ann", PASSWORD)).await;
    let refresh_token = other.refresh_token.clone();
    assert!(validate(&mut ann, &other.access_token).await.active);
    ann.auth.logout(LogoutRequest { refresh_token }).await.unwrap();
    until("the session has ended", async || {
        validate(&mut server.anonymous(), &other.access_token).await
            == ValidateTokenResponse::default()
    })
    .await;
    for token in [&first, &alive.access_token] {
        assert!(validate(&mut ann, token).await.active);
    }
}

async fn a_token_of_a_service_says_what_it_allows(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let token = service_token(&server, "task-service").await;
    let said = validate(&mut server.anonymous(), &token).await;
    let now = server.clock.now().seconds();
    let expected = ValidateTokenResponse {
        active: true,
        subject: "task-service".to_owned(),
        session_id: said.session_id.clone(),
        audiences: vec!["auth-service".to_owned()],
        scopes: vec!["trust.watch".to_owned(), "erasure.confirm".to_owned()],
        issue_time: Some(Time::from_seconds(now).into()),
        expire_time: Some(Time::from_seconds(now + 15 * 60).into()),
    };
    assert_eq!(said, expected);
    Uuid::parse_str(&said.session_id).unwrap();
}
