//! Tasks made and changed, against how often the disk can take a page by itself.

use std::{slice::from_ref, time::Duration};

use e2e::Engine;
use serde_json::json;
use tempfile::TempDir;

use super::{
    Amounts,
    calls::{CREATE_TASK, Create, UPDATE_TASK, Update},
    cores::SERVER,
    promise::Promise,
    raw::appends,
    rounds::{Spread, Variant, WARM_UP},
    stage::Stage,
};
use crate::{Failure, figures::Finding, fill::fill, scene::name};

/// How many calls are in flight.
const MANY: usize = 64;
/// How many people make tasks.
const PEOPLE: usize = 8;
/// How many tasks the database has, and how many of them each caller changes.
const TASKS: usize = 10_000;
const OWN: usize = 32;
/// For how long the disk is asked, before and after each turn.
const PROBE: Duration = Duration::from_millis(300);

/// What is promised of an engine: creations one by one, and of many in flight; and changes.
type Promises = [Promise; 3];
const SQLITE: Promises = [
    Promise::least(0.4, ">= 0.4 x the disk"),
    Promise::least(2.0, ">= 2 x the disk"),
    Promise::least(4.0, ">= 4 x the disk"),
];
const POSTGRES: Promises = [
    Promise::least(0.4, ">= 0.4 x the disk"),
    Promise::least(4.0, ">= 4 x the disk"),
    Promise::least(5.0, ">= 5 x the disk"),
];

/// Where the disk is asked what it can do.
struct Disk(TempDir);

pub(super) async fn measure(stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
    // Where the databases are, too.
    let disk = Disk(tempfile::tempdir()?);
    let mut findings = Vec::new();
    for engine in stage.engines() {
        findings.extend(on_engine(stage, engine, &disk, amounts).await?);
    }
    Ok(findings)
}

async fn on_engine(
    stage: &Stage,
    engine: Engine,
    disk: &Disk,
    amounts: &Amounts,
) -> Result<Vec<Finding>, Failure> {
    let [one, many, updates] = if engine == Engine::Sqlite { SQLITE } else { POSTGRES };
    let people = stage.people(PEOPLE).await?;
    let owner = people.first().ok_or("there is nobody")?;
    let place = stage.databases.place(engine, "task").await;
    let ids = fill(&place, owner.id, TASKS, &[]).await?.swap_remove(0);
    let service = stage.service(SERVER, &place, &[]).await?;
    let place = stage.databases.place(engine, "plain").await;
    let id = owner.id.to_string();
    let plain = stage.floor(&["plain", "--database", &place.url, "--owner", &id]).await?;
    // Each caller has tasks from all over.
    let own = |number: usize| ids.iter().skip(number).step_by(ids.len() / OWN).take(OWN).copied();
    let named = |what: &str| format!("{what}, {}", name(engine));

    let rounds = (amounts.rounds, amounts.turn);
    let mut findings = Vec::new();
    let crew = service.crew(1, CREATE_TASK, &people, Create::new).await?;
    let create = Variant::new(named("CreateTask, 1 in flight"), service.process, crew);
    findings.push(disk.beside(create, rounds, one).await?);
    let crew = service.crew(MANY, UPDATE_TASK, from_ref(owner), |it| Update::new(own(it))).await?;
    let mut update = Variant::new(named("UpdateTask, 64 in flight"), service.process, crew);
    // The first time they have seen no etag yet.
    update.closed(amounts.turn).await?;
    findings.push(disk.beside(update, rounds, updates).await?);
    let crew = plain.crew(MANY, CREATE_TASK, &people, Create::new).await?;
    let create = Variant::new(named("CreateTask, 64 in flight, plain store"), plain.process, crew);
    findings.push(disk.beside(create, rounds, Promise::NOTHING).await?);
    let crew = service.crew(MANY, CREATE_TASK, &people, Create::new).await?;
    let create = Variant::new(named("CreateTask, 64 in flight, sustained"), service.process, crew);
    findings.push(disk.beside(create, (1, amounts.sustained), many).await?);
    Ok(findings)
}

impl Disk {
    /// Gives it so many turns of such a length, and compares each with what the disk can do before and after.
    async fn beside(
        &self,
        mut variant: Variant,
        (rounds, turn): (usize, Duration),
        promise: Promise,
    ) -> Result<Finding, Failure> {
        variant.crew.closed(WARM_UP).await?;
        let (mut disk, mut ratios) = (vec![appends(self.0.path(), PROBE)?], Vec::new());
        for _ in 0..rounds {
            let sample = variant.closed(turn).await?;
            let (before, after) = (disk.last().copied(), appends(self.0.path(), PROBE)?);
            ratios.push(sample.rate / f64::midpoint(before.unwrap_or(after), after));
            disk.push(after);
            variant.samples.push(sample);
        }
        let ratio = Spread::of(ratios);
        let appends = Spread::of(disk.iter().copied());
        let measured = format!("{ratio} of {:.0}/s; {}", appends.median, variant.middle());
        let raw = json!({ "ratio": ratio.json(), "rounds": variant.json(), "disk": disk });
        Ok(promise.finding(variant.name, ratio.median, measured, raw))
    }
}
