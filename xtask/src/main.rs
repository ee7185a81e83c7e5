//! The commands of this repository. `cargo up` starts the pair; `cargo demo` shows what it does;
//! `cargo xtask measure` says how well, and
//! `cargo xtask bench` how fast.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

mod up;
mod call;
mod credential;
mod session;
mod demo;
mod release;
mod scene;
mod people;
mod fill;
mod figures;
mod machine;
mod measure;
mod bench;

use std::{env, path::Path, process::ExitCode};

use clap::{Parser, Subcommand};
use measure::Measure;
use shared::env::Faults;

/// The commands of this repository
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and start the pair on SQLite under data/, until Ctrl-C
    Up,
    /// Show on a throw-away pair what it does, and check that it does
    Demo,
    /// Hold what is promised against the programs themselves
    #[command(subcommand)]
    Measure(Measure),
    /// Hold the speed of the services against servers that do less
    Bench(bench::Options),
}

/// Whatever a command can fail with: it is only ever shown.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Up => up::run().await,
        Command::Demo => demo::run().await,
        Command::Measure(what) => measure::run(what).await,
        Command::Bench(options) => bench::run(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            // A configuration that can not be used has a code of its own, as with the services.
            if failure.is::<Faults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Goes to the root of the repository, where `.env` and `data/` are.
fn go_to_root() -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("there is no repository")?;
    Ok(env::set_current_dir(root)?)
}
