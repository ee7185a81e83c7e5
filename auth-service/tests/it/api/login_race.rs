//! `AuthService.Login` while something happens to the account.

use auth_service::{config::Config, store::SqlStore};
use e2e::{AuthServer, Engine, PASSWORD, clock, on_every_engine, refused};
use shared::{clock::Clock, on_engine, pb::auth::ChangePasswordRequest};
use tokio::task::JoinSet;
use tonic::Code;

use super::{credentials, login, logs_in, reason, refresh};

on_every_engine!(
    whoever_is_disabled_is_told_so_with_the_right_password_alone,
    no_session_of_the_old_password_outlives_its_change,
);

async fn whoever_is_disabled_is_told_so_with_the_right_password_alone(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (ann, bob) = (server.register("ann").await, server.register("bob").await);
    server.operate("users disable ann").await.unwrap();
    assert_eq!(reason(&server, &ann.token).await, "TOKEN_REVOKED");
    let mut anonymous = server.anonymous();
    let disabled = refused(login(&mut anonymous, "ann", PASSWORD).await);
    assert_eq!(disabled.kind(), (Code::FailedPrecondition, "USER_DISABLED"));
    assert!(!logs_in(&mut anonymous, "ann", "not the password").await, "and not told");
    assert!(logs_in(&mut anonymous, "bob", PASSWORD).await);
    assert_eq!(reason(&server, &bob.token).await, "");
    server.operate("users enable ann").await.unwrap();
    assert!(logs_in(&mut anonymous, "ann", PASSWORD).await);
    assert_eq!(reason(&server, &ann.token).await, "TOKEN_REVOKED", "what has ended stays so");
}

/// How many sessions a user has.
async fn sessions(config: &Config, clock: &Clock) -> i64 {
    on_engine!(config.database, DB => {
        let store = SqlStore::<DB>::open(&config.database, clock.clone()).await.unwrap();
        store.users(uuid::Uuid::nil(), 1).await.unwrap().pop().unwrap().1
    })
}

async fn no_session_of_the_old_password_outlives_its_change(on: Engine) {
    // So many at once look like guesses.
    let settings = [("AUTH_GUESS_LIMIT", "100/10m")];
    let server = AuthServer::start_at(on.place("auth").await, clock(), settings).await;
    let ann = server.register("ann").await;
    let change = ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: "something else altogether".to_owned(),
    };
    let mut caller = ann.users.clone();
    let changed = tokio::spawn(async move { caller.change_password(change).await });
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let mut somebody = server.anonymous();
        calls.spawn(async move { somebody.auth.login(credentials("ann", PASSWORD)).await });
    }
    let (mut begun, mut late) = (Vec::new(), 0);
    for answer in calls.join_all().await {
        match answer {
            Ok(answer) => begun.push(answer.into_inner().tokens.unwrap()),
            refusal => {
                let refusal = refused(refusal);
                let wrong = (Code::Unauthenticated, "INVALID_CREDENTIALS");
                assert!([wrong, (Code::Aborted, "PASSWORD_CHANGED")].contains(&refusal.kind()));
                late += 1;
            }
        }
    }
    changed.await.unwrap().unwrap();
    assert_eq!(begun.len() + late, 50);
    for tokens in begun {
        assert_eq!(reason(&server, &tokens.access_token).await, "TOKEN_REVOKED");
        let ended = refused(refresh(&server, &tokens.refresh_token).await);
        assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    }
    assert_eq!(reason(&server, &ann.token).await, "");
    assert_eq!(sessions(&server.config(), &server.clock).await, 1);
}
