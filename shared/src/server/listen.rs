//! Where calls come in, and the signals that end it.

use std::{io, net::SocketAddr, thread::available_parallelism, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::TcpListener, runtime::Builder};

use super::{ServeError, Settings};

/// How many files a service has open beside its connections: the database's, and a few of its own.
const OTHER_FILES: usize = 320;
/// How long a program that has ended waits for what it can not cancel, such as a file system or a
/// name server that does not answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// The bound sockets of a server.
#[derive(Debug)]
pub struct Listeners {
    /// For calls.
    pub calls: TcpListener,
    /// For Prometheus.
    pub metrics: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(calls: TcpListener) -> Self {
        Self { calls, metrics: None }
    }
}

impl Listeners {
    /// Listens where the settings say, and says who does and where.
    ///
    /// # Errors
    /// When an address is taken, or is none of this machine.
    pub async fn bind(program: &str, settings: &Settings) -> Result<Self, ServeError> {
        raise_file_limit();
        let calls = listen(settings.addr).await?;
        let metrics = match settings.metrics_addr {
            Some(addr) => Some(listen(addr).await?),
            None => None,
        };
        // Port 0 has become a real one.
        let addr = calls.local_addr().unwrap_or(settings.addr);
        if let Some(metrics) = metrics.as_ref().and_then(|it| it.local_addr().ok()) {
            tracing::info!(addr = %metrics, "{program} shows its metrics");
        }
        if settings.tls.is_none() && !addr.ip().to_canonical().is_loopback() {
            tracing::warn!(%addr, "calls, passwords and tokens are not encrypted");
        }
        tracing::info!(%addr, "{program} is listening");
        Ok(Self { calls, metrics })
    }
}

/// Lets the process have as many files open as the system allows: each connection is one, and the
/// usual limit is from days of fewer.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files can not be raised");
    }
}

/// How many connections there may be at the most: the database needs files too, and writes must not
/// fail for want of them.
pub(super) fn affordable(connections: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    let most = files - OTHER_FILES.min(files / 2);
    if most < connections {
        tracing::warn!(files, most, "the system allows fewer open files than MAX_CONNECTIONS");
    }
    connections.min(most)
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(addr).await.map_err(|source| ServeError::Listen { addr, source })
}

/// Runs a program to its end, which nothing holds up that has been left hanging. With a core for itself it has
/// one thread for all calls: several would only wake each other.
///
/// # Errors
/// When the system gives no threads.
pub fn block_on<T>(program: impl Future<Output = T>) -> io::Result<T> {
    let is_alone = available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut runtime =
        if is_alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime = runtime.enable_all().build()?;
    let done = runtime.block_on(program);
    runtime.shutdown_timeout(FAREWELL);
    Ok(done)
}

/// Begins to listen to signals, and returns what resolves when the operator asks the process to
/// end: SIGTERM, Ctrl-C, or a terminal that is closed.
///
/// # Errors
/// When the process can not listen to signals.
pub fn ended_by_operator() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
