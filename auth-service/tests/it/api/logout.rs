//! `AuthService.Logout`.

use e2e::{AuthServer, Engine, on_every_engine, refused};
use shared::pb::auth::LogoutRequest;
use tonic::Code;

use super::{invalid, reason, refresh, refreshed, session};

on_every_engine!(
    any_token_of_a_session_ends_it_and_no_other,
    what_belongs_to_no_session_ends_nothing,
);

async fn log_out(server: &AuthServer, token: &str) {
    let request = LogoutRequest { refresh_token: token.to_owned() };
    server.anonymous().auth.logout(request).await.unwrap();
}

async fn any_token_of_a_session_ends_it_and_no_other(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    for place in 0..3 {
        let first = session(&server, "ann").await;
        let second = refreshed(&server, &first.refresh_token).await;
        let third = refreshed(&server, &second.refresh_token).await;
        let all = [first, second, third];
        log_out(&server, &all[place].refresh_token).await;
        for tokens in &all {
            assert_eq!(reason(&server, &tokens.access_token).await, "TOKEN_REVOKED");
            let refused = refused(refresh(&server, &tokens.refresh_token).await);
            assert_eq!(refused.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
            log_out(&server, &tokens.refresh_token).await;
        }
    }
    assert_eq!(reason(&server, &ann.token).await, "");
}

async fn what_belongs_to_no_session_ends_nothing(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let tokens = session(&server, "ann").await;
    let unknown = "A".repeat(43);
    for nothing in ["x", " ", "🦀", &unknown, &"a".repeat(4_096), &tokens.access_token] {
        log_out(&server, nothing).await;
    }
    for bad in [String::new(), "a".repeat(4_097)] {
        let request = LogoutRequest { refresh_token: bad };
        assert_eq!(invalid(server.anonymous().auth.logout(request).await), ["refresh_token"]);
    }
    assert_eq!(reason(&server, &tokens.access_token).await, "");
    refreshed(&server, &tokens.refresh_token).await;
}
