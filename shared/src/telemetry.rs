//! What the service tells its operator.

use std::{error::Error, io::Write, process::ExitCode};

use tracing_subscriber::EnvFilter;

/// Writes events to the standard error, those of level `info` and above unless `RUST_LOG` says
/// otherwise. The first call in a process decides.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
    if started.is_err() {
        tracing::debug!("events are being written already");
    }
}

/// Says on the standard error why the program ends, and ends it with this code.
pub fn fail(code: u8, error: &dyn Error) -> ExitCode {
    // When the standard error is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(code)
}
