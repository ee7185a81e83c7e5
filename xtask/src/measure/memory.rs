//! What a check costs, and how much memory it takes, while a million revocations are known.

use std::{
    env, fs,
    hint::black_box,
    process::Stdio,
    time::{Duration, Instant},
};

use e2e::Engine;
use serde_json::{Value, json};
use shared::{
    clock::Clock,
    pb::auth::{ListSigningKeysRequest, auth_service_client::AuthServiceClient},
    trust::{Expected, Head, News, PublicKey, Revocation, Verifier},
};
use tokio::process::Command;
use tonic::transport::Endpoint;
use uuid::Uuid;

use crate::{
    Failure,
    figures::Finding,
    people::{log_in, register},
    scene::Databases,
};

/// How many revocations are known, and how many come in one message.
const REVOCATIONS: usize = 1_000_000;
const PAGE: usize = 4_096;
/// How often the cost is looked at, and how many checks that takes.
const LOOKS: usize = 2_001;
const CHECKS: u32 = 500;
/// How much memory they may take, and how long a check.
const MEMORY: u64 = 64 * 1024;
const NANOS: u64 = 1_000;

/// Has a process of its own measure it, so that nothing else is in the figure.
pub(super) async fn measure(databases: &Databases) -> Result<Vec<Finding>, Failure> {
    let scene = databases.scene(Engine::Sqlite, &[]).await?;
    let auth = scene.auths.first().ok_or("there is no auth-service")?;
    let mut child = Command::new(env::current_exe()?);
    child.args(["measure", "trust", "--stage", "memory", "--auth", &auth.addr.to_string()]);
    child.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = child.output().await?;
    if !output.status.success() {
        return Err("the process that measures memory has failed".into());
    }
    scene.end().await?;
    let raw: Value = serde_json::from_slice(&output.stdout)?;
    let figure = |name: &str| raw.get(name).and_then(Value::as_u64).ok_or("a figure is missing");
    let (kib, nanos, without) = (figure("kib")?, figure("ns")?, figure("ns_without")?);
    Ok(vec![
        Finding {
            name: format!("one check, {REVOCATIONS} revocations"),
            measured: format!("{nanos} ns (median); with none: {without} ns"),
            promise: "< 1000 ns",
            held: nanos < NANOS,
            raw: raw.clone(),
        },
        Finding {
            name: format!("memory, {REVOCATIONS} revocations"),
            measured: format!("{} MiB", kib.div_ceil(1024)),
            promise: "<= 64 MiB",
            held: kib <= MEMORY,
            raw: Value::Null,
        },
    ])
}

/// The process of its own: it verifies a token of this auth-service.
pub(super) async fn child(auth: &str) -> Result<(), Failure> {
    let channel = Endpoint::from_shared(format!("http://{auth}"))?.connect_lazy();
    register(&channel, "ann").await?;
    let token = log_in(&channel, "ann").await?.access_token;
    let keys = AuthServiceClient::new(channel).list_signing_keys(ListSigningKeysRequest {}).await?;
    let keys: Result<Vec<_>, _> =
        keys.into_inner().signing_keys.iter().map(PublicKey::try_from).collect();
    let verifier = verifier();
    let head = Some(Head { epoch: Uuid::new_v4(), sequence: 0 });
    verifier.learn(&News { head, keys: Some(keys?), ..News::default() });

    let without = cost(&verifier, &token)?;
    let before = resident()?;
    teach(&verifier);
    let after = resident()?;
    if verifier.revocations() != REVOCATIONS {
        return Err(format!("{} revocations are known", verifier.revocations()).into());
    }
    let with = cost(&verifier, &token)?;
    let kib = after.saturating_sub(before);
    println!("{}", json!({ "kib": kib, "ns": with, "ns_without": without, "kib_before": before }));
    Ok(())
}

fn verifier() -> Verifier {
    let expected = Expected {
        issuer: "taskmanager".to_owned(),
        audience: "task-service".to_owned(),
        max_staleness: Duration::from_mins(16),
    };
    Verifier::new(expected, Clock::system())
}

/// Tells it of the revocations, as a snapshot brings them.
fn teach(verifier: &Verifier) {
    let expire_time = Clock::system().now().plus(Duration::from_mins(15));
    for begin in (0..REVOCATIONS).step_by(PAGE) {
        let page = begin..REVOCATIONS.min(begin + PAGE);
        let revocations = page.map(|_| Revocation { id: Uuid::new_v4(), expire_time }).collect();
        verifier.learn(&News { is_snapshot: true, revocations, ..News::default() });
    }
}

/// How many nanoseconds a check of a token takes that was seen before: the median of many looks.
fn cost(verifier: &Verifier, token: &str) -> Result<u64, Failure> {
    let mut looks = Vec::with_capacity(LOOKS);
    for _ in 0..LOOKS {
        let begun = Instant::now();
        for _ in 0..CHECKS {
            let checked = verifier.verify(black_box(token));
            black_box(checked.map_err(|rejection| rejection.to_string())?);
        }
        looks.push(begun.elapsed() / CHECKS);
    }
    looks.sort_unstable();
    let median = looks.get(LOOKS / 2).copied().unwrap_or_default();
    Ok(u64::try_from(median.as_nanos())?)
}

/// How much memory this process has, in KiB.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("/proc does not tell how much memory there is")?.parse()?)
}
