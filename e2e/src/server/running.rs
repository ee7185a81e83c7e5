//! A server while it runs.

use std::{fmt::Display, net::SocketAddr};

use shared::server::Listeners;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::PATIENCE;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    /// Where its metrics are.
    page: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Server {
    /// Runs what `serve` makes of its listeners and a shutdown.
    pub(super) async fn start<F, E>(
        serve: impl FnOnce(Listeners, oneshot::Receiver<()>) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let calls = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let metrics = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let [addr, page] = [&calls, &metrics].map(|it| it.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel();
        let serving = serve(Listeners { calls, metrics: Some(metrics) }, stopped);
        let ended = tokio::spawn(async move {
            if let Err(error) = serving.await {
                panic!("the server ended: {error}");
            }
        });
        Self { addr, page, stop, ended }
    }

    pub(super) async fn stop(self) {
        drop(self.stop);
        self.ended.await.expect("the server ends");
    }

    /// A number that it shows to Prometheus.
    pub(super) async fn metric(&self, name: &str) -> f64 {
        let mut socket = TcpStream::connect(self.page).await.expect("the metrics");
        let request = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";
        socket.write_all(request).await.expect("a request");
        let mut page = String::new();
        socket.read_to_string(&mut page).await.expect("an answer");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).expect("the metric is there")
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.addr)).expect("a URL")
    }

    /// A channel that connects when it is used.
    pub(super) fn channel(&self) -> Channel {
        self.endpoint().connect_lazy()
    }

    pub(super) async fn healthy(self) -> Self {
        healthy(self.channel()).await;
        self
    }
}

/// Whether the server at the other end says that it is ready.
pub(super) async fn is_ready(channel: Channel) -> bool {
    let request = HealthCheckRequest { service: String::new() };
    let answer = HealthClient::new(channel).check(request).await.expect("health");
    answer.into_inner().status() == ServingStatus::Serving
}

/// Waits until the server at the other end says that it is healthy.
pub(crate) async fn healthy(channel: Channel) {
    let watch = async {
        let mut client = HealthClient::new(channel);
        let request = HealthCheckRequest { service: String::new() };
        let mut states = client.watch(request).await.expect("health").into_inner();
        while let Some(state) = states.message().await.expect("a state") {
            if state.status() == ServingStatus::Serving {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, watch).await.expect("the server is healthy in time");
}
