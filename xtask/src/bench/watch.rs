//! What it costs to have many who watch while nothing happens.

use std::{slice::from_ref, time::Duration};

use e2e::Engine;
use serde_json::json;
use shared::pb::task::WatchTasksRequest;
use tokio::time::sleep;

use super::{
    Amounts,
    calls::{GET_TASK, Get, Same, WATCH_TASKS, gets},
    cores::SERVER,
    load::Connection,
    promise::Promise,
    rounds::{Variant, ratio, rounds},
    stage::{Person, Server, Stage},
};
use crate::{Failure, figures::Finding, fill::fill, scene::name};

/// How many watch, and how many of them are one person on one connection.
const WATCHERS: usize = 1_000;
const EACH: usize = 16;
/// How many others call, and how many tasks there are.
const MANY: usize = 64;
const TASKS: usize = 10_000;
/// How long memory has to settle.
const SETTLE: Duration = Duration::from_millis(500);
const MEMORY: Promise = Promise::most(40.0, "<= 40 MiB");
const RATE: Promise = Promise::least(0.95, ">= 0.95 of without");

pub(super) async fn measure(stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
    let people = stage.people(WATCHERS.div_ceil(EACH)).await?;
    let mut findings = Vec::new();
    for engine in stage.engines() {
        findings.extend(on_engine(stage, engine, &people, amounts).await?);
    }
    Ok(findings)
}

async fn on_engine(
    stage: &Stage,
    engine: Engine,
    people: &[Person],
    amounts: &Amounts,
) -> Result<Vec<Finding>, Failure> {
    let caller = stage.person().await?;
    let place = stage.databases.place(engine, "task").await;
    let ids = fill(&place, caller.id, TASKS, &[]).await?;
    let requests = gets(ids.iter().flatten());
    let mut variants = Vec::new();
    // The one without first.
    let services =
        [stage.service(SERVER, &place, &[]).await?, stage.service(SERVER, &place, &[]).await?];
    for service in &services {
        let work = |number| Get::new(&requests, number);
        let crew = service.crew(MANY, GET_TASK, from_ref(&caller), work).await?;
        let name = format!("GetTask, {}", name(engine));
        let mut variant = Variant::new(name, service.process, crew);
        // Until it has the memory that calls take.
        variant.closed(SETTLE).await?;
        variants.push(variant);
    }
    let [_, watched] = &services;
    sleep(SETTLE).await;
    let before = watched.process.memory("VmRSS")?;
    let streams = watch(watched, people).await?;
    sleep(SETTLE).await;
    let kib = watched.process.memory("VmRSS")?.saturating_sub(before);
    rounds(&mut variants, amounts).await?;
    if streams.len() != WATCHERS {
        return Err("not everybody watches".into());
    }
    let [without, with] = &variants[..] else { return Err("there are two variants".into()) };
    let ratio = ratio(with, without, |sample| sample.rate);
    let raw = json!({ "ratio": ratio.json(), "rounds": with.json(), "without": without.json() });
    let mib = f64::from(u32::try_from(kib)?) / 1024.0;
    let what = format!("{WATCHERS} who watch, {}", name(engine));
    Ok(vec![
        MEMORY.finding(format!("{what}, memory"), mib, format!("{mib:.1} MiB"), json!(kib)),
        RATE.finding(
            format!("{what}, GetTask"),
            ratio.median,
            format!("{ratio}; {}", with.middle()),
            raw,
        ),
    ])
}

/// Has them watch, until each has been told everything that there is; they watch as long as the answer is kept.
async fn watch(service: &Server, people: &[Person]) -> Result<Vec<h2::RecvStream>, Failure> {
    let mut streams = Vec::new();
    let request = WatchTasksRequest { cursor: String::new(), follow: true };
    for person in people {
        let connection = Connection::open(service.addr).await?;
        for _ in 0..EACH.min(WATCHERS - streams.len()) {
            let work = Same::new(&request);
            streams.push(connection.caller(WATCH_TASKS, &person.token, work)?.watch().await?);
        }
    }
    Ok(streams)
}
