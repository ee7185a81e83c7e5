//! More passwords than can be hashed.

use e2e::{AuthServer, Engine, PASSWORD, on_every_engine, refused};
use tokio::task::JoinSet;
use tonic::Code;

use super::{credentials, logs_in, start_without_limits};

on_every_engine!(
    what_can_not_be_hashed_soon_is_refused_and_the_rest_is_done,
    a_name_that_nobody_has_costs_the_same_work,
);

/// Far more than the 64 that may wait.
const CALLS: usize = 240;

/// Logs in as often as that at once: how many were let in, were refused, were told to come back.
async fn storm(server: &AuthServer, name: &'static str) -> [usize; 3] {
    let mut calls = JoinSet::new();
    let connections = [(); 4].map(|()| server.anonymous());
    for connection in connections.iter().cycle().take(CALLS) {
        let mut somebody = connection.clone();
        calls.spawn(async move { somebody.auth.login(credentials(name, PASSWORD)).await });
    }
    let mut counts = [0; 3];
    for answer in calls.join_all().await {
        let kind = match answer {
            Ok(_) => 0,
            refusal => match refused(refusal) {
                wrong if wrong.kind() == (Code::Unauthenticated, "INVALID_CREDENTIALS") => 1,
                late => {
                    assert_eq!(late.kind(), (Code::ResourceExhausted, "OVERLOADED"));
                    assert!(late.retry.is_some_and(|delay| !delay.is_zero()));
                    2
                }
            },
        };
        counts[kind] += 1;
    }
    counts
}

async fn what_can_not_be_hashed_soon_is_refused_and_the_rest_is_done(on: Engine) {
    let server = start_without_limits(on).await;
    server.register("ann").await;
    let [done, wrong, late] = storm(&server, "ann").await;
    assert!(done >= 64 && late > 0, "{done} done, {late} told to come back");
    assert_eq!((wrong, done + late), (0, CALLS));
    assert!(logs_in(&mut server.anonymous(), "ann", PASSWORD).await);
}

/// An unknown name waits in the same queue for the same work. If it were answered without that,
/// nobody who has one would ever be told to come back.
async fn a_name_that_nobody_has_costs_the_same_work(on: Engine) {
    let server = start_without_limits(on).await;
    for unknown in ["nobody", "nobody can have this name"] {
        let [done, wrong, late] = storm(&server, unknown).await;
        assert!(wrong >= 64 && late > 0, "{wrong} refused, {late} told to come back");
        assert_eq!((done, wrong + late), (0, CALLS));
    }
}
