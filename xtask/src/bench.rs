//! `cargo xtask bench`: how fast the services are, as shares of what servers can do that do less.
//!
//! A figure in calls per second says more of the machine than of the service. So each is taken together
//! with its floor, in turns, and what is promised is the ratio. The server has a core of its own, and whoever
//! calls has another ([`cores`]).

mod cores;
mod load;
mod stage;
mod rounds;
mod calls;
mod promise;
mod raw;
mod get;
mod write;
mod list;
mod watch;
mod login;
mod footprint;
mod scale;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use e2e::Engine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime::Builder,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use crate::{
    Failure,
    figures::{Finding, Report},
    go_to_root,
    machine::Machine,
    measure::NO_POSTGRES,
    release,
    scene::Databases,
};
use stage::Stage;

/// How it is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// Less of everything: shows that it runs, the figures mean less
    #[arg(long, conflicts_with = "save")]
    quick: bool,
    /// Keep the figures under bench/results
    #[arg(long)]
    save: bool,
    /// Measure this alone; may be given again
    #[arg(long)]
    only: Vec<Group>,
    /// Measure the programs in this directory, and build nothing
    #[arg(long, hide = true)]
    programs: Option<PathBuf>,
    #[arg(long, hide = true)]
    released: bool,
}

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// One task read by its id
    Get,
    /// Tasks made and changed
    Write,
    /// Pages of a list
    List,
    /// Many who watch
    Watch,
    /// Logins
    Login,
    /// Memory, and the time of a start
    Footprint,
    /// A hundred times as many tasks
    Scale,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Amounts {
    /// How often each variant has its turn, and how long that is.
    rounds: usize,
    turn: Duration,
    /// For how long tasks are made without a break.
    sustained: Duration,
    /// How many tasks come before what is far down in a list.
    depth: usize,
    /// How many tasks there are where there are many.
    tasks: usize,
    /// How long everything may take.
    limit: Duration,
}

const FULL: Amounts = Amounts {
    rounds: 5,
    turn: Duration::from_secs(1),
    sustained: Duration::from_secs(12),
    depth: 50_000,
    tasks: 1_000_000,
    limit: Duration::from_mins(10),
};
const QUICK: Amounts = Amounts {
    rounds: 2,
    turn: Duration::from_millis(300),
    sustained: Duration::from_secs(2),
    depth: 10_000,
    tasks: 50_000,
    limit: Duration::from_mins(2),
};

pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    if options.programs.is_none() && !options.released {
        let mut arguments = vec!["bench".to_owned(), "--released".to_owned()];
        let flags = [("--quick", options.quick), ("--save", options.save)];
        let flags = flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag));
        arguments.extend(flags.map(str::to_owned));
        let only = options.only.iter().filter_map(Group::to_possible_value);
        arguments.extend(only.map(|group| format!("--only={}", group.get_name())));
        return release::run(arguments.iter().map(String::as_str));
    }
    // Everything that is not measured is on one thread, which stays on its core.
    spawn_blocking(move || {
        cores::pin_to(cores::LOAD).map_err(|_| "two cores are needed")?;
        raise_file_limit()?;
        Builder::new_current_thread().enable_all().build()?.block_on(measure(options))
    })
    .await?
}

async fn measure(options: Options) -> Result<(), Failure> {
    go_to_root()?;
    let amounts = if options.quick { QUICK } else { FULL };
    if options.quick {
        println!("a quick run: it shows that everything works, its figures mean less");
    }
    let deadline = Instant::now() + amounts.limit;
    let setting = async {
        let databases = Databases::start(options.programs).await?;
        let machine = Machine::look(&databases).await?;
        Ok::<_, Failure>((Stage::set(databases).await?, machine))
    };
    let (stage, machine) = timeout_at(deadline, setting).await??;
    println!("{machine}\n\n{}", Report::default());
    let mut report = Report::default();
    if !stage.databases.has(Engine::Postgres) {
        report.add("PostgreSQL", Err(NO_POSTGRES.into()));
    }
    for group in Group::value_variants() {
        if options.only.is_empty() || options.only.contains(group) {
            let began = Instant::now();
            let measured = timeout_at(deadline, group.measure(&stage, &amounts)).await;
            let measured = measured.unwrap_or_else(|_| Err("it takes too long".into()));
            let name = format!("{group:?}").to_lowercase();
            report.add(&name, measured);
            println!("{name} took {:.0} s\n", began.elapsed().as_secs_f64());
        }
    }
    if options.save {
        println!("saved in {}", report.save("bench", &machine)?);
    }
    if report.is_held() { Ok(()) } else { Err("not every promise is held".into()) }
}

/// Lets this process have as many connections open as the system allows.
fn raise_file_limit() -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

impl Group {
    async fn measure(self, stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
        match self {
            Self::Get => get::measure(stage, amounts).await,
            Self::Write => write::measure(stage, amounts).await,
            Self::List => list::measure(stage, amounts).await,
            Self::Watch => watch::measure(stage, amounts).await,
            Self::Login => login::measure(stage, amounts).await,
            Self::Footprint => footprint::measure(stage, amounts).await,
            Self::Scale => scale::measure(stage, amounts).await,
        }
    }
}
