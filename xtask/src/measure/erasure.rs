//! Whether others have to wait while everything goes that a deleted user had.
//!
//! They read, list and create tasks at a rate that does not depend on how they are served, and a call's
//! time runs from the moment when it was due. First nothing happens beside that; then a user is deleted
//! who has nearly all tasks of the database, until the erasure is complete; then nothing happens again. It
//! is compared with whichever is quicker of before and after: a database that was filled just before is
//! still busy.
//! The tasks are written into the database before the service starts, which finds it as if they had been
//! there for long.

mod others;

use std::time::{Duration, Instant};

use e2e::{Engine, Place};
use serde_json::{Value, json};
use shared::pb::auth::{
    DeleteCurrentUserRequest, Erasure, ErasureState, GetErasureRequest,
    auth_service_client::AuthServiceClient, user_service_client::UserServiceClient,
};
use tokio::time::sleep;
use tonic::transport::Channel;
use uuid::Uuid;

use super::Amounts;
use crate::{
    Failure,
    call::{PASSWORD, told, with},
    figures::{Finding, Times, micros},
    fill::{PROJECTS, fill},
    people::{log_in, register},
    scene::{Databases, Scene, name},
};
use others::{Call, Kind, Other, Work};

/// How many others there are.
const OTHERS: usize = 20;
/// For how long calls are made before they count.
const WARM_UP: Duration = Duration::from_secs(5);
/// How often it is asked whether the erasure is complete, and for how long.
const INTERVAL: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_mins(45);
/// How many times as long as otherwise the slowest calls of others may take meanwhile.
const MOST: f64 = 3.0;

/// What is compared.
const COMPARED: [(&str, &[Kind]); 4] = [
    ("GetTask", &[Kind::GetTask]),
    ("ListTasks", &[Kind::ListTasks]),
    ("CreateTask", &[Kind::CreateTask]),
    ("all calls", &[Kind::GetTask, Kind::ListTasks, Kind::CreateTask]),
];

/// When each phase began, and the last one ended.
struct Phases {
    before: Instant,
    erasure: Instant,
    after: Instant,
    end: Instant,
}

pub(super) async fn measure(
    databases: &Databases,
    engine: Engine,
    Amounts { tasks, idle, .. }: Amounts,
) -> Result<Vec<Finding>, Failure> {
    let life = [("AUTH_ACCESS_TOKEN_TTL", "2h".to_owned())];
    let mut scene = databases.issuers(engine, 1, &life).await?;
    let auth = scene.issuers().pop().ok_or("there is no auth-service")?;
    let (gone, token) = person(&auth, "gone").await?;
    let place = databases.place(engine, "task").await;
    let others = populate(&mut scene, &place, gone, tasks).await?;
    let idle = Duration::from_secs(idle);

    let work = Work::begin(others);
    sleep(WARM_UP).await;
    let before = Instant::now();
    sleep(idle).await;
    let begun = Instant::now();
    let erasure = erase(&auth, &token).await;
    let after = Instant::now();
    sleep(idle).await;
    let phases = Phases { before, erasure: begun, after, end: Instant::now() };
    let calls = work.end().await?;
    scene.end().await?;
    let mut findings = vec![erased(engine, tasks, &phases, &erasure?), failed(engine, &calls)];
    for (what, kinds) in COMPARED {
        findings.extend(compared(engine, what, kinds, &phases, &calls));
    }
    Ok(findings)
}

/// Somebody new: the id, and an access token.
async fn person(auth: &Channel, name: &str) -> Result<(Uuid, String), Failure> {
    let id = register(auth, name).await.map_err(|status| told(&status))?;
    let tokens = log_in(auth, name).await.map_err(|status| told(&status))?;
    Ok((id.parse()?, tokens.access_token))
}

/// Starts task-service on a database where the user has so many tasks; the answer is the others.
async fn populate(
    scene: &mut Scene,
    place: &Place,
    gone: Uuid,
    tasks: usize,
) -> Result<Vec<Other>, Failure> {
    let auth = scene.issuers().pop().ok_or("there is no auth-service")?;
    let (mut ids, mut tokens) = (Vec::new(), Vec::new());
    for number in 0..OTHERS {
        let (id, token) = person(&auth, &format!("person-{number}")).await?;
        ids.push(id);
        tokens.push(token);
    }
    println!("writing {tasks} tasks into {}", name(place.engine));
    let tasks = fill(place, gone, tasks, &ids).await?;
    scene.verify(0, &[("TASK_DATABASE_URL", place.url.clone())]).await?;
    let task = scene.verifiers.first().ok_or("there is no task-service")?;
    let others = tokens.into_iter().zip(tasks.into_iter().skip(1));
    let others = others.map(|(token, tasks)| Other {
        channel: task.running.channel(),
        token,
        tasks: tasks.into(),
    });
    Ok(others.collect())
}

/// Deletes a user, and waits until that is complete everywhere, or has taken too long.
async fn erase(auth: &Channel, token: &str) -> Result<Erasure, Failure> {
    let (mut users, begun) = (UserServiceClient::new(auth.clone()), Instant::now());
    let current_password = PASSWORD.to_owned();
    let delete = DeleteCurrentUserRequest { current_password, ..Default::default() };
    let deleted = users.delete_current_user(with(token, delete)).await;
    let deleted = deleted.map_err(|status| told(&status))?.into_inner().erasure;
    let id = deleted.unwrap_or_default().id;
    let mut auth = AuthServiceClient::new(auth.clone());
    loop {
        let answer = auth.get_erasure(GetErasureRequest { id: id.clone() }).await;
        let erasure = answer.map_err(|status| told(&status))?.into_inner().erasure;
        let erasure = erasure.unwrap_or_default();
        if erasure.state() == ErasureState::Complete || begun.elapsed() > PATIENCE {
            return Ok(erasure);
        }
        sleep(INTERVAL).await;
    }
}

/// Whether everything is gone.
fn erased(engine: Engine, tasks: usize, phases: &Phases, erasure: &Erasure) -> Finding {
    let counts = erasure.confirmations.iter().flat_map(|part| &part.deleted_counts);
    let count = |kind| counts.clone().find(|(it, _)| *it == kind).map_or(0, |(_, count)| *count);
    let counts = ["tasks", "projects"].map(count);
    let [gone, projects] = counts;
    let took = phases.after - phases.erasure;
    let state = match erasure.state() {
        ErasureState::Complete => "complete",
        ErasureState::Pending | ErasureState::Unspecified => "not complete",
    };
    let all = [tasks, PROJECTS].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    Finding {
        name: format!("erasure, {}", name(engine)),
        measured: format!(
            "{state} after {:.1} s: {gone} tasks, {projects} projects",
            took.as_secs_f64()
        ),
        promise: "complete",
        held: erasure.state() == ErasureState::Complete && counts == all,
        raw: json!({ "us": micros(took), "tasks": gone, "projects": projects }),
    }
}

/// Whether every call was answered.
fn failed(engine: Engine, calls: &[Call]) -> Finding {
    let failed: Vec<_> = calls.iter().filter_map(|call| call.answer.as_ref().err()).collect();
    let first = failed.first().map(|status| format!(", the first: {}", told(status)));
    Finding {
        name: format!("erasure, {}, calls of others", name(engine)),
        measured: format!("{}, {} failed{}", calls.len(), failed.len(), first.unwrap_or_default()),
        promise: "0 failed",
        held: failed.is_empty() && !calls.is_empty(),
        raw: json!({ "calls": calls.len(), "failed": failed.len() }),
    }
}

/// How long these calls took in each phase, and whether they were held up.
fn compared(
    engine: Engine,
    what: &str,
    kinds: &[Kind],
    phases: &Phases,
    calls: &[Call],
) -> Vec<Finding> {
    let Phases { before, erasure, after, end } = *phases;
    let phases =
        [("before", before, erasure), ("meanwhile", erasure, after), ("after", after, end)];
    let mut findings = Vec::new();
    let [before, meanwhile, after] = phases.map(|(phase, from, until)| {
        let calls = calls.iter().filter(|it| kinds.contains(&it.kind));
        let calls = calls.filter(|it| (from..until).contains(&it.due));
        let times = Times::new(calls.map(|it| it.took));
        findings.push(Finding {
            name: format!("{what}, {}, {phase}", name(engine)),
            measured: times.to_string(),
            promise: "",
            held: true,
            raw: times.summary(),
        });
        times.percentile(99)
    });
    let ratio = meanwhile.as_secs_f64() / before.min(after).as_secs_f64();
    findings.push(Finding {
        name: format!("{what}, {}, p99", name(engine)),
        measured: format!("{ratio:.2} times as long as otherwise"),
        promise: "<= 3 times",
        held: ratio <= MOST,
        raw: Value::Null,
    });
    findings
}
