//! One task read by its id, and what an authenticated call costs at all, against an echo.

use std::sync::Arc;

use bytes::Bytes;
use e2e::{Engine, Place};
use serde_json::json;

use super::{
    Amounts,
    calls::{GET_TASK, Get, gets},
    cores::SERVER,
    promise::Promise,
    rounds::{Sample, Variant, ratio, rounds},
    stage::{Person, Server, Stage},
};
use crate::{Failure, figures::Finding, fill::fill, scene::name};

/// How many calls are in flight.
const MANY: usize = 64;
/// How many tasks a database has.
const TASKS: usize = 10_000;
/// What is promised of each server: its rate with many in flight, and the time of a call alone.
const GUARDED: [Promise; 2] = [Promise::least(0.80, ">= 0.80 of echo"), Promise::NOTHING];
const SERVICE: [Promise; 2] =
    [Promise::least(0.45, ">= 0.45 of echo"), Promise::most(1.8, "<= 1.8 x echo")];
const NOTHING: [Promise; 2] = [Promise::NOTHING, Promise::NOTHING];

/// A server, and what is asked of it.
struct Entry {
    name: String,
    server: Server,
    requests: Arc<[Bytes]>,
    promises: [Promise; 2],
    _place: Option<Place>,
}

pub(super) async fn measure(stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
    let person = stage.person().await?;
    let mut entries = Vec::new();
    for engine in stage.engines() {
        entries.extend(stores(stage, engine, &person).await?);
    }
    let requests = entries.first().map(|it| Arc::clone(&it.requests)).unwrap_or_default();
    let guarded = stage.guarded().await?;
    entries.insert(0, entry("authenticated echo", guarded, &requests, GUARDED, None));
    let lean = stage.floor(&["echo", "--lean"]).await?;
    entries.insert(0, entry("echo on one thread", lean, &requests, NOTHING, None));
    let echo = stage.floor(&["echo"]).await?;
    entries.insert(0, entry("echo", echo, &requests, NOTHING, None));

    let [mut many, mut one] = [Vec::new(), Vec::new()];
    for entry in &entries {
        many.push(entry.variant(MANY, &person).await?);
        one.push(entry.variant(1, &person).await?);
    }
    rounds(&mut many, amounts).await?;
    let mut eased = Vec::new();
    for variant in &mut many {
        eased.push(variant.at_ease(amounts.turn).await?);
    }
    rounds(&mut one, amounts).await?;
    let mut findings = Vec::new();
    for ((entry, variant), eased) in entries.iter().zip(&many).zip(&eased) {
        if let [echo, lean, ..] = &*many {
            findings.push(entry.against(variant, echo, lean));
        }
        findings.push(entry.at_ease(eased));
    }
    for (entry, variant) in entries.iter().zip(&one) {
        findings.extend(one.first().map(|echo| entry.alone(variant, echo)));
    }
    Ok(findings)
}

/// Everything that keeps tasks on this engine.
async fn stores(stage: &Stage, engine: Engine, person: &Person) -> Result<Vec<Entry>, Failure> {
    let place = stage.databases.place(engine, "task").await;
    let ids = fill(&place, person.id, TASKS, &[]).await?;
    let requests = gets(ids.first().map(Vec::as_slice).unwrap_or_default());
    let engine = name(engine);
    let service = stage.service(SERVER, &place, &[]).await?;
    let logs = [("RUST_LOG", "info".to_owned())];
    let logged = stage.service(SERVER, &place, &logs).await?;
    let owner = person.id.to_string();
    let plain = ["plain", "--database", &place.url, "--owner", &owner];
    let plain = stage.floor(&plain).await?;
    let entry = |name: String, server, promises| {
        entry(&name, server, &requests, promises, Some(place.clone()))
    };
    Ok(vec![
        entry(format!("GetTask, {engine}"), service, SERVICE),
        entry(format!("GetTask, {engine}, with access log"), logged, NOTHING),
        entry(format!("GetTask, {engine}, plain store"), plain, NOTHING),
    ])
}

fn entry(
    name: &str,
    server: Server,
    requests: &Arc<[Bytes]>,
    promises: [Promise; 2],
    place: Option<Place>,
) -> Entry {
    let (name, requests) = (name.to_owned(), Arc::clone(requests));
    Entry { name, server, requests, promises, _place: place }
}

impl Entry {
    async fn variant(&self, callers: usize, person: &Person) -> Result<Variant, Failure> {
        let (people, work) = ([person.clone()], |number| Get::new(&self.requests, number));
        let crew = self.server.crew(callers, GET_TASK, &people, work).await?;
        Ok(Variant::new(&self.name, self.server.process, crew))
    }

    /// Its rate with many in flight, against an echo on the usual runtime, and on that of the services.
    fn against(&self, variant: &Variant, echo: &Variant, lean: &Variant) -> Finding {
        let [promise, _] = self.promises;
        let name = format!("{}, {MANY} in flight", self.name);
        let [ratio, of_lean] = [echo, lean].map(|echo| ratio(variant, echo, |sample| sample.rate));
        let measured =
            format!("{ratio}, on one thread {:.2}; {}", of_lean.median, variant.middle());
        let raw = json!({
            "ratio": ratio.json(), "ratio_to_one_thread": of_lean.json(), "rounds": variant.json(),
        });
        promise.finding(name, ratio.median, measured, raw)
    }

    /// How long calls take while the server is not at its limit.
    fn at_ease(&self, sample: &Sample) -> Finding {
        let name = format!("{}, at ease", self.name);
        Promise::NOTHING.finding(name, sample.rate, sample.to_string(), sample.json())
    }

    /// Its time with one in flight.
    fn alone(&self, variant: &Variant, echo: &Variant) -> Finding {
        let [_, promise] = self.promises;
        let name = format!("{}, 1 in flight, p50", self.name);
        let ratio = ratio(variant, echo, |sample| sample.p50.as_secs_f64());
        let raw = json!({ "ratio": ratio.json(), "rounds": variant.json() });
        promise.finding(name, ratio.median, format!("{ratio}; {}", variant.middle()), raw)
    }
}
