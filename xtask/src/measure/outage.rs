//! Whether anybody is disturbed while auth-service is dead.

use std::time::{Duration, Instant};

use e2e::Engine;
use serde_json::json;
use shared::clock::{Clock, Time};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{
    Failure,
    call::told,
    figures::Finding,
    people::{call, log_in, register},
    scene::{Databases, Verifier},
};

/// How long before the end of their tokens the calls end.
const MARGIN: Duration = Duration::from_millis(500);
/// How many people call.
const PEOPLE: usize = 5;

/// What the calls of one verifier came to.
#[derive(Default)]
struct Calls {
    good: u64,
    failed: u64,
    /// What the first that failed was told.
    first: Option<String>,
}

pub(super) async fn measure(databases: &Databases, life: u64) -> Result<Vec<Finding>, Failure> {
    let settings = [("AUTH_ACCESS_TOKEN_TTL", format!("{life}s"))];
    let mut scene = databases.scene(Engine::Sqlite, &settings).await?;
    let issuer = scene.issuers().pop().ok_or("there is no auth-service")?;
    for number in 0..PEOPLE {
        let registered = register(&issuer, &format!("person-{number}")).await;
        registered.map_err(|status| told(&status))?;
    }
    let (mut tokens, mut end) = (Vec::new(), Time::MAX);
    for number in 0..PEOPLE {
        let logged_in = log_in(&issuer, &format!("person-{number}")).await;
        let logged_in = logged_in.map_err(|status| told(&status))?;
        let expires = logged_in.access_token_expire_time.ok_or("a token has no end")?;
        end = end.min(Time::try_from(expires)?);
        tokens.push(logged_in.access_token);
    }
    scene.auths.remove(0).kill().await;

    let left = end.since(Clock::system().now()).saturating_sub(MARGIN);
    let end = Instant::now() + left;
    let mut verifying = JoinSet::new();
    for (number, verifier) in scene.verifiers.drain(..).enumerate() {
        // One of them is started anew when a third of the time is over.
        let restart = (number == 0).then(|| Instant::now() + left / 3);
        verifying.spawn(verify(verifier, tokens.clone(), restart, end));
    }
    let mut all = Calls::default();
    while let Some(done) = verifying.join_next().await {
        let (verifier, calls) = done??;
        (all.good, all.failed) = (all.good + calls.good, all.failed + calls.failed);
        all.first = all.first.or(calls.first);
        scene.verifiers.push(verifier);
    }
    scene.end().await?;
    let first = all.first.map(|told| format!(", the first: {told}")).unwrap_or_default();
    Ok(vec![Finding {
        name: "auth-service dead, a verifier restarted".to_owned(),
        measured: format!(
            "{} calls in {:.1} s, {} failed{first}",
            all.good + all.failed,
            left.as_secs_f64(),
            all.failed
        ),
        promise: "0 failed",
        held: all.failed == 0 && all.good > 0,
        raw: json!({ "good": all.good, "failed": all.failed }),
    }])
}

/// Calls a verifier all the time, but for while it is restarted.
async fn verify(
    mut verifier: Verifier,
    tokens: Vec<String>,
    restart: Option<Instant>,
    end: Instant,
) -> Result<(Verifier, Calls), Failure> {
    let mut calls = Calls::default();
    if let Some(restart) = restart {
        call_until(&verifier.running.channel(), &tokens, restart, &mut calls).await;
        verifier = verifier.restart().await;
    }
    call_until(&verifier.running.channel(), &tokens, end, &mut calls).await;
    Ok((verifier, calls))
}

async fn call_until(channel: &Channel, tokens: &[String], end: Instant, calls: &mut Calls) {
    for token in tokens.iter().cycle() {
        if Instant::now() >= end {
            return;
        }
        match call(channel, token).await {
            Ok(()) => calls.good += 1,
            Err(status) => {
                calls.failed += 1;
                calls.first.get_or_insert_with(|| told(&status));
            }
        }
    }
}
