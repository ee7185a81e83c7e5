//! The program: configuration, telemetry, listener, service.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared::{
    clock::Clock,
    server::{Listeners, ended_by_operator, healthcheck},
    telemetry,
};
use task_service::{config::Config, migrate, serve};

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
    /// Ask the server of this machine whether it is ready; the exit code says
    Healthcheck,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(faults) => return telemetry::fail(2, &faults),
    };
    let _telemetry = telemetry::start(config.log_format);
    let done = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => run(config).await,
        Command::Migrate => migrate(&config).await.map_err(Into::into),
        Command::Healthcheck => healthcheck(&config.server).await.map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => telemetry::fail(1, error.as_ref()),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = ended_by_operator()?;
    let listeners = Listeners::bind(env!("CARGO_PKG_NAME"), &config.server).await?;
    serve(listeners, config, Clock::system(), shutdown).await?;
    Ok(())
}
