//! What operators do, as `auth-service` does it for them.

use auth_service::{StartError, commands::Command, config::Config};
use clap::Parser;
use shared::clock::Clock;

/// What services prove that they are who they are.
pub const SERVICE_SECRET: &str = "the secret of a service in tests and nowhere else";

/// A line that an operator types.
#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// Does what an operator types, on the database of the server that these settings are of.
///
/// # Errors
/// When it can not be done.
pub async fn operate(
    config: &Config,
    clock: &Clock,
    line: &str,
    input: &str,
) -> Result<String, StartError> {
    let words = ["auth-service"].into_iter().chain(line.split(' '));
    let command = Line::try_parse_from(words).expect("a command").command;
    auth_service::operate(config, clock, command, &mut input.as_bytes()).await
}

/// Registers a service that may watch, with the secret that all services of tests have.
pub async fn add_service(config: &Config, name: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, SERVICE_SECRET).expect("a secret");
    let line = format!("services add {name} --secret-file {}", file.display());
    operate(config, &Clock::system(), &line, "").await.expect("a new service, or the same");
}
