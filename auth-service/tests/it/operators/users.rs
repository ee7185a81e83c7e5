//! `users list`, `users disable`, `users enable`, `users set-password`.

use e2e::{AuthServer, Engine, PASSWORD, on_every_engine, refused};
use shared::pb::auth::RegisterRequest;
use tonic::Code;

use super::fault;
use crate::api::{account, login, logs_in, reason, refresh, register, session};

on_every_engine!(
    the_list_says_who_there_is,
    a_user_is_named_in_three_ways,
    a_username_that_looks_like_an_id_is_a_username,
    a_password_is_read_from_a_line_and_ends_every_session,
    a_weak_password_is_refused_by_operators_too,
    nobody_is_nobody,
);

const NEW: &str = "  something else altogether ";

async fn the_list_says_who_there_is(on: Engine) {
    let server = AuthServer::start_on(on).await;
    assert_eq!(server.operate("users list").await.unwrap(), "");
    let ann = server.register("ann").await;
    server.clock.advance(std::time::Duration::from_secs(1));
    let bob = register(&mut server.anonymous(), account("Bob")).await;
    session(&server, "ann").await;
    let line = |id: &str, rest: &str| format!("{id} {rest}\n");
    let ann_is = |rest: &str| line(&ann.user.id, &format!("ann ann@example.com {rest}"));
    let bob_is = line(&bob.id, "Bob Bob@example.com 0 ENABLED");
    let list = async || server.operate("users list").await.unwrap();
    assert_eq!(list().await, ann_is("2 ENABLED") + &bob_is);
    server.operate("users disable ann").await.unwrap();
    assert_eq!(list().await, ann_is("0 DISABLED") + &bob_is);
    server.operate("users enable ann").await.unwrap();
    assert_eq!(list().await, ann_is("0 ENABLED") + &bob_is);
}

async fn a_user_is_named_in_three_ways(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (ann, bob) = (server.register("ann").await, server.register("bob").await);
    let mut anonymous = server.anonymous();
    for name in ["ann", "ANN", "ann@example.com", "Ann@Example.com", &ann.user.id] {
        for _ in 0..2 {
            let said = server.operate(&format!("users disable {name}")).await.unwrap();
            assert_eq!(said, format!("{name} is disabled, every session has ended\n"));
        }
        let disabled = refused(login(&mut anonymous, "ann", PASSWORD).await);
        assert_eq!(disabled.kind(), (Code::FailedPrecondition, "USER_DISABLED"), "{name}");
        for _ in 0..2 {
            let said = server.operate(&format!("users enable {name}")).await.unwrap();
            assert_eq!(said, format!("{name} may log in again\n"));
        }
        login(&mut anonymous, "ann", PASSWORD).await.unwrap();
    }
    assert_eq!(reason(&server, &bob.token).await, "");
}

async fn a_username_that_looks_like_an_id_is_a_username(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    // Whoever takes the digits of somebody's id for a name does not have them disabled instead.
    let name = ann.user.id.replace('-', "");
    let request = RegisterRequest {
        username: name.clone(),
        email: "eve@example.com".to_owned(),
        ..account("eve")
    };
    register(&mut server.anonymous(), request).await;
    server.operate(&format!("users disable {name}")).await.unwrap();
    assert_eq!(reason(&server, &ann.token).await, "");
    let disabled = refused(login(&mut server.anonymous(), &name, PASSWORD).await);
    assert_eq!(disabled.kind(), (Code::FailedPrecondition, "USER_DISABLED"));
}

async fn a_password_is_read_from_a_line_and_ends_every_session(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (ann, bob) = (server.register("ann").await, server.register("bob").await);
    let (phone, mut anonymous) = (session(&server, "ann").await, server.anonymous());
    let mut old = PASSWORD.to_owned();
    for (place, end) in ["\n", "", "\r\n", "\nand another line\n"].into_iter().enumerate() {
        let (new, line) = (format!("{NEW}{place}  "), format!("{NEW}{place}  {end}"));
        let said = server.operate_with("users set-password ann", &line).await.unwrap();
        assert_eq!(said, "ann has another password, every session has ended\n");
        assert!(!logs_in(&mut anonymous, "ann", &old).await);
        assert!(logs_in(&mut anonymous, "ann", &new).await, "{line:?}");
        old = new;
    }
    for token in [&ann.token, &phone.access_token] {
        assert_eq!(reason(&server, token).await, "TOKEN_REVOKED");
    }
    let ended = refused(refresh(&server, &phone.refresh_token).await);
    assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    assert_eq!(reason(&server, &bob.token).await, "");
    assert!(logs_in(&mut anonymous, "bob", PASSWORD).await);
}

async fn a_weak_password_is_refused_by_operators_too(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("annabel").await;
    for weak in ["", "\n", "password123\n", "Annabel2024", "annabel@example.com", "x7#kQ9!"] {
        let said = fault(server.operate_with("users set-password annabel", weak).await);
        assert!(said.starts_with("the password "), "{said}");
        assert!(weak.trim().is_empty() || !said.contains(weak.trim()), "{said}");
    }
    assert_eq!(reason(&server, &ann.token).await, "");
    assert!(logs_in(&mut server.anonymous(), "annabel", PASSWORD).await);
}

async fn nobody_is_nobody(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let id = uuid::Uuid::nil().to_string();
    for nobody in ["bob", "an", "ann%", "ann@example.org", &id, "'--"] {
        for verb in ["disable", "enable", "set-password"] {
            let answer = server.operate_with(&format!("users {verb} {nobody}"), NEW).await;
            assert_eq!(fault(answer), "there is no such user", "{verb} {nobody}");
        }
    }
    assert_eq!(reason(&server, &ann.token).await, "");
}
