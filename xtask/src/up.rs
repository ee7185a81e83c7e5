//! `cargo up`: the pair as two processes, until one ends or the user has had enough.

use std::{env, net::SocketAddr, path::Path, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use shared::server::ended_by_operator;
use tokio::process::{Child, Command};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Failure, go_to_root, session::session};

/// How often a service that is starting is asked whether it is healthy.
const INTERVAL: Duration = Duration::from_millis(50);

pub(crate) async fn run() -> Result<(), Failure> {
    go_to_root()?;
    let auth = auth_service::config::Config::from_env()?.addr;
    let task = task_service::config::Config::from_env()?.addr;
    let ended = ended_by_operator()?;
    build().await?;

    let mut services = [start("auth-service")?, start("task-service")?];
    let done = tokio::select! {
        done = attend(&mut services, auth, task) => done,
        () = ended => Ok(()),
    };
    for service in &mut services {
        stop(service).await?;
    }
    done
}

/// Says when both are healthy, and ends when one of them does.
async fn attend(
    [auth, task]: &mut [Child; 2],
    auth_addr: SocketAddr,
    task_addr: SocketAddr,
) -> Result<(), Failure> {
    let healthy = async {
        healthy(auth_addr).await?;
        healthy(task_addr).await?;
        println!(
            "\nauth-service  {auth_addr}\ntask-service  {task_addr}\n\nPaste this into another \
             terminal (grpcurl: https://github.com/fullstorydev/grpcurl):\n\n{}\nCtrl-C stops both.",
            session(auth_addr, task_addr)
        );
        std::future::pending::<Result<(), Failure>>().await
    };
    tokio::select! {
        failed = healthy => failed,
        ended = auth.wait() => Err(format!("auth-service ended: {}", ended?).into()),
        ended = task.wait() => Err(format!("task-service ended: {}", ended?).into()),
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
