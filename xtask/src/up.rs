//! `cargo up`: the pair as two processes, until one ends or the user has had enough.

use std::{env, net::SocketAddr, path::Path, time::Duration};

use auth_service::config::Config as AuthConfig;
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use shared::{env::Faults, server::ended_by_operator};
use task_service::config::Config as TaskConfig;
use tokio::{
    process::{Child, Command},
    time::timeout,
};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    Failure,
    credential::register,
    go_to_root,
    session::{deletion, session},
};

/// How often the services are looked at.
const INTERVAL: Duration = Duration::from_millis(50);

pub(crate) async fn run() -> Result<(), Failure> {
    go_to_root()?;
    let (auth, task) = configs()?;
    if auth.expected.issuer != task.expected.issuer {
        return Err("AUTH_ISSUER and TASK_ISSUER must be the same".into());
    }
    if task.trust.issuer().url().port_u16() != Some(auth.server.addr.port()) {
        return Err(format!(
            "TASK_AUTH_URL must be http://{}, where AUTH_ADDR is",
            auth.server.addr
        )
        .into());
    }
    if auth.server.tls.is_some() || task.server.tls.is_some() {
        return Err("cargo up runs without TLS: unset AUTH_TLS_CERT and TASK_TLS_CERT".into());
    }
    if [&auth.server, &task.server].iter().any(|server| server.addr.port() == 0) {
        return Err(
            "cargo up needs ports that it can print: AUTH_ADDR and TASK_ADDR end in :0".into()
        );
    }
    let ended = ended_by_operator()?;
    println!("building");
    build().await?;

    let mut services = Vec::new();
    let done = tokio::select! {
        done = attend(&mut services, &auth, &task) => done,
        () = ended => Ok(()),
    };
    for (_, service) in &mut services {
        stop(service).await?;
    }
    done
}

/// What both services are told, or everything that is wrong with it.
fn configs() -> Result<(AuthConfig, TaskConfig), Faults> {
    match (AuthConfig::from_env(), TaskConfig::from_env()) {
        (Ok(auth), Ok(task)) => Ok((auth, task)),
        (auth, task) => {
            let faults = [auth.err(), task.err()].into_iter().flatten().flat_map(|it| it.0);
            Err(Faults(faults.collect()))
        }
    }
}

/// Starts both, says when they are healthy, and ends when one of them does.
async fn attend(
    services: &mut Vec<(&str, Child)>,
    auth: &AuthConfig,
    task: &TaskConfig,
) -> Result<(), Failure> {
    begin(services, "auth-service", auth.server.addr).await?;
    register(auth, task).await?;
    begin(services, "task-service", task.server.addr).await?;
    let (auth, task) = (auth.server.addr, task.server.addr);
    println!(
        "\nauth-service  {auth}\ntask-service  {task}\n\nPaste this into another terminal \
         (grpcurl: https://github.com/fullstorydev/grpcurl):\n\n{}\nThis deletes the account \
         again:\n\n{}\nCtrl-C stops both.",
        session(auth, task),
        deletion(auth, task)
    );
    Err(one_ended(services).await)
}

/// Starts one more service, and waits until it is healthy.
async fn begin(
    services: &mut Vec<(&str, Child)>,
    name: &'static str,
    addr: SocketAddr,
) -> Result<(), Failure> {
    services.push((name, start(name)?));
    tokio::select! {
        healthy = healthy(addr) => healthy?,
        failure = one_ended(services) => return Err(failure),
    }
    // Another server may have answered, at a port that was taken.
    match timeout(10 * INTERVAL, one_ended(services)).await {
        Ok(failure) => Err(failure),
        Err(_) => Ok(()),
    }
}

/// Waits until one of the services ends, which none should.
async fn one_ended(services: &mut [(&str, Child)]) -> Failure {
    loop {
        for (name, service) in services.iter_mut() {
            match service.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    return format!("{name} has ended ({status}), so the pair is stopped").into();
                }
                Err(error) => return error.into(),
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn build() -> Result<(), Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--package", "auth-service", "--package", "task-service"]);
    let done = cargo.status().await?;
    if done.success() { Ok(()) } else { Err("the services do not build".into()) }
}

/// Starts a program that was built beside this one.
fn start(name: &str) -> Result<Child, Failure> {
    let here = env::current_exe()?;
    let program = here.parent().unwrap_or(Path::new(".")).join(name);
    Ok(Command::new(program).kill_on_drop(true).spawn()?)
}

/// Asks a program to end, and waits until it has.
async fn stop(service: &mut Child) -> Result<(), Failure> {
    let id = service.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(id) = id {
        match kill_process(id, Signal::TERM) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    service.wait().await?;
    Ok(())
}

pub(crate) async fn healthy(addr: SocketAddr) -> Result<(), Failure> {
    let mut client =
        HealthClient::new(Endpoint::from_shared(format!("http://{addr}"))?.connect_lazy());
    loop {
        let request = HealthCheckRequest { service: String::new() };
        match client.check(request).await.map(|answer| answer.into_inner().status()) {
            Ok(ServingStatus::Serving) => return Ok(()),
            Ok(_) | Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}
