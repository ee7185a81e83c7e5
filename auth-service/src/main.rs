//! The program: configuration, telemetry, listener, service.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use auth_service::{config::Config, keys::Key, list_keys, migrate, rotate_keys, serve};
use clap::{Parser, Subcommand};
use prost_types::Timestamp;
use shared::{
    clock::Clock,
    server::{Listeners, ended_by_operator, healthcheck},
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
    /// Serve until SIGTERM or Ctrl-C (the default)
    Serve,
    /// Bring the schema of the database up to date
    Migrate,
    /// Ask the server of this machine whether it is ready; the exit code says
    Healthcheck,
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
        Command::Keys(Keys::List) => print_keys(&config).await,
        Command::Keys(Keys::Rotate) => rotate(&config).await,
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
