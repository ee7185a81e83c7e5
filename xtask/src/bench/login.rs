//! Logins against hashes alone, and what becomes of everybody else meanwhile.

use std::{slice::from_ref, time::Duration};

use e2e::Engine;
use serde_json::json;
use tokio::try_join;

use super::{
    Amounts,
    calls::{GET_TASK, Get, LOGIN, Same, gets},
    cores::{ALL, SERVER},
    promise::Promise,
    raw::hashes,
    rounds::{Spread, Variant, WARM_UP},
    stage::{Person, Server, Stage},
};
use crate::{
    Failure,
    call::{PASSWORD, login},
    figures::{Finding, micros},
    fill::fill,
    people::register,
};

/// How many logins are in flight, and how many accounts they are into.
const MANY: usize = 64;
const ACCOUNTS: usize = 16;
/// How often tasks are read meanwhile, in a second, and how many there are.
const RATE: f64 = 500.0;
const TASKS: usize = 10_000;
const LOGINS: Promise = Promise::least(0.92, ">= 0.92 of hashes alone");
const OTHERS: Promise = Promise::most(1.0, "p99 <= one hash");
const MEMORY: Promise = Promise::most(128.0, "<= 128 MiB at the most");

pub(super) async fn measure(stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
    let place = stage.databases.place(Engine::Sqlite, "auth").await;
    let auth = stage.issuer(ALL, &place).await?;
    let mut logins = logins(&auth).await?;
    let (mut ratios, mut raw) = (Vec::new(), vec![hashes(ALL, amounts.turn)?]);
    logins.crew.closed(WARM_UP).await?;
    for _ in 0..amounts.rounds {
        let sample = logins.closed(2 * amounts.turn).await?;
        let (before, after) = (raw.last().copied(), hashes(ALL, amounts.turn)?);
        ratios.push(sample.rate / f64::midpoint(before.unwrap_or(after), after));
        raw.push(after);
        logins.samples.push(sample);
    }
    let (ratio, hashes) = (Spread::of(ratios), Spread::of(raw.iter().copied()));
    let measured = format!("{ratio} of {:.0}/s; {}", hashes.median, logins.middle());
    let raw = json!({ "ratio": ratio.json(), "rounds": logins.json(), "hashes": raw });
    let mut findings = vec![LOGINS.finding("Login, 64 in flight", ratio.median, measured, raw)];
    findings.extend(others(stage, logins, amounts).await?);
    let kib = auth.process.memory("VmHWM")?;
    let mib = f64::from(u32::try_from(kib)?) / 1024.0;
    findings.push(MEMORY.finding("Login, memory", mib, format!("{mib:.1} MiB"), json!(kib)));
    Ok(findings)
}

/// Those who log in.
async fn logins(auth: &Server) -> Result<Variant, Failure> {
    let name = |number: usize| format!("person-{}", number % ACCOUNTS);
    for number in 0..ACCOUNTS {
        register(&auth.channel(), &name(number)).await?;
    }
    let nobody = [Person::default()];
    let work = |number| Same::new(&login(&name(number), PASSWORD));
    let crew = auth.crew(MANY, LOGIN, &nobody, work).await?;
    Ok(Variant::new("Login", auth.process, crew))
}

/// How long others wait for a task while both services have both cores, and passwords are hashed on both.
async fn others(
    stage: &Stage,
    mut logins: Variant,
    amounts: &Amounts,
) -> Result<Vec<Finding>, Failure> {
    let person = stage.person().await?;
    let place = stage.databases.place(Engine::Sqlite, "task").await;
    let ids = fill(&place, person.id, TASKS, &[]).await?;
    let requests = gets(ids.iter().flatten());
    let service = stage.service(ALL, &place, &[]).await?;
    let work = |number| Get::new(&requests, number);
    let crew = service.crew(MANY, GET_TASK, from_ref(&person), work).await?;
    let mut reads = Variant::new("GetTask", service.process, crew);
    let time = 3 * amounts.turn;
    let alone = reads.open(RATE, time).await?;
    let hash = Duration::from_secs(1).div_f64(hashes(SERVER, amounts.turn)?);
    let (meanwhile, logged) = try_join!(reads.open(RATE, time), logins.closed(time))?;
    let ratio = meanwhile.p99.as_secs_f64() / hash.as_secs_f64();
    let measured = format!("p99 {ratio:.2} of {:.1} ms; {meanwhile}", hash.as_secs_f64() * 1e3);
    let raw = json!({
        "hash_us": micros(hash), "alone": alone.json(),
        "meanwhile": meanwhile.json(), "logins": logged.json(),
    });
    Ok(vec![
        Promise::NOTHING.finding("GetTask, 500/s", 0.0, alone.to_string(), alone.json()),
        OTHERS.finding("GetTask, 500/s, while 64 log in", ratio, measured, raw),
    ])
}
