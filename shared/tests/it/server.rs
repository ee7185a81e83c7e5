//! The server shell, each of its limits reached: a small service whose handlers do what the request
//! asks for, served on port 0, and peers that behave well or badly.

mod service;
mod client;
mod raw;

mod connections;
mod handshake;
mod admission;
mod requests;
mod headers;
mod resets;
mod deadline;
mod untaken;
mod panics;
mod call_id;
mod drain;

use std::{net::SocketAddr, time::Duration};

use shared::{
    env::Env,
    metrics::Metrics,
    server::{Listeners, Service, Settings, serve},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::interval,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::support::soon;
use client::Client;
use service::{NAME, Obedient};

/// A server, running.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    /// What its handlers are at.
    pub(crate) service: Obedient,
    /// Whether it says that it is ready.
    pub(crate) ready: watch::Sender<bool>,
    metrics: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Served {
    /// A server with these settings, without their prefix.
    pub(crate) async fn with<const N: usize>(settings: [(&str, &str); N]) -> Self {
        let settings = settings.map(|(name, value)| (format!("T_{name}"), value));
        let mut env = Env::of("T_", settings.iter().map(|(name, value)| (name.as_str(), *value)));
        let settings = Settings::read(&mut env, ([127, 0, 0, 1], 0).into());
        let settings = env.finish(settings).unwrap();
        let calls = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metrics = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, scrapes) = (calls.local_addr().unwrap(), metrics.local_addr().unwrap());
        let listeners = Listeners { calls, metrics: Some(metrics) };
        let service = Obedient::default();
        let mut routes = Routes::builder();
        routes.add_service(service.clone().server(settings.limits.request_size));
        let own = Service { routes, names: vec![NAME], metrics: Metrics::default() };
        let (ready, readiness) = watch::channel(true);
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let ended = tokio::spawn(async move {
            serve(listeners, &settings, own, readiness, stopped).await.unwrap();
        });
        Self { addr, service, ready, metrics: scrapes, stop, ended }
    }

    /// A well-behaved client.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.addr).await
    }

    /// Asks the server to end.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when the server has ended.
    pub(crate) async fn ended(self) {
        soon(self.ended).await.unwrap();
    }

    /// A metric that has no labels, or all of them as they are written.
    pub(crate) async fn metric(&self, name: &str) -> i64 {
        let mut socket = TcpStream::connect(self.metrics).await.unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
        let mut page = String::new();
        socket.read_to_string(&mut page).await.unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("{name} is not in {page}"));
        // Every one of them is whole, and some are written with a fraction all the same.
        value.trim_end_matches(".0").parse().unwrap()
    }

    /// Waits until a metric has this value.
    pub(crate) async fn until(&self, name: &str, value: i64) {
        soon(async {
            let mut looks = interval(Duration::from_millis(5));
            loop {
                looks.tick().await;
                if self.metric(name).await == value {
                    return;
                }
            }
        })
        .await;
    }
}
