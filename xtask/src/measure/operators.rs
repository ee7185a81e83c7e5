//! How soon it is enforced what an operator ends by a subcommand, in another process than the server.

use e2e::Engine;
use serde_json::json;

use super::watch::revoked;
use crate::{
    Failure,
    call::told,
    figures::{BOUND, Finding, Times},
    people::{log_in, register},
    scene::Databases,
};

/// How many sessions each person has.
const SESSIONS: usize = 2;

pub(super) async fn measure(databases: &Databases, people: usize) -> Result<Vec<Finding>, Failure> {
    let scene = databases.scene(Engine::Sqlite, &[]).await?;
    let (issuers, verifiers) = (scene.issuers(), scene.channels());
    let issuer = issuers.first().ok_or("there is no auth-service")?;
    let mut times = Vec::new();
    for number in 0..people {
        let name = format!("person-{number}");
        register(issuer, &name).await.map_err(|status| told(&status))?;
        let mut tokens = Vec::new();
        for _ in 0..SESSIONS {
            tokens.push(log_in(issuer, &name).await.map_err(|status| told(&status))?.access_token);
        }
        let disable = ["users", "disable", &name];
        let accepted = revoked(&verifiers, &tokens, || scene.operate(&disable)).await?;
        times.extend(accepted.after.iter().filter_map(|after| after.iter().max().copied()));
    }
    scene.end().await?;
    let times = Times::new(times);
    let held = times.are_within_bound();
    Ok(vec![Finding {
        name: "users disable, SQLite, last verifier".to_owned(),
        measured: times.to_string(),
        promise: BOUND,
        held,
        raw: json!({ "us": times.micros() }),
    }])
}
