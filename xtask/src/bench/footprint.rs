//! What a service takes while nobody asks anything of it, and how soon it answers.

use std::time::{Duration, Instant};

use e2e::Engine;
use serde_json::json;
use shared::pb::{auth::ListSigningKeysRequest, task::ListTasksRequest};
use tokio::time::sleep;

use super::{
    Amounts,
    calls::{LIST_SIGNING_KEYS, LIST_TASKS, Same},
    cores::SERVER,
    load::{Caller, Connection},
    promise::Promise,
    rounds::Spread,
    stage::{Person, Server, Stage},
};
use crate::{Failure, figures::Finding};

/// How many connections are open.
const CONNECTIONS: u32 = 1_000;
/// How long memory has to settle.
const SETTLE: Duration = Duration::from_millis(500);
/// How soon a server that is not ready is asked again, and for how long.
const INTERVAL: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);
const IDLE: Promise = Promise::most(16.0, "<= 16 MiB");
const CONNECTION: Promise = Promise::most(40.0, "<= 40 KiB each");
const START: Promise = Promise::most(50.0, "<= 50 ms");

/// The services.
#[derive(Debug, Clone, Copy)]
enum Service {
    Auth,
    Task,
}

pub(super) async fn measure(stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
    let person = stage.person().await?;
    let mut findings = Vec::new();
    for service in [Service::Auth, Service::Task] {
        findings.extend(service.measure(stage, &person, amounts).await?);
    }
    Ok(findings)
}

impl Service {
    async fn measure(
        self,
        stage: &Stage,
        person: &Person,
        amounts: &Amounts,
    ) -> Result<Vec<Finding>, Failure> {
        let name = match self {
            Self::Auth => "auth-service",
            Self::Task => "task-service",
        };
        let place = stage.databases.place(Engine::Sqlite, "footprint").await;
        let mut times = Vec::new();
        let mut server = self.start(stage, &place).await?;
        self.first_answer(&server, person).await?;
        for _ in 0..amounts.rounds {
            server.end().await?;
            let begun = Instant::now();
            server = self.start(stage, &place).await?;
            self.first_answer(&server, person).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let start = Spread::of(times.iter().copied());
        sleep(SETTLE).await;
        let idle = server.process.memory("VmRSS")?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut caller = self.caller(&server, person).await?;
            caller.call().await?;
            connections.push(caller);
        }
        sleep(SETTLE).await;
        let open = server.process.memory("VmRSS")?.saturating_sub(idle);
        drop(connections);
        let mib = f64::from(u32::try_from(idle)?) / 1024.0;
        let each = f64::from(u32::try_from(open)?) / f64::from(CONNECTIONS);
        let shown = format!("{start} ms");
        Ok(vec![
            START.finding(
                format!("{name}, start to first answer"),
                start.median,
                shown,
                json!(times),
            ),
            IDLE.finding(format!("{name}, idle"), mib, format!("{mib:.1} MiB"), json!(idle)),
            CONNECTION.finding(
                format!("{name}, an open connection"),
                each,
                format!("{each:.1} KiB, of {CONNECTIONS} with one call each"),
                json!(open),
            ),
        ])
    }

    async fn start(self, stage: &Stage, place: &e2e::Place) -> Result<Server, Failure> {
        match self {
            Self::Auth => stage.issuer(SERVER, place).await,
            Self::Task => stage.launch(SERVER, place, &[]).await,
        }
    }

    /// Somebody on a connection of their own, with the cheapest call.
    async fn caller(self, server: &Server, person: &Person) -> Result<Caller, Failure> {
        let connection = Connection::open(server.addr).await?;
        match self {
            Self::Auth => {
                let work = Same::new(&ListSigningKeysRequest {});
                connection.caller(LIST_SIGNING_KEYS, "", work)
            }
            Self::Task => {
                let work = Same::new(&ListTasksRequest { page_size: 1, ..Default::default() });
                connection.caller(LIST_TASKS, &person.token, work)
            }
        }
    }

    /// Asks until it answers with OK.
    async fn first_answer(self, server: &Server, person: &Person) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut caller = self.caller(server, person).await?;
        while let Err(failure) = caller.call().await {
            if begun.elapsed() > PATIENCE {
                return Err(failure);
            }
            sleep(INTERVAL).await;
        }
        Ok(())
    }
}
