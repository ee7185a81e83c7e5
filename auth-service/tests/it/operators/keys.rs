//! `keys revoke` and `keys rewrap`.

use std::time::Duration;

use auth_service::config::{SecretKey, SecretKeys};
use e2e::{
    AuthServer, Engine, PASSWORD, Refused, SERVICE_SECRET, clock, on_every_engine, operate,
    refused, until,
};
use shared::pb::auth::{IssueServiceTokenRequest, ListSigningKeysRequest, ValidateTokenRequest};
use tonic::Code;

use super::fault;
use crate::api::{login, reason, refresh, refreshed, service_token, session};

on_every_engine!(
    a_key_that_is_revoked_takes_its_tokens_along,
    until_the_next_key_signs_nothing_is_half_done,
    a_successor_that_does_not_sign_yet_gets_one_of_its_own,
    with_an_older_key_no_login_waits,
    a_key_that_does_not_sign_yet_may_be_revoked,
    a_key_that_is_not_there_can_not_be_revoked,
    keys_are_not_encrypted_anew_with_the_wrong_secrets,
);

const OLD: &str = "the old secret key, which is long enough";
const NEW: &str = "the new secret key, which is long enough";
const WRONG: &str = "another secret key, which is long enough";

/// The ids of the keys that are published.
async fn kids(server: &AuthServer) -> Vec<String> {
    let answer = server.anonymous().auth.list_signing_keys(ListSigningKeysRequest {}).await;
    answer.unwrap().into_inner().signing_keys.into_iter().map(|key| key.kid).collect()
}

/// Revokes a key, and waits until the server knows.
async fn revoke(server: &AuthServer, kid: &str) -> String {
    let said = server.operate(&format!("keys revoke {kid}")).await.unwrap();
    until("the server knows", async || !kids(server).await.iter().any(|it| it == kid)).await;
    said
}

/// Makes the next key, which signs from now on.
async fn rotate(server: &AuthServer) {
    server.operate("keys rotate").await.unwrap();
    until("the server knows", async || kids(server).await.len() == 2).await;
    server.clock.advance(Duration::from_mins(1));
}

async fn a_key_that_is_revoked_takes_its_tokens_along(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let service = service_token(&server, "task-service").await;
    // Both are in the cache of the verifier.
    assert_eq!(reason(&server, &ann.token).await, "");
    assert_eq!(reason(&server, &service).await, "USER_TOKEN_REQUIRED");
    let kid = kids(&server).await.remove(0);
    let said = revoke(&server, &kid).await;
    let (done, next) = said.split_once('\n').unwrap();
    assert_eq!(done, format!("{kid} is revoked, its tokens have ended"));
    assert!(next.contains(" signs from ") && !next.contains(&kid), "{said}");
    for token in [&ann.token, &service] {
        until("its tokens end", async || reason(&server, token).await == "TOKEN_REVOKED").await;
    }
    let request = ValidateTokenRequest { access_token: ann.token.clone() };
    let said = server.anonymous().auth.validate_token(request).await.unwrap().into_inner();
    assert!(!said.active);
    // Nor does a restart bring them back.
    let server = server.restart_with([]).await;
    assert_eq!(reason(&server, &ann.token).await, "TOKEN_REVOKED");
    server.clock.advance(Duration::from_secs(2));
    let next = refreshed(&server, &ann.refresh_token).await;
    assert_eq!(reason(&server, &next.access_token).await, "", "the session goes on");
}

fn assert_pending(refused: &Refused) {
    assert_eq!(refused.kind(), (Code::Unavailable, "KEY_PENDING"));
    assert!(refused.retry.is_some_and(|delay| !delay.is_zero()));
}

async fn until_the_next_key_signs_nothing_is_half_done(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let secret = SERVICE_SECRET.to_owned();
    service_token(&server, "task-service").await;
    let phone = session(&server, "ann").await;
    let before = server.operate("users list").await.unwrap();
    let kid = kids(&server).await.remove(0);
    revoke(&server, &kid).await;
    for wait in [0, 1_999] {
        server.clock.advance(Duration::from_millis(wait));
        let mut anonymous = server.anonymous();
        assert_pending(&refused(login(&mut anonymous, "ann", PASSWORD).await));
        assert_pending(&refused(refresh(&server, &phone.refresh_token).await));
        let (service, secret) = ("task-service".to_owned(), secret.clone());
        let request = IssueServiceTokenRequest { service, secret };
        assert_pending(&refused(anonymous.auth.issue_service_token(request).await));
    }
    assert_eq!(server.operate("users list").await.unwrap(), before, "no session has begun");
    assert!(server.operate("keys list").await.unwrap().contains(" PENDING "));
    // Were the token used, its use now would be the second one, and too late.
    server.clock.advance(Duration::from_secs(61));
    let next = refreshed(&server, &phone.refresh_token).await;
    assert_eq!(reason(&server, &next.access_token).await, "");
    assert!(login(&mut server.anonymous(), "ann", PASSWORD).await.is_ok());
}

async fn a_successor_that_does_not_sign_yet_gets_one_of_its_own(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    for _ in 0..2 {
        let kid = kids(&server).await.remove(0);
        assert!(revoke(&server, &kid).await.contains(" signs from "));
    }
    server.clock.advance(Duration::from_secs(2));
    assert!(login(&mut server.anonymous(), "ann", PASSWORD).await.is_ok());
}

async fn with_an_older_key_no_login_waits(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    rotate(&server).await;
    let newer = session(&server, "ann").await;
    let kids = kids(&server).await;
    revoke(&server, &kids[1]).await;
    let again = session(&server, "ann").await;
    until("its tokens end", async || reason(&server, &newer.access_token).await == "TOKEN_REVOKED")
        .await;
    for token in [&ann.token, &again.access_token] {
        assert_eq!(reason(&server, token).await, "", "the older key is as good as before");
    }
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_eq!(header(&again.access_token), header(&ann.token));
    let list = server.operate("keys list").await.unwrap();
    let states: Vec<_> = list.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(states, ["ACTIVE", "PENDING"]);
}

async fn a_key_that_does_not_sign_yet_may_be_revoked(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    server.operate("keys rotate").await.unwrap();
    until("the server knows", async || kids(&server).await.len() == 2).await;
    let both = kids(&server).await;
    assert!(!revoke(&server, &both[1]).await.contains(" signs from "));
    assert_eq!(kids(&server).await, both[..1]);
    assert_eq!(reason(&server, &ann.token).await, "");
    server.clock.advance(Duration::from_mins(1));
    session(&server, "ann").await;
    server.operate("keys rotate").await.unwrap();
}

async fn a_key_that_is_not_there_can_not_be_revoked(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let before = kids(&server).await;
    for unknown in ["x", "'--", &before[0][1..], &before[0].to_lowercase()] {
        let said = fault(server.operate(&format!("keys revoke {unknown}")).await);
        assert_eq!(said, format!("there is no signing key {unknown}"));
    }
    assert_eq!(kids(&server).await, before);
    assert_eq!(reason(&server, &ann.token).await, "");
}

async fn keys_are_not_encrypted_anew_with_the_wrong_secrets(on: Engine) {
    let server =
        AuthServer::start_at(on.place("auth").await, clock(), [("AUTH_SECRET_KEY", OLD)]).await;
    rotate(&server).await;
    let before = kids(&server).await;
    let mut config = server.config();
    for (current, previous) in [(WRONG, None), (NEW, Some(WRONG))] {
        let current = SecretKey::Set(current.into());
        config.secret_keys = SecretKeys { current, previous: previous.map(Into::into) };
        for line in ["keys rewrap", "keys rotate"] {
            let said = fault(operate(&config, &server.clock, line, "").await);
            assert!(said.contains("AUTH_SECRET_KEY") && !said.contains("secret key,"), "{said}");
        }
    }
    let server = server.restart_with([]).await;
    assert_eq!(kids(&server).await, before, "they open as before");

    config.secret_keys =
        SecretKeys { current: SecretKey::Set(NEW.into()), previous: Some(OLD.into()) };
    let said = operate(&config, &server.clock, "keys rewrap", "").await.unwrap();
    assert_eq!(said, "encrypted with AUTH_SECRET_KEY: 2 of 2 keys\n");
    let server = server.restart_with([("AUTH_SECRET_KEY", NEW)]).await;
    assert_eq!(kids(&server).await, before);
}
