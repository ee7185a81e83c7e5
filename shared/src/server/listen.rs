//! Where calls come in, and the signals that end it.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{ServeError, Settings};

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
        raise_file_limit(settings.limits.connections);
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
        if settings.tls.is_none() && !addr.ip().is_loopback() {
            tracing::warn!(%addr, "calls and tokens are not encrypted, as ALLOW_PLAINTEXT allows");
        }
        tracing::info!(%addr, "{program} is listening");
        Ok(Self { calls, metrics })
    }
}

/// Lets the process have as many files open as the system allows: each connection is one, and the
/// usual limit is from days of fewer.
fn raise_file_limit(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files can not be raised");
    }
    let most = maximum.and_then(|maximum| usize::try_from(maximum).ok()).unwrap_or(usize::MAX);
    if most < connections {
        tracing::warn!(most, connections, "the system allows fewer open files than connections");
    }
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(addr).await.map_err(|source| ServeError::Listen { addr, source })
}

/// Begins to listen to signals, and returns what resolves when the operator asks the process to
/// end: SIGTERM, or Ctrl-C.
///
/// # Errors
/// When the process can not listen to signals.
pub fn ended_by_operator() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
