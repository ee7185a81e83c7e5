//! `UserService.RevokeSession`.

use e2e::{AuthServer, Engine, clock, load::with_id, on_every_engine, refused};
use shared::pb::auth::RevokeSessionRequest;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::{invalid, reason, refresh, session};

on_every_engine!(
    a_session_that_is_revoked_ends_at_once,
    a_session_may_end_itself,
    a_foreign_session_is_none_byte_for_byte,
    an_id_has_one_form,
    an_end_that_is_repeated_is_made_once,
    of_the_same_end_at_the_same_moment_all_are_one,
);

fn revoke(id: &str) -> RevokeSessionRequest {
    RevokeSessionRequest { id: id.to_owned(), ..Default::default() }
}

/// The same with this `request_id`.
fn once(id: &str, request_id: &str) -> RevokeSessionRequest {
    RevokeSessionRequest { id: id.to_owned(), request_id: request_id.to_owned() }
}

async fn a_session_that_is_revoked_ends_at_once(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let (phone, laptop) = (session(&server, "ann").await, session(&server, "ann").await);
    assert_eq!(reason(&server, &phone.access_token).await, "");
    ann.users.revoke_session(revoke(&phone.session_id)).await.unwrap();
    assert_eq!(reason(&server, &phone.access_token).await, "TOKEN_REVOKED");
    let ended = refused(refresh(&server, &phone.refresh_token).await);
    assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    for token in [&laptop.access_token, &ann.token] {
        assert_eq!(reason(&server, token).await, "");
    }
    let again = refused(ann.users.revoke_session(revoke(&phone.session_id)).await);
    assert_eq!(again.kind(), (Code::NotFound, "SESSION_NOT_FOUND"));
}

async fn a_session_may_end_itself(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let phone = session(&server, "ann").await;
    let mut caller = server.bearer(&phone.access_token);
    caller.users.revoke_session(revoke(&phone.session_id)).await.unwrap();
    for _ in 0..2 {
        let ended = refused(caller.users.revoke_session(revoke(&phone.session_id)).await);
        assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_REVOKED"));
    }
    assert_eq!(reason(&server, &ann.token).await, "");
}

/// Everything that an answer says.
fn bytes(answer: Result<tonic::Response<impl std::fmt::Debug>, Status>) -> (Code, String, Vec<u8>) {
    let status = answer.unwrap_err();
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

async fn a_foreign_session_is_none_byte_for_byte(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let bob = server.register("bob").await;
    let foreign = session(&server, "bob").await;
    let mut ask = async |id: &str| -> (Code, String, Vec<u8>) {
        let request: Request<_> = with_id(revoke(id), "same".parse().unwrap());
        bytes(ann.users.revoke_session(request).await)
    };
    let missing = ask(&Uuid::new_v4().to_string()).await;
    assert_eq!(missing.0, Code::NotFound);
    for id in [&foreign.session_id, &foreign.session_id.to_uppercase(), &bob.user.id] {
        assert_eq!(ask(id).await, missing);
    }
    assert_eq!(ask(&Uuid::nil().to_string()).await, missing);
    for token in [&foreign.access_token, &bob.token] {
        assert_eq!(reason(&server, token).await, "");
    }
}

async fn an_id_has_one_form(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let phone = session(&server, "ann").await;
    let id = Uuid::parse_str(&phone.session_id).unwrap();
    for bad in ["", "x", " ", &id.simple().to_string(), &id.urn().to_string(), &"a".repeat(36)] {
        assert_eq!(invalid(ann.users.revoke_session(revoke(bad)).await), ["id"], "{bad}");
    }
    for bad in ["x", &Uuid::nil().to_string(), &id.simple().to_string(), &"0".repeat(100_000)] {
        let request = once(&phone.session_id, bad);
        assert_eq!(invalid(ann.users.revoke_session(request).await), ["request_id"]);
        assert_eq!(invalid(ann.users.revoke_session(once("", bad)).await), ["id", "request_id"]);
    }
    assert_eq!(reason(&server, &phone.access_token).await, "");
}

async fn an_end_that_is_repeated_is_made_once(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let mut bob = server.register("bob").await;
    let (phone, laptop) = (session(&server, "ann").await, session(&server, "ann").await);
    let id = Uuid::new_v4().to_string();
    for _ in 0..3 {
        ann.users.revoke_session(once(&phone.session_id, &id)).await.unwrap();
    }
    let other = refused(ann.users.revoke_session(once(&laptop.session_id, &id)).await);
    assert_eq!(other.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert_eq!(reason(&server, &laptop.access_token).await, "");
    let foreign = refused(bob.users.revoke_session(once(&phone.session_id, &id)).await);
    assert_eq!(foreign.kind(), (Code::NotFound, "SESSION_NOT_FOUND"), "it is ann's id");

    let server = server.restart_with([]).await;
    let mut ann = server.bearer(&ann.token);
    ann.users.revoke_session(once(&phone.session_id, &id)).await.unwrap();
    let anew = Uuid::new_v4().to_string();
    let gone = refused(ann.users.revoke_session(once(&phone.session_id, &anew)).await);
    assert_eq!(gone.kind(), (Code::NotFound, "SESSION_NOT_FOUND"));

    let mut caller = server.bearer(&laptop.access_token);
    caller.users.revoke_session(once(&laptop.session_id, &anew)).await.unwrap();
    let ended = refused(caller.users.revoke_session(once(&laptop.session_id, &anew)).await);
    assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_REVOKED"));
    ann.users.revoke_session(once(&laptop.session_id, &anew)).await.unwrap();
}

async fn of_the_same_end_at_the_same_moment_all_are_one(on: Engine) {
    let (place, clock) = (on.place("auth").await, clock());
    let first = AuthServer::start_at(place.clone(), clock.clone(), []).await;
    let second = AuthServer::start_at(place, clock, []).await;
    let ann = first.register("ann").await;
    let phone = session(&second, "ann").await;
    let request = once(&phone.session_id, &Uuid::new_v4().to_string());
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let server = if number % 2 == 0 { &first } else { &second };
        let (mut ann, request) = (ann.at(server.channel()), request.clone());
        calls.spawn(async move { ann.users.revoke_session(request).await });
    }
    for answer in calls.join_all().await {
        answer.unwrap();
    }
}
