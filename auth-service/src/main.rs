//! The program: configuration, telemetry, listener, service.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use auth_service::{
    commands,
    config::{self, Config},
    migrate, operate, serve,
    terminal::Silence,
};
use clap::{Parser, Subcommand};
use shared::{
    clock::Clock,
    server::{Listeners, block_on, ended_by_operator},
    telemetry,
};

/// Registers users, logs them in, issues and validates access tokens.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Ask the server of this machine whether it is ready; the exit code says
    Healthcheck,
    #[command(flatten)]
    Configured(Configured),
}

/// What needs the whole configuration.
#[derive(Subcommand)]
enum Configured {
    /// Serve until SIGTERM or Ctrl-C (the default)
    Serve,
    /// Bring the schema of the database up to date
    Migrate,
    #[command(flatten)]
    Operate(commands::Command),
}

fn main() -> ExitCode {
    block_on(program(Arguments::parse())).unwrap_or_else(|error| telemetry::fail(1, &error))
}

async fn program(arguments: Arguments) -> ExitCode {
    match arguments.command.unwrap_or(Command::Configured(Configured::Serve)) {
        Command::Configured(command) => perform(command).await,
        Command::Healthcheck => match config::probe().ask().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(unhealthy) => telemetry::fail(1, &unhealthy),
        },
    }
}

async fn perform(command: Configured) -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(faults) => return telemetry::fail(2, &faults),
    };
    let _telemetry = telemetry::start(config.log_format);
    let done = match command {
        Configured::Serve => run(config).await,
        Configured::Migrate => migrate(&config).await.map_err(Into::into),
        Configured::Operate(command) => perform_for_operator(&config, command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => telemetry::fail(1, error.as_ref()),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let shutdown = ended_by_operator()?;
    let listeners = Listeners::bind(env!("CARGO_PKG_NAME"), &config.server).await?;
    serve(listeners, config, Clock::system(), shutdown).await?;
    Ok(())
}

async fn perform_for_operator(
    config: &Config,
    command: commands::Command,
) -> Result<(), Box<dyn Error>> {
    let silence = command.secret_prompt().map(Silence::ask).transpose()?;
    let mut input = io::BufReader::new(io::stdin());
    let done = operate(config, &Clock::system(), command, &mut input).await?;
    drop(silence);
    Ok(io::stdout().write_all(done.as_bytes())?)
}
