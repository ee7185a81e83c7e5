//! `cargo xtask measure`: what is promised, held against the programs themselves.
//!
//! Everything runs as its own process on loopback, in directories that are thrown away: release builds
//! of both services, and a PostgreSQL server where its programs are found. The access log is off.

mod watch;
mod revocation;
mod operators;
mod rotation;
mod outage;
mod memory;
mod erasure;

use clap::{Args, Subcommand, ValueEnum};
use e2e::Engine;

use crate::{
    Failure, figures::Report, go_to_root, machine::Machine, release, scene, scene::Databases,
};

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum Measure {
    /// How soon a revocation is enforced, whether new keys and a dead auth-service disturb anybody,
    /// and what a check costs
    Trust(Options),
    /// Whether others have to wait while everything goes that a deleted user had
    Erasure(Options),
}

/// How it is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// Less of everything: shows that it runs, the figures mean little
    #[arg(long, conflicts_with = "save")]
    quick: bool,
    /// Keep the figures under bench/results
    #[arg(long)]
    save: bool,
    #[arg(long, hide = true)]
    stage: Option<Stage>,
    /// Where the memory stage finds auth-service.
    #[arg(long, hide = true, default_value = "")]
    auth: String,
}

/// What this process is for, when it is not what the user has started.
#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    /// The release build, which measures.
    Released,
    /// The one whose memory is measured.
    Memory,
}

/// Why something is not measured.
pub(crate) const NO_POSTGRES: &str = "no programs of it are found here";

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Amounts {
    /// How many people have sessions that end; each has five of them.
    people: usize,
    /// How many people are disabled.
    disabled: usize,
    /// For how many seconds keys are rotated.
    rotation: u64,
    /// How many seconds a token lives while auth-service is dead.
    outage: u64,
    /// How many tasks a user has who is deleted.
    tasks: usize,
    /// For how many seconds nothing happens beside the calls, before and after that.
    idle: u64,
}

const FULL: Amounts =
    Amounts { people: 200, disabled: 25, rotation: 60, outage: 30, tasks: 1_000_000, idle: 45 };
const QUICK: Amounts =
    Amounts { people: 8, disabled: 3, rotation: 10, outage: 10, tasks: 10_000, idle: 5 };

pub(crate) async fn run(what: Measure) -> Result<(), Failure> {
    let (name, options) = match &what {
        Measure::Trust(options) => ("trust", options),
        Measure::Erasure(options) => ("erasure", options),
    };
    match options.stage {
        Some(Stage::Memory) => return memory::child(&options.auth).await,
        Some(Stage::Released) => {}
        None => {
            let flags = [("--quick", options.quick), ("--save", options.save)];
            let flags = flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag));
            return release::run(["measure", name, "--stage", "released"].into_iter().chain(flags));
        }
    }
    go_to_root()?;
    let amounts = if options.quick { QUICK } else { FULL };
    if options.quick {
        println!("a quick run: it shows that everything works, its figures mean little");
    }
    let databases = Databases::start(None).await?;
    let machine = Machine::look(&databases).await?;
    println!("{machine}\n");
    let report = match what {
        Measure::Trust(_) => trust(&databases, amounts).await,
        Measure::Erasure(_) => erasures(&databases, amounts).await,
    };
    println!("\n{report}");
    if options.save {
        println!("saved in {}", report.save(name, &machine)?);
    }
    if report.is_held() { Ok(()) } else { Err("not every promise is held".into()) }
}

async fn trust(databases: &Databases, amounts: Amounts) -> Report {
    let mut report = Report::default();
    if databases.has(Engine::Postgres) {
        let rows = revocation::measure(databases, Engine::Postgres, amounts.people).await;
        report.add("revocation, PostgreSQL", rows);
        let rows = rotation::measure(databases, amounts.rotation).await;
        report.add("rotation, PostgreSQL", rows);
    } else {
        report.add("PostgreSQL", Err(NO_POSTGRES.into()));
    }
    let rows = revocation::measure(databases, Engine::Sqlite, amounts.people).await;
    report.add("revocation, SQLite", rows);
    report.add("operator, SQLite", operators::measure(databases, amounts.disabled).await);
    report.add("auth-service dead", outage::measure(databases, amounts.outage).await);
    report.add("one check", memory::measure(databases).await);
    report
}

async fn erasures(databases: &Databases, amounts: Amounts) -> Report {
    let mut report = Report::default();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let rows = if databases.has(engine) {
            erasure::measure(databases, engine, amounts).await
        } else {
            Err(NO_POSTGRES.into())
        };
        report.add(&format!("erasure, {}", scene::name(engine)), rows);
    }
    report
}
