//! `UserService.DeleteCurrentUser`.

use e2e::{AuthServer, Engine, PASSWORD, on_every_engine, refused, until};
use shared::pb::auth::{ErasureState, RegisterRequest, ValidateTokenRequest};
use tonic::Code;
use uuid::{Uuid, Version};

use super::{
    account,
    erasing::{ask, confirmed_here, delete, deleted, erasure},
    guesses::{Answer, answer, enter},
    invalid, logs_in, me, reason, refresh, register, session,
};

on_every_engine!(
    whoever_is_deleted_is_out_and_nobody_else,
    both_names_are_free_at_once_in_any_case,
    without_the_password_nothing_is_deleted,
    a_malformed_request_is_told_so_at_once,
    a_guess_counts_as_one_at_a_login,
    who_has_chosen_the_id_finds_the_erasure_without_the_answer,
    an_erasure_id_is_taken_once,
    whoever_is_disabled_is_not_deleted,
);

const REVOKED: (Code, &str) = (Code::Unauthenticated, "TOKEN_REVOKED");

async fn whoever_is_deleted_is_out_and_nobody_else(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    let (phone, laptop) = (session(&server, "ann").await, session(&server, "ann").await);
    let begun = deleted(&mut ann).await;
    assert_eq!(Uuid::parse_str(&begun.id).unwrap().get_version(), Some(Version::Random));
    assert_eq!((begun.state(), begun.confirmations.len()), (ErasureState::Pending, 0));
    let now = Some(server.clock.now().into());
    assert_eq!((&begun.create_time, begun.complete_time), (&now, None));
    assert_eq!(erasure(&server, &begun.id).await.create_time, now);

    assert_eq!(refused(delete(&mut ann, PASSWORD, "").await).kind(), REVOKED);
    assert_eq!(refused(delete(&mut ann, "not the password", "").await).kind(), REVOKED);
    for token in [&ann.token, &phone.access_token, &laptop.access_token] {
        assert_eq!(reason(&server, token).await, "TOKEN_REVOKED");
        let mut anonymous = server.anonymous().auth;
        let is_inactive = async || {
            let request = ValidateTokenRequest { access_token: token.clone() };
            !anonymous.validate_token(request).await.unwrap().into_inner().active
        };
        until("the token is inactive", is_inactive).await;
    }
    for token in [&ann.refresh_token, &phone.refresh_token, &laptop.refresh_token] {
        let ended = refused(refresh(&server, token).await);
        assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    }
    for name in ["ann", "ANN", "ann@example.com", "Ann@Example.com"] {
        assert!(!logs_in(&mut server.anonymous(), name, PASSWORD).await, "{name}");
    }
    assert_eq!(me(&mut bob).await, bob.user);
    assert!(logs_in(&mut bob, "bob", PASSWORD).await);
    refresh(&server, &bob.refresh_token).await.unwrap();
}

async fn both_names_are_free_at_once_in_any_case(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    deleted(&mut ann).await;
    let email = "ANN@example.com".to_owned();
    let other = RegisterRequest { email, ..account("Ann") };
    let other = register(&mut server.anonymous(), other).await;
    assert_ne!(other.id, ann.user.id);
    let tokens = session(&server, "ann@example.com").await;
    assert_eq!(me(&mut server.bearer(&tokens.access_token)).await, other);
    assert_eq!(reason(&server, &ann.token).await, "TOKEN_REVOKED", "the old token is nobody's");
    let ended = refused(refresh(&server, &ann.refresh_token).await);
    assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    assert_eq!(refused(delete(&mut ann, PASSWORD, "").await).kind(), REVOKED);
    assert!(logs_in(&mut server.anonymous(), "ANN", PASSWORD).await, "who came later is there");
}

async fn without_the_password_nothing_is_deleted(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let id = Uuid::new_v4().to_string();
    for wrong in ["not the password", "A plain horse eats staples", " ", "' or '1'='1"] {
        let refusal = refused(delete(&mut ann, wrong, &id).await);
        assert_eq!(refusal.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    }
    assert_eq!(me(&mut ann).await, ann.user);
    assert!(logs_in(&mut ann, "ann", PASSWORD).await);
    assert_eq!(refused(ask(&server, &id).await).reason, "ERASURE_NOT_FOUND");
    let mut anonymous = server.anonymous();
    let refusal = refused(delete(&mut anonymous, PASSWORD, "").await);
    assert_eq!(refusal.kind(), (Code::Unauthenticated, "TOKEN_MISSING"));
}

async fn a_malformed_request_is_told_so_at_once(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let (good, long) = (Uuid::new_v4(), "é".repeat(257));
    for password in ["", &long] {
        let answer = delete(&mut ann, password, "").await;
        assert_eq!(invalid(answer), ["current_password"]);
    }
    let (nil, max) = (Uuid::nil().to_string(), Uuid::max().to_string());
    let (simple, braced) = (good.simple().to_string(), good.braced().to_string());
    // Anybody can guess an id that was not made at random: that of a user is the time.
    let user = ann.user.id.clone();
    for id in [&nil, &max, &simple, &braced, &user, "x", " ", &format!("{good} ")] {
        assert_eq!(invalid(delete(&mut ann, PASSWORD, id).await), ["erasure_id"], "{id}");
    }
    let answer = delete(&mut ann, "", "x").await;
    assert_eq!(invalid(answer), ["current_password", "erasure_id"]);
    assert_eq!(me(&mut ann).await, ann.user);
}

async fn a_guess_counts_as_one_at_a_login(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    for _ in 0..10 {
        let wrong = delete(&mut ann, "not the password", "").await;
        assert_eq!(answer(wrong), Answer::Wrong);
    }
    let late = delete(&mut ann, PASSWORD, "").await;
    assert_eq!(answer(late), Answer::Later(60), "the right one is not looked at");
    assert_eq!(enter(&mut ann, "ann").await, Answer::Later(60));
    assert_eq!(me(&mut ann).await, ann.user);
    server.clock.advance(std::time::Duration::from_mins(1));
    deleted(&mut ann).await;
}

async fn who_has_chosen_the_id_finds_the_erasure_without_the_answer(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let id = Uuid::new_v4().to_string();
    drop(delete(&mut ann, PASSWORD, &id).await);
    assert_eq!(refused(delete(&mut ann, PASSWORD, &id).await).kind(), REVOKED);
    assert_eq!(confirmed_here(&server, &id).await.id, id);
}

async fn an_erasure_id_is_taken_once(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    let id = Uuid::new_v4().to_string();
    let begun = delete(&mut ann, PASSWORD, &id.to_uppercase()).await.unwrap().into_inner();
    assert_eq!(begun.erasure.unwrap().id, id);
    let before = confirmed_here(&server, &id).await;
    for taken in [&id, &id.to_uppercase()] {
        let refusal = refused(delete(&mut bob, PASSWORD, taken).await);
        assert_eq!(refusal.kind(), (Code::AlreadyExists, "ERASURE_ID_TAKEN"));
    }
    assert_eq!(me(&mut bob).await, bob.user, "nothing was done");
    assert!(logs_in(&mut bob, "bob", PASSWORD).await);
    assert_eq!(erasure(&server, &id).await, before);
    let other = Uuid::new_v4().to_string();
    delete(&mut bob, PASSWORD, &other).await.unwrap();
    assert_eq!(reason(&server, &bob.token).await, "TOKEN_REVOKED");
}

async fn whoever_is_disabled_is_not_deleted(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    server.operate("users disable ann").await.unwrap();
    assert_eq!(refused(delete(&mut ann, PASSWORD, "").await).kind(), REVOKED);
    server.operate("users enable ann").await.unwrap();
    assert_eq!(refused(delete(&mut ann, PASSWORD, "").await).kind(), REVOKED);
    let tokens = session(&server, "ann").await;
    let mut ann = server.bearer(&tokens.access_token);
    deleted(&mut ann).await;
}
