//! `AuthService.RefreshToken`: the chain of tokens, and who may go on with it.

use std::time::Duration;

use e2e::{AuthServer, Engine, clock, on_every_engine, refused, until};
use shared::{
    clock::Time,
    pb::auth::{RefreshTokenRequest, Tokens, ValidateTokenRequest},
};
use tokio::task::JoinSet;
use tonic::Code;

use super::{reason, refresh, refreshed, session};

on_every_engine!(
    each_use_gives_the_next_tokens_and_a_second_use_ends_the_session,
    an_answer_that_was_lost_is_given_again,
    of_a_hundred_uses_at_once_all_get_one_successor,
    a_lost_answer_is_given_again_after_a_restart_with_a_new_secret_key,
    a_session_that_is_not_used_ends,
    a_session_ends_however_often_it_is_used,
);

/// Why a refresh token is refused.
async fn refusal(server: &AuthServer, token: &str) -> String {
    let refused = refused(refresh(server, token).await);
    assert_eq!(refused.code, Code::Unauthenticated);
    refused.reason
}

async fn each_use_gives_the_next_tokens_and_a_second_use_ends_the_session(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let (first, other) = (session(&server, "ann").await, session(&server, "ann").await);
    server.clock.advance(Duration::from_secs(10));
    let second = refreshed(&server, &first.refresh_token).await;
    let third = refreshed(&server, &second.refresh_token).await;
    let now = server.clock.now();
    let expected = Tokens {
        access_token: third.access_token.clone(),
        token_type: "Bearer".to_owned(),
        access_token_expire_time: Some(Time::from_seconds(now.seconds() + 15 * 60).into()),
        refresh_token: third.refresh_token.clone(),
        refresh_token_expire_time: Some(now.plus(Duration::from_hours(30 * 24)).into()),
        session_id: first.session_id.clone(),
    };
    assert_eq!(third, expected);
    let all = [&first, &second, &third];
    for tokens in all {
        assert_eq!(reason(&server, &tokens.access_token).await, "", "all are of one session");
    }
    assert_ne!(first.refresh_token, second.refresh_token);
    assert_ne!(second.refresh_token, third.refresh_token);

    assert_eq!(refusal(&server, &first.refresh_token).await, "TOKEN_REVOKED");
    for tokens in all {
        assert_eq!(reason(&server, &tokens.access_token).await, "TOKEN_REVOKED", "at once");
        assert_eq!(refusal(&server, &tokens.refresh_token).await, "TOKEN_INVALID");
    }
    let access_token = third.access_token;
    until("whoever asks is told", async || {
        let request = ValidateTokenRequest { access_token: access_token.clone() };
        !server.anonymous().auth.validate_token(request).await.unwrap().into_inner().active
    })
    .await;
    assert_eq!(reason(&server, &other.access_token).await, "");
    refreshed(&server, &other.refresh_token).await;
}

async fn an_answer_that_was_lost_is_given_again(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let first = session(&server, "ann").await;
    let second = refreshed(&server, &first.refresh_token).await;
    server.clock.advance(Duration::from_mins(1));
    let again = refreshed(&server, &first.refresh_token).await;
    assert_eq!(again.refresh_token, second.refresh_token);
    assert_ne!(again.access_token, second.access_token, "a new one, which lives for as long");
    assert_eq!(reason(&server, &again.access_token).await, "");
    let third = refreshed(&server, &second.refresh_token).await;
    server.clock.advance(Duration::from_secs(61));
    assert_eq!(refusal(&server, &second.refresh_token).await, "TOKEN_REVOKED");
    assert_eq!(refusal(&server, &third.refresh_token).await, "TOKEN_INVALID");
}

async fn of_a_hundred_uses_at_once_all_get_one_successor(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let first = session(&server, "ann").await.refresh_token;
    let mut calls = JoinSet::new();
    let channel = server.anonymous();
    for _ in 0..100 {
        let (mut somebody, refresh_token) = (channel.clone(), first.clone());
        calls.spawn(async move {
            let request = RefreshTokenRequest { refresh_token, audiences: vec![] };
            somebody.auth.refresh_token(request).await.unwrap().into_inner().tokens.unwrap()
        });
    }
    let all = calls.join_all().await;
    assert!(all.iter().all(|tokens| tokens.refresh_token == all[0].refresh_token));
    for tokens in &all[..3] {
        assert_eq!(reason(&server, &tokens.access_token).await, "");
    }
    // One branch lives: who goes on with it leaves the others behind.
    let next = refreshed(&server, &all[0].refresh_token).await;
    refreshed(&server, &next.refresh_token).await;
    assert_eq!(refusal(&server, &all[99].refresh_token).await, "TOKEN_REVOKED");
}

async fn a_lost_answer_is_given_again_after_a_restart_with_a_new_secret_key(on: Engine) {
    const OLD: &str = "the old secret key, which is long enough";
    const NEW: &str = "the new secret key, which is long enough";
    let place = on.place("auth").await;
    let server = AuthServer::start_at(place, clock(), [("AUTH_SECRET_KEY", OLD)]).await;
    server.register("ann").await;
    let first = session(&server, "ann").await;
    let second = refreshed(&server, &first.refresh_token).await;
    let settings = [("AUTH_SECRET_KEY", NEW), ("AUTH_SECRET_KEY_PREVIOUS", OLD)];
    let server = server.restart_with(settings).await;
    let again = refreshed(&server, &first.refresh_token).await;
    assert_eq!(again.refresh_token, second.refresh_token);
    let third = refreshed(&server, &second.refresh_token).await;
    server.operate("keys rewrap").await.unwrap();
    let clock = server.clock.clone();
    let server = AuthServer::start_at(server.stop().await, clock, [("AUTH_SECRET_KEY", NEW)]).await;
    let fourth = refreshed(&server, &third.refresh_token).await;
    let again = refreshed(&server, &third.refresh_token).await;
    assert_eq!(again.refresh_token, fourth.refresh_token, "it is the new secret's from then on");
}

async fn a_session_that_is_not_used_ends(on: Engine) {
    let settings = [("AUTH_REFRESH_TOKEN_TTL", "1h"), ("AUTH_SESSION_TTL", "10h")];
    let server = AuthServer::start_at(on.place("auth").await, clock(), settings).await;
    server.register("ann").await;
    let hour = Duration::from_hours(1);
    let first = session(&server, "ann").await;
    assert_eq!(first.refresh_token_expire_time, Some(server.clock.now().plus(hour).into()));
    server.clock.advance(hour.saturating_sub(Duration::from_micros(1)));
    let second = refreshed(&server, &first.refresh_token).await;
    assert_eq!(second.refresh_token_expire_time, Some(server.clock.now().plus(hour).into()));
    server.clock.advance(hour);
    for token in [&second.refresh_token, &first.refresh_token, &second.refresh_token] {
        assert_eq!(refusal(&server, token).await, "TOKEN_EXPIRED");
    }
}

async fn a_session_ends_however_often_it_is_used(on: Engine) {
    let settings = [("AUTH_REFRESH_TOKEN_TTL", "1h"), ("AUTH_SESSION_TTL", "2h")];
    let server = AuthServer::start_at(on.place("auth").await, clock(), settings).await;
    server.register("ann").await;
    let mut last = session(&server, "ann").await;
    let end = server.clock.now().plus(Duration::from_hours(2));
    let step = Duration::from_mins(50);
    for _ in 0..2 {
        server.clock.advance(step);
        last = refreshed(&server, &last.refresh_token).await;
    }
    assert_eq!(last.refresh_token_expire_time, Some(end.into()));
    server.clock.advance(Duration::from_mins(10));
    last = refreshed(&server, &last.refresh_token).await;
    assert_eq!(last.access_token_expire_time, Some(end.into()), "no token outlives its session");
    server.clock.advance(Duration::from_mins(10));
    assert_eq!(refusal(&server, &last.refresh_token).await, "TOKEN_EXPIRED");
}
