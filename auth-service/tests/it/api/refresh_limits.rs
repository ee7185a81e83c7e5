//! `AuthService.RefreshToken`: what is no refresh token, and for whom the tokens are.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::{AuthServer, Engine, PASSWORD, on_every_engine, refused};
use shared::pb::auth::{LoginRequest, RefreshTokenRequest, ValidateTokenRequest};
use tonic::Code;

use super::{credentials, invalid, reason, refresh, refreshed, session, tokens};

on_every_engine!(
    a_token_of_one_kind_is_none_of_the_other,
    what_is_no_refresh_token_is_not_valid,
    the_audiences_of_the_login_hold_and_may_be_narrowed_for_one_token,
    what_is_asked_for_in_vain_costs_nothing,
);

async fn a_token_of_one_kind_is_none_of_the_other(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let tokens = session(&server, "ann").await;
    assert_eq!(reason(&server, &tokens.refresh_token).await, "TOKEN_INVALID");
    let request = ValidateTokenRequest { access_token: tokens.refresh_token.clone() };
    let said = server.anonymous().auth.validate_token(request).await.unwrap().into_inner();
    assert!(!said.active);
    let refused = refused(refresh(&server, &tokens.access_token).await);
    assert_eq!(refused.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    refreshed(&server, &tokens.refresh_token).await;
}

async fn what_is_no_refresh_token_is_not_valid(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let good = session(&server, "ann").await.refresh_token;
    let flipped: String = good.chars().rev().collect();
    for bad in [
        "x",
        " ",
        "\0",
        "🦀",
        "' or '1'='1",
        &"A".repeat(43),
        &"a".repeat(4_096),
        &good[1..],
        &flipped,
        &format!("{good}="),
        &format!(" {good}"),
        &format!("{good}\n"),
        &format!("Bearer {good}"),
        &good.to_uppercase(),
        &URL_SAFE_NO_PAD.encode([0; 32]),
    ] {
        let refused = refused(refresh(&server, bad).await);
        assert_eq!(refused.kind(), (Code::Unauthenticated, "TOKEN_INVALID"), "{bad:.80}");
    }
    for bad in ["", &"a".repeat(4_097), &"a".repeat(100_000)] {
        assert_eq!(invalid(refresh(&server, bad).await), ["refresh_token"]);
    }
    refreshed(&server, &good).await;
}

/// For whom an access token is.
async fn audiences(server: &AuthServer, token: &str) -> Vec<String> {
    let request = ValidateTokenRequest { access_token: token.to_owned() };
    server.anonymous().auth.validate_token(request).await.unwrap().into_inner().audiences
}

fn asking(token: &str, audiences: &[&str]) -> RefreshTokenRequest {
    let audiences = audiences.iter().map(ToString::to_string).collect();
    RefreshTokenRequest { refresh_token: token.to_owned(), audiences }
}

async fn the_audiences_of_the_login_hold_and_may_be_narrowed_for_one_token(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let both = ["auth-service", "task-service"];
    let mut token = session(&server, "ann").await.refresh_token;
    for (asked, given) in [
        (vec![], both.as_slice()),
        (vec!["task-service"], &["task-service"]),
        (vec![], &both),
        (vec!["auth-service"; 16], &["auth-service"]),
        (vec!["task-service", "auth-service"], &both),
    ] {
        let answer = ann.auth.refresh_token(asking(&token, &asked)).await.unwrap().into_inner();
        let next = answer.tokens.unwrap();
        assert_eq!(audiences(&server, &next.access_token).await, given, "{asked:?}");
        // The same once more, for somebody else: the narrowing is the token's and not the session's.
        let again = ann.auth.refresh_token(asking(&token, &["auth-service"])).await.unwrap();
        let again = again.into_inner().tokens.unwrap();
        assert_eq!(again.refresh_token, next.refresh_token);
        assert_eq!(audiences(&server, &again.access_token).await, ["auth-service"]);
        token = next.refresh_token;
    }
    let narrow = vec!["task-service".to_owned()];
    let request = LoginRequest { audiences: narrow.clone(), ..credentials("ann", PASSWORD) };
    let first = tokens(&mut ann, request).await;
    let second = refreshed(&server, &first.refresh_token).await;
    assert_eq!(audiences(&server, &second.access_token).await, narrow);
    let wide = ann.auth.refresh_token(asking(&second.refresh_token, &both)).await;
    assert_eq!(invalid(wide), ["audiences[0]"], "the login did not have it");
}

async fn what_is_asked_for_in_vain_costs_nothing(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let first = session(&server, "ann").await.refresh_token;
    for (asked, field) in [
        (vec!["nowhere"], "audiences[0]"),
        (vec!["task-service", ""], "audiences[1]"),
        (vec!["Task-Service"], "audiences[0]"),
        (vec!["task-service"; 17], "audiences"),
    ] {
        assert_eq!(invalid(ann.auth.refresh_token(asking(&first, &asked)).await), [field]);
    }
    server.clock.advance(std::time::Duration::from_secs(61));
    // It was not used, or this would be a second time.
    let second = refreshed(&server, &first).await.refresh_token;
    assert_eq!(
        invalid(ann.auth.refresh_token(asking(&first, &["nowhere"])).await),
        ["audiences[0]"]
    );
    refreshed(&server, &second).await;
    assert_eq!(invalid(ann.auth.refresh_token(asking("", &["x"])).await), ["refresh_token"]);
}
