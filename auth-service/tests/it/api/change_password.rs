//! `UserService.ChangePassword`.

use e2e::{AuthServer, Engine, PASSWORD, on_every_engine, refused};
use shared::pb::auth::ChangePasswordRequest;
use tonic::Code;

use super::{invalid, logs_in, me, reason, refresh, refreshed, session};

on_every_engine!(
    the_new_password_logs_in_and_the_old_one_does_not,
    a_wrong_current_password_changes_nothing,
    a_new_password_has_to_be_a_good_one,
    of_two_changes_at_the_same_moment_one_wins,
    every_other_session_ends_and_this_one_goes_on,
);

const NEW: &str = "  something else altogether\0";

fn change(current: &str, new: &str) -> ChangePasswordRequest {
    ChangePasswordRequest { current_password: current.to_owned(), new_password: new.to_owned() }
}

async fn the_new_password_logs_in_and_the_old_one_does_not(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    ann.users.change_password(change(PASSWORD, NEW)).await.unwrap();
    assert!(!logs_in(&mut ann, "ann", PASSWORD).await);
    assert!(!logs_in(&mut ann, "ann", NEW.trim()).await, "used exactly as sent");
    assert!(logs_in(&mut ann, "ann", NEW).await);
    assert!(logs_in(&mut ann, "ann@example.com", NEW).await);
    assert_eq!(me(&mut ann).await, ann.user, "the account itself has not changed");
    assert!(logs_in(&mut bob, "bob", PASSWORD).await, "bob's password is bob's");

    ann.users.change_password(change(NEW, PASSWORD)).await.unwrap();
    assert!(logs_in(&mut ann, "ann", PASSWORD).await);
}

async fn a_wrong_current_password_changes_nothing(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    for wrong in ["not the password", "A plain horse eats staples", " ", "' or '1'='1"] {
        let refusal = refused(ann.users.change_password(change(wrong, NEW)).await);
        assert_eq!(refusal.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    }
    assert!(logs_in(&mut ann, "ann", PASSWORD).await);
    assert!(!logs_in(&mut ann, "ann", NEW).await);
}

async fn a_new_password_has_to_be_a_good_one(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("annabel").await;
    let long = "é".repeat(257);
    for new in [
        "",
        "x7#kQ9!",
        &long,
        "password123",
        "12345678",
        "qwertyuiop",
        "Annabel2024",
        "annabel@example.com",
        PASSWORD,
    ] {
        let answer = ann.users.change_password(change(PASSWORD, new)).await;
        assert_eq!(invalid(answer), ["new_password"], "{new}");
    }
    for (current, new) in [("", "password123"), (&long, ""), ("", "")] {
        let answer = ann.users.change_password(change(current, new)).await;
        assert_eq!(invalid(answer), ["current_password", "new_password"]);
    }
    assert!(logs_in(&mut ann, "annabel", PASSWORD).await);
}

async fn of_two_changes_at_the_same_moment_one_wins(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let mut phone = server.bearer(&ann.token);
    let new = ["first of the two changes", "second of the two changes"];
    let (first, second) = tokio::join!(
        ann.users.change_password(change(PASSWORD, new[0])),
        phone.users.change_password(change(PASSWORD, new[1])),
    );
    let won = [first, second].map(|answer| match answer {
        Ok(_) => true,
        refusal => {
            let refusal = refused(refusal);
            let late = (Code::Unauthenticated, "INVALID_CREDENTIALS");
            assert!([(Code::Aborted, "PASSWORD_CHANGED"), late].contains(&refusal.kind()));
            false
        }
    });
    assert!(won[0] ^ won[1], "{won:?}");
    for (password, won) in new.into_iter().zip(won) {
        assert_eq!(logs_in(&mut ann, "ann", password).await, won);
    }
    assert!(!logs_in(&mut ann, "ann", PASSWORD).await);
}

async fn every_other_session_ends_and_this_one_goes_on(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (_, bob) = (server.register("ann").await, server.register("bob").await);
    let (phone, laptop) = (session(&server, "ann").await, session(&server, "ann").await);
    let mut ann = server.bearer(&phone.access_token);
    ann.users.change_password(change(PASSWORD, NEW)).await.unwrap();
    assert_eq!(reason(&server, &laptop.access_token).await, "TOKEN_REVOKED");
    let ended = refused(refresh(&server, &laptop.refresh_token).await);
    assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    assert_eq!(reason(&server, &phone.access_token).await, "");
    let next = refreshed(&server, &phone.refresh_token).await;
    assert_eq!(reason(&server, &next.access_token).await, "");
    assert_eq!(reason(&server, &bob.token).await, "");
}
