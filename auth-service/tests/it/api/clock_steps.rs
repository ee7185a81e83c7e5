//! A clock that is set while the server runs.

use std::time::Duration;

use auth_service::store::MIGRATIONS;
use e2e::{AuthServer, Engine, on_every_engine, refused, until};
use shared::{
    database::{Database, Settings, Statement, get},
    on_engine,
    pb::auth::{GetCurrentUserRequest, LogoutRequest, ValidateTokenRequest},
};
use tonic::Code;

use super::{reason, refreshed, session};

on_every_engine!(
    what_was_revoked_stays_so_when_the_clock_is_set_forward_and_back,
    a_server_that_has_started_an_hour_ahead_goes_on_when_its_clock_is_set_back,
    what_a_clock_days_ahead_has_forgotten_is_made_good_by_a_reset,
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

/// The time before which it has called revocations forgotten.
async fn forgotten(server: &AuthServer) -> i64 {
    let settings = Settings::new("test", &server.place.url).unwrap();
    on_engine!(settings, DB => {
        let database = Database::<DB>::open(&settings, &MIGRATIONS).await.unwrap();
        let select = Statement::new("select forgotten_time from trust_head");
        get::<DB, _>(&database.read(select).await.unwrap()[0], "forgotten_time").unwrap()
    })
}

async fn what_a_clock_days_ahead_has_forgotten_is_made_good_by_a_reset(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let (other, now) = (session(&server, "ann").await, server.clock.now());
    server.clock.set(now.plus(72 * HOUR));
    let refresh_token = refreshed(&server, &other.refresh_token).await.refresh_token;
    server.anonymous().auth.logout(LogoutRequest { refresh_token }).await.unwrap();
    // A start calls forgotten what is over, by the clock that it has.
    server.clock.advance(2 * HOUR);
    let server = server.restart_with([]).await;
    until("it has forgotten", async || forgotten(&server).await > now.micros()).await;
    server.clock.set(now);
    until("it can not tell", async || reason(&server, &ann.token).await == "TRUST_UNAVAILABLE")
        .await;
    let said = server.operate("trust reset").await.unwrap();
    assert!(said.contains("every token ends") && said.contains(" signs from "), "{said}");
    until("its tokens end", async || reason(&server, &ann.token).await == "TOKEN_REVOKED").await;
    server.clock.advance(Duration::from_secs(2));
    let next = refreshed(&server, &ann.refresh_token).await;
    assert_eq!(reason(&server, &next.access_token).await, "");
    let said = server.operate("trust reset").await.unwrap();
    assert_eq!(said, "every verifier fetches everything anew\n", "there is nothing to make good");
    assert_eq!(reason(&server, &next.access_token).await, "");
}
