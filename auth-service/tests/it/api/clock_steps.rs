//! A clock that is set while the server runs.

use std::time::Duration;

use e2e::{AuthServer, Engine, on_every_engine, refused, until};
use shared::pb::auth::{GetCurrentUserRequest, LogoutRequest, ValidateTokenRequest};
use tonic::Code;

on_every_engine!(
    what_was_revoked_stays_so_when_the_clock_is_set_forward_and_back,
    a_server_that_has_started_an_hour_ahead_goes_on_when_its_clock_is_set_back,
);

const HOUR: Duration = Duration::from_hours(1);

async fn what_was_revoked_stays_so_when_the_clock_is_set_forward_and_back(on: Engine) {
    for step in [Duration::from_secs(10), HOUR] {
        let mut server = AuthServer::start_on(on).await;
        let mut ann = server.register("ann").await;
        let now = server.clock.now();
        let refresh_token = ann.refresh_token.clone();
        ann.auth.logout(LogoutRequest { refresh_token }).await.unwrap();
        server.clock.set(now.plus(step));
        // A start forgets what is over, by the clock that it has.
        server = server.restart_with([]).await;
        server.clock.set(now);
        let mut there = ann.at(server.channel());
        until("it has read everything anew", async || {
            let request = ValidateTokenRequest { access_token: ann.token.clone() };
            let answer = there.auth.validate_token(request).await;
            answer.is_ok_and(|answer| !answer.into_inner().active)
        })
        .await;
        let answer = there.users.get_current_user(GetCurrentUserRequest {}).await;
        assert_eq!(refused(answer).kind(), (Code::Unauthenticated, "TOKEN_REVOKED"));
    }
}

async fn a_server_that_has_started_an_hour_ahead_goes_on_when_its_clock_is_set_back(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let now = server.clock.now();
    server.clock.set(now.plus(HOUR));
    let server = server.restart_with([]).await;
    server.clock.set(now);
    let mut ann = server.register("ann").await;
    until("it can decide again", async || {
        ann.users.get_current_user(GetCurrentUserRequest {}).await.is_ok()
    })
    .await;
}
