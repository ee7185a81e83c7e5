//! The program: configuration, telemetry, listener, service.

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use shared::{clock::Clock, server::ended_by_operator, telemetry};
use task_service::{config::Config, migrate, serve};
use tokio::net::TcpListener;

/// Keeps users' projects and tasks, each user's own.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C (the default)
    Serve,
    /// Bring the schema of the database up to date
    Migrate,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(faults) => return fail(2, &faults),
    };
    telemetry::start();
    let done = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => run(config).await,
        Command::Migrate => migrate(&config).await.map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error.as_ref()),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = ended_by_operator()?;
    let listener = TcpListener::bind(config.addr).await?;
    tracing::info!(addr = %listener.local_addr()?, "task-service listens");
    serve(listener, config, Clock::system(), shutdown).await?;
    Ok(())
}

/// Says on the standard error why the program ends.
fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    // When the standard error is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(code)
}
