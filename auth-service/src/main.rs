//! The program: configuration, telemetry, listener, service.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use auth_service::{
    config::{self, Config},
    keys::Key,
    list_keys, migrate, rotate_keys, serve,
};
use clap::{Parser, Subcommand};
use prost_types::Timestamp;
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
    /// Look at the signing keys, or make the next one
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Subcommand)]
enum Keys {
    /// Print each key: its id, its state, when it begins to sign
    List,
    /// Make the next key, which signs after `AUTH_KEY_PUBLISH_DELAY`
    Rotate,
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
        Configured::Keys(Keys::List) => print_keys(&config).await,
        Configured::Keys(Keys::Rotate) => rotate(&config).await,
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

async fn print_keys(config: &Config) -> Result<(), Box<dyn Error>> {
    for (state, key) in list_keys(config, &Clock::system()).await? {
        writeln!(io::stdout(), "{} {state:8} {}", key.public.kid(), signs_from(&key))?;
    }
    Ok(())
}

async fn rotate(config: &Config) -> Result<(), Box<dyn Error>> {
    let key = rotate_keys(config, &Clock::system()).await?;
    writeln!(io::stdout(), "{} signs from {}", key.public.kid(), signs_from(&key))?;
    Ok(())
}

fn signs_from(key: &Key) -> Timestamp {
    key.activate_time.into()
}
