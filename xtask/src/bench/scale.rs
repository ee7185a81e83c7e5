//! Whether calls cost more where there is more.

use std::time::Instant;

use e2e::Engine;
use serde_json::json;
use shared::pb::task::ListTasksRequest;

use super::{
    Amounts,
    calls::{CREATE_TASK, Create, GET_TASK, Get, LIST_TASKS, Same, gets},
    cores::SERVER,
    promise::Promise,
    rounds::{Spread, Variant, ratio, rounds},
    stage::{Person, Server, Stage},
};
use crate::{Failure, figures::Finding, fill::fill, scene::name};

/// How many calls are in flight.
const MANY: usize = 64;
/// How many tasks there are in the smaller database, and how many are read in each at the most.
const TASKS: usize = 10_000;
const READ: usize = 20_000;
/// How many rounds there are at the most: to write the tasks takes long enough.
const ROUNDS: usize = 3;
/// How many tasks a user may have here.
const QUOTA: &str = "10000000";
const FLAT: Promise = Promise::most(1.3, "<= 1.3 x the smaller");

/// What is called.
#[derive(Debug, Clone, Copy)]
enum Call {
    Get,
    List,
    Create,
}

/// A service on a database of this size.
struct Sized {
    tasks: usize,
    server: Server,
    person: Person,
    ids: Vec<uuid::Uuid>,
}

pub(super) async fn measure(stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for engine in stage.engines() {
        let mut both = Vec::new();
        for tasks in [TASKS, amounts.tasks] {
            both.push(sized(stage, engine, tasks).await?);
        }
        for call in [Call::Get, Call::List, Call::Create] {
            findings.push(compare(engine, call, &both, amounts).await?);
        }
    }
    Ok(findings)
}

async fn sized(stage: &Stage, engine: Engine, tasks: usize) -> Result<Sized, Failure> {
    let person = stage.person().await?;
    let place = stage.databases.place(engine, "task").await;
    let begun = Instant::now();
    let ids = fill(&place, person.id, tasks, &[]).await?.swap_remove(0);
    println!("{tasks} tasks in {}: {:.1} s", name(engine), begun.elapsed().as_secs_f64());
    let ids = ids.iter().step_by((tasks / READ).max(1)).copied().collect();
    let quota = [("TASK_TASK_QUOTA", QUOTA.to_owned())];
    let server = stage.service(SERVER, &place, &quota).await?;
    Ok(Sized { tasks, server, person, ids })
}

async fn compare(
    engine: Engine,
    call: Call,
    both: &[Sized],
    amounts: &Amounts,
) -> Result<Finding, Failure> {
    let mut variants = Vec::new();
    for sized in both {
        variants.push(sized.variant(call).await?);
    }
    let few = Amounts { rounds: amounts.rounds.min(ROUNDS), ..*amounts };
    rounds(&mut variants, &few).await?;
    let [small, large] = &variants[..] else { return Err("there are two variants".into()) };
    let time = ratio(large, small, |sample| 1.0 / sample.rate);
    let cpu = ratio(large, small, |sample| sample.cpu);
    let tasks = both.last().map_or(0, |sized| sized.tasks);
    let raw = json!({
        "time": time.json(), "cpu": cpu.json(), "rounds": large.json(), "smaller": small.json(),
    });
    // Whichever has grown more.
    let Spread { median: most, .. } = if time.median > cpu.median { time } else { cpu };
    Ok(FLAT.finding(
        format!("{}, {}, {tasks} tasks", call.name(), name(engine)),
        most,
        format!("{time} in time, {:.2} in CPU; {}", cpu.median, large.middle()),
        raw,
    ))
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GetTask",
            Self::List => "ListTasks",
            Self::Create => "CreateTask",
        }
    }
}

impl Sized {
    async fn variant(&self, call: Call) -> Result<Variant, Failure> {
        let (server, people) = (&self.server, [self.person.clone()]);
        let crew = match call {
            Call::Get => {
                let requests = gets(&self.ids);
                server.crew(MANY, GET_TASK, &people, |it| Get::new(&requests, it)).await?
            }
            Call::List => {
                let page = ListTasksRequest { page_size: 50, ..Default::default() };
                server.crew(1, LIST_TASKS, &people, |_| Same::new(&page)).await?
            }
            Call::Create => server.crew(MANY, CREATE_TASK, &people, Create::new).await?,
        };
        Ok(Variant::new(format!("{} tasks", self.tasks), server.process, crew))
    }
}
