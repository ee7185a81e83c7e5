//! What the service tells its operator.

use std::{error::Error, fmt, io::Write, process::ExitCode, str::FromStr, sync::OnceLock};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    filter::{LevelFilter, ParseError, Targets},
    fmt::layer,
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

use crate::{env::Env, metrics::Metrics};

/// How many lines may wait to be written. More are dropped rather than slow a call down.
const LINES: usize = 16_384;

/// How many lines have been dropped by this process.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl LogFormat {
    /// Reads `LOG_FORMAT`; without it, text.
    pub fn read(env: &mut Env) -> Self {
        let name = env.full_name("LOG_FORMAT");
        env.get(&name, Self::Text)
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be text or json"),
        }
    }
}

/// Writes what waits to be written when it is dropped.
#[must_use = "without it nothing is written"]
pub struct Telemetry {
    _writer: WorkerGuard,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// Writes events to the standard error, those of level `info` and above unless `RUST_LOG` says
/// otherwise, on a thread of its own. The first call in a process decides.
pub fn start(format: LogFormat) -> Telemetry {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .lossy(true)
        .finish(std::io::stderr());
    // The first call in a process decides, here as below.
    let _ = DROPPED.set(writer.error_counter());
    let (levels, malformed) = levels();
    let (registry, events) = (registry().with(levels), layer().with_writer(writer));
    let started = match format {
        LogFormat::Json => {
            registry.with(events.json().flatten_event(true).with_span_list(false)).try_init()
        }
        LogFormat::Text => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(events.with_ansi(is_terminal)).try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("events are being written already");
    }
    if let Some(fault) = malformed {
        tracing::warn!(%fault, "RUST_LOG is not understood, and goes for nothing");
    }
    Telemetry { _writer: guard }
}

/// Which events are written: a level for all, or for the targets that begin with a name, as in
/// `info,shared=debug`; and what is wrong with what `RUST_LOG` says.
fn levels() -> (Targets, Option<ParseError>) {
    #[expect(
        clippy::disallowed_methods,
        reason = "it is the process's own, whichever service it is"
    )]
    let given = std::env::var("RUST_LOG").ok().filter(|levels| !levels.is_empty());
    let usual = Targets::new().with_default(LevelFilter::INFO);
    let usual = usual.with_target("sqlx::postgres::notice", LevelFilter::WARN);
    match given.map(|levels| levels.parse()) {
        Some(Ok(levels)) => (levels, None),
        Some(Err(fault)) => (usual, Some(fault)),
        None => (usual, None),
    }
}

/// Shows how many lines have been dropped.
pub(crate) fn report(metrics: &mut Metrics) {
    metrics.count("log_lines_dropped", "Lines of the log that were dropped", || {
        let dropped = DROPPED.get().map_or(0, ErrorCounter::dropped_lines);
        u64::try_from(dropped).unwrap_or(u64::MAX)
    });
}

/// Says on the standard error why the program ends, and ends it with this code.
pub fn fail(code: u8, error: &dyn Error) -> ExitCode {
    // When the standard error is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(code)
}
