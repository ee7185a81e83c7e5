//! `UserService.ListSessions`, and what a session is called.

use std::time::Duration;

use e2e::{AuthServer, Engine, PASSWORD, clock, on_every_engine, refused, until};
use shared::pb::auth::{ListSessionsRequest, LoginRequest, Session};
use tonic::Code;

use super::{credentials, invalid, login, refreshed, session, tokens};

on_every_engine!(
    a_session_says_when_it_was_used_and_when_it_ends,
    the_list_has_ones_own_sessions_the_oldest_first,
    a_client_is_called_what_it_calls_itself,
    what_has_ended_is_not_listed_and_lists_nothing,
    there_are_no_more_than_a_hundred,
);

async fn list(server: &AuthServer, token: &str) -> Vec<Session> {
    let request = ListSessionsRequest {};
    server.bearer(token).users.list_sessions(request).await.unwrap().into_inner().sessions
}

fn labelled(label: &str) -> LoginRequest {
    LoginRequest { client_label: label.to_owned(), ..credentials("ann", PASSWORD) }
}

async fn a_session_says_when_it_was_used_and_when_it_ends(on: Engine) {
    let settings = [("AUTH_REFRESH_TOKEN_TTL", "1h"), ("AUTH_SESSION_TTL", "90m")];
    let server = AuthServer::start_at(on.place("auth").await, clock(), settings).await;
    server.register("ann").await;
    let start = server.clock.now();
    let begun = tokens(&mut server.anonymous(), labelled("Ann's phone")).await;
    let mut expected = Session {
        id: begun.session_id.clone(),
        client_label: "Ann's phone".to_owned(),
        create_time: Some(start.into()),
        last_use_time: Some(start.into()),
        idle_expire_time: Some(start.plus(Duration::from_hours(1)).into()),
        expire_time: Some(start.plus(Duration::from_mins(90)).into()),
        current: true,
    };
    let mut sessions = list(&server, &begun.access_token).await;
    sessions.retain(|session| session.current);
    assert_eq!(sessions, [expected.clone()]);

    server.clock.advance(Duration::from_mins(14));
    let next = refreshed(&server, &begun.refresh_token).await;
    expected.last_use_time = Some(server.clock.now().into());
    expected.idle_expire_time = Some(server.clock.now().plus(Duration::from_hours(1)).into());
    let listed = list(&server, &next.access_token).await;
    assert!(listed.contains(&expected), "{listed:?}");
}

async fn the_list_has_ones_own_sessions_the_oldest_first(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (ann, bob) = (server.register("ann").await, server.register("bob").await);
    let mut ids = vec![list(&server, &ann.token).await[0].id.clone()];
    let mut own = Vec::new();
    for _ in 0..4 {
        server.clock.advance(Duration::from_micros(1));
        let begun = session(&server, "ann").await;
        ids.push(begun.session_id.clone());
        own.push(begun.access_token);
    }
    for (token, place) in [(&ann.token, 0), (&own[0], 1), (&own[3], 4)] {
        let sessions = list(&server, token).await;
        let listed: Vec<_> = sessions.iter().map(|session| session.id.clone()).collect();
        assert_eq!(listed, ids);
        let current: Vec<_> = sessions.iter().map(|session| session.current).collect();
        let expected: Vec<_> = (0..5).map(|other| other == place).collect();
        assert_eq!(current, expected);
    }
    assert_eq!(list(&server, &bob.token).await.len(), 1);
}

async fn a_client_is_called_what_it_calls_itself(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let longest = "é".repeat(64);
    for label in ["", " ", "Ann's phone", "'; drop table sessions; --", "🦀 \u{202e}", &longest] {
        let begun = tokens(&mut ann, labelled(label)).await;
        let sessions = list(&server, &begun.access_token).await;
        let own = sessions.iter().find(|session| session.current).unwrap();
        assert_eq!((&own.id, own.client_label.as_str()), (&begun.session_id, label));
    }
    let before = list(&server, &ann.token).await;
    for label in ["\n", "a\0", "\u{1b}[31m", "\u{7f}", "\u{85}", &"é".repeat(65)] {
        assert_eq!(invalid(ann.auth.login(labelled(label)).await), ["client_label"], "{label:?}");
    }
    let bad = LoginRequest { client_label: "\n".to_owned(), ..LoginRequest::default() };
    assert_eq!(invalid(ann.auth.login(bad).await), ["login", "password", "client_label"]);
    assert_eq!(list(&server, &ann.token).await, before);
}

async fn what_has_ended_is_not_listed_and_lists_nothing(on: Engine) {
    let settings = [("AUTH_REFRESH_TOKEN_TTL", "15m"), ("AUTH_SESSION_TTL", "1h")];
    let server = AuthServer::start_at(on.place("auth").await, clock(), settings).await;
    server.register("ann").await;
    let alive = session(&server, "ann").await;
    server.clock.advance(Duration::from_mins(14));
    let alive = refreshed(&server, &alive.refresh_token).await;
    server.clock.advance(Duration::from_mins(1));
    let sessions = list(&server, &alive.access_token).await;
    let ids: Vec<_> = sessions.iter().map(|session| session.id.clone()).collect();
    assert_eq!(ids, [alive.session_id]);
    // Its access token is accepted for a moment longer than the session lasts.
    server.clock.advance(Duration::from_mins(14) + Duration::from_secs(1));
    let mut caller = server.bearer(&alive.access_token);
    until("the server knows that its trust is fresh after so long a time", async || {
        let ended = refused(caller.users.list_sessions(ListSessionsRequest {}).await);
        assert!(["TOKEN_REVOKED", "TRUST_UNAVAILABLE"].contains(&ended.reason.as_str()));
        ended.kind() == (Code::Unauthenticated, "TOKEN_REVOKED")
    })
    .await;
}

async fn there_are_no_more_than_a_hundred(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    for _ in 0..99 {
        server.clock.advance(Duration::from_micros(1));
        login(&mut server.anonymous(), "ann", PASSWORD).await.unwrap();
    }
    assert_eq!(list(&server, &ann.token).await.len(), 100);
    server.clock.advance(Duration::from_micros(1));
    let newest = session(&server, "ann").await;
    assert_eq!(list(&server, &newest.access_token).await.len(), 100);
    let ended = server.bearer(&ann.token).users.list_sessions(ListSessionsRequest {}).await;
    assert_eq!(refused(ended).kind(), (Code::Unauthenticated, "TOKEN_REVOKED"), "the oldest");
}
