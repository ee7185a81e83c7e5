//! Connections: how many, how they begin, how long a silent one is borne.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Limits, Settings, answer::PART, call::Shell, drain::Drain, listen::affordable,
    patient::Patient, peer::Peer,
};
use crate::metrics::{Counter, Metrics};

/// How long the listener rests when the system gives it no more sockets.
const REST: Duration = Duration::from_millis(50);
/// How many connections of this machine there may be beyond the limit.
const OWN_PLACES: usize = 8;
/// How much of its requests one connection may have us hold beyond what its calls have read.
const WINDOW: u32 = 1024 * 1024;

/// Lets connections in and keeps them.
pub(super) struct Acceptor {
    shell: Arc<Shell>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    places: Arc<Semaphore>,
    own_places: Arc<Semaphore>,
    refused: Counter,
    drain: Drain,
}

impl Acceptor {
    pub(super) fn new(shell: Shell, settings: &Settings, metrics: &mut Metrics) -> Self {
        let limits = settings.limits.clone();
        let all = affordable(limits.connections);
        let places = Arc::new(Semaphore::new(all));
        let free = Arc::clone(&places);
        metrics.gauge("server_connections", "Open connections", move || {
            all - free.available_permits()
        });
        Self {
            drain: shell.drain().clone(),
            shell: Arc::new(shell),
            tls: settings.tls.as_ref().map(|identity| identity.acceptor()),
            limits,
            places,
            own_places: Arc::new(Semaphore::new(OWN_PLACES)),
            refused: metrics.counter(
                "server_connections_refused",
                "Connections closed at once, for there were too many",
            ),
        }
    }

    /// Accepts connections for as long as it is polled.
    pub(super) async fn accept(self: &Arc<Self>, listener: TcpListener) -> Infallible {
        let mut failing = false;
        loop {
            let (socket, addr) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Once is enough: it comes back with each try, for as long as there are too many.
                    if !failing {
                        tracing::warn!(%error, "connections can not be accepted");
                    }
                    failing = true;
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            failing = false;
            let Some(place) = self.place(addr) else {
                self.refused.inc();
                continue;
            };
            let acceptor = Arc::clone(self);
            self.drain.connections.spawn(async move {
                let _place = place;
                acceptor.connect(socket, addr).await;
            });
        }
    }

    /// A place for a connection. This machine has some of its own, so that the service can be asked
    /// whether it is healthy when others have taken the rest.
    fn place(&self, addr: SocketAddr) -> Option<OwnedSemaphorePermit> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let own = || take(&self.own_places).filter(|_| addr.ip().to_canonical().is_loopback());
        take(&self.places).or_else(own)
    }

    /// Ends every stream, waits for the calls under way and closes what is left.
    pub(super) async fn drain(&self, limit: Duration) {
        self.drain.run(limit).await;
    }

    async fn connect(&self, socket: TcpStream, addr: SocketAddr) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, %addr, "a connection is gone already");
            return;
        }
        let Some(tls) = &self.tls else { return self.serve(socket, addr).await };
        let handshake = timeout(self.limits.handshake_timeout, tls.accept(socket));
        match self.drain.begun.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => self.serve(stream, addr).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, %addr, "a TLS handshake failed"),
            Some(Err(_)) => tracing::debug!(%addr, "a TLS handshake took too long"),
            None => {}
        }
    }

    async fn serve(&self, io: impl AsyncRead + AsyncWrite + Unpin, addr: SocketAddr) {
        let patience = self.limits.call_timeout;
        let io = Patient::new(io, self.limits.handshake_timeout, patience);
        let peer = Arc::new(Peer::new(addr, self.limits.streams_per_connection));
        let service = service_fn(|request| {
            let (shell, peer) = (Arc::clone(&self.shell), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(shell.call(&peer, request).await) }
        });
        let mut connection = pin!(self.http2().serve_connection(TokioIo::new(io), service));
        let mut ticks = interval(patience.min(self.limits.idle_timeout) / 4);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ending = false;
        loop {
            tokio::select! {
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, %addr, "a connection failed");
                    }
                    return;
                }
                () = self.drain.begun.cancelled(), if !ending => {
                    connection.as_mut().graceful_shutdown();
                    ending = true;
                }
                () = self.drain.over.cancelled() => return,
                _ = ticks.tick() => {
                    if peer.is_stuck(patience) {
                        tracing::info!(%addr, "a peer that takes no answers is cut off");
                        return;
                    }
                    if !ending && peer.is_idle(self.limits.idle_timeout) {
                        connection.as_mut().graceful_shutdown();
                        ending = true;
                    }
                }
            }
        }
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let calls = self.limits.calls_per_connection;
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .max_concurrent_streams(calls)
            // A client may take back all that it has begun, before we have looked at any of it. One
            // that goes on with it is cut off.
            .max_pending_accept_reset_streams(usize::try_from(calls).ok())
            .max_header_list_size(self.limits.header_size)
            // A peer that does not take what it asks for has no more than this held for each call.
            .max_send_buf_size(PART)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .keep_alive_interval(self.limits.keepalive_interval)
            .keep_alive_timeout(self.limits.keepalive_timeout);
        http2
    }
}
