//! The two services, each on a port of its own and with a database of its own.

use std::{collections::BTreeMap, fmt::Display, net::SocketAddr, sync::Arc, time::Duration};

use shared::{
    clock::{Clock, Time},
    env::Env,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Identity, Person};

/// When every test begins.
const START: i64 = 1_800_000_000;
/// How long a server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
struct Server {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// auth-service, running.
#[derive(Debug)]
pub struct AuthServer {
    /// The time that it sees.
    pub clock: Clock,
    settings: BTreeMap<&'static str, String>,
    directory: Arc<TempDir>,
    server: Server,
}

/// task-service, running.
#[derive(Debug)]
pub struct TaskServer {
    settings: BTreeMap<&'static str, String>,
    clock: Clock,
    directory: Arc<TempDir>,
    server: Server,
}

impl Server {
    /// Runs what `serve` makes of a listener and a shutdown.
    async fn start<F, E>(serve: impl FnOnce(TcpListener, oneshot::Receiver<()>) -> F) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, stopped);
        let ended = tokio::spawn(async move {
            if let Err(error) = serving.await {
                panic!("the server ended: {error}");
            }
        });
        Self { addr, stop, ended }
    }

    async fn stop(self) {
        drop(self.stop);
        self.ended.await.expect("the server ends");
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.addr)).expect("a URL")
    }

    /// A channel that connects when it is used.
    fn channel(&self) -> Channel {
        self.endpoint().connect_lazy()
    }

    async fn healthy(self) -> Self {
        healthy(self.channel()).await;
        self
    }
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

impl AuthServer {
    /// A server with an empty database.
    pub async fn start() -> Self {
        Self::start_with([]).await
    }

    /// A server with an empty database and these settings.
    pub async fn start_with<const N: usize>(settings: [(&'static str, &str); N]) -> Self {
        Self::start_by(Clock::manual(Time::from_seconds(START)), settings).await
    }

    /// A server with an empty database and the time of this machine, by which programs go.
    pub async fn start_now() -> Self {
        Self::start_by(Clock::system(), []).await
    }

    async fn start_by<const N: usize>(clock: Clock, settings: [(&'static str, &str); N]) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        let url = format!("sqlite://{}", directory.path().join("auth.db").display());
        let mut own =
            BTreeMap::from([("AUTH_DATABASE_URL", url), ("AUTH_HASH_THREADS", "1".to_owned())]);
        own.extend(settings.map(|(name, value)| (name, value.to_owned())));
        Self::run(own, clock, directory).await
    }

    /// Ends the server, and starts another on the same database with these settings changed.
    pub async fn restart_with<const N: usize>(self, settings: [(&'static str, &str); N]) -> Self {
        let Self { clock, settings: mut own, directory, server } = self;
        server.stop().await;
        own.extend(settings.map(|(name, value)| (name, value.to_owned())));
        Self::run(own, clock, directory).await
    }

    async fn run(
        settings: BTreeMap<&'static str, String>,
        clock: Clock,
        directory: Arc<TempDir>,
    ) -> Self {
        let config = auth_config(&settings);
        let time = clock.clone();
        let server = Server::start(|listener, stopped| {
            auth_service::serve(listener, config, time, async { drop(stopped.await) })
        });
        let server = server.await.healthy().await;
        Self { clock, settings, directory, server }
    }

    /// Ends the server; its database stays as long as the returned directory.
    pub async fn stop(self) -> Arc<TempDir> {
        self.server.stop().await;
        self.directory
    }

    /// The configuration that it runs with, for its subcommands.
    #[must_use]
    pub fn config(&self) -> auth_service::config::Config {
        auth_config(&self.settings)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// A new channel to it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.server.channel()
    }

    /// Somebody who has no token.
    #[must_use]
    pub fn anonymous(&self) -> Person {
        Person::new("anonymous", self.channel(), Identity::default())
    }

    /// Somebody who presents this token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Person {
        Person::new("bearer", self.channel(), Identity::bearer(token))
    }

    /// Registers and logs in.
    pub async fn register(&self, name: &'static str) -> Person {
        Person::register(name, self.channel()).await
    }
}

fn auth_config(settings: &BTreeMap<&'static str, String>) -> auth_service::config::Config {
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    auth_service::config::Config::read(&mut Env::of("AUTH_", settings)).expect("good settings")
}

impl TaskServer {
    /// A server with an empty database that trusts this auth-service and shares its clock.
    pub async fn start(auth: &AuthServer) -> Self {
        Self::start_with(auth, []).await
    }

    /// The same with these settings.
    pub async fn start_with<const N: usize>(
        auth: &AuthServer,
        settings: [(&'static str, &str); N],
    ) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        let url = format!("sqlite://{}", directory.path().join("task.db").display());
        let mut own = BTreeMap::from([("TASK_DATABASE_URL", url), ("TASK_AUTH_URL", auth.url())]);
        own.extend(settings.map(|(name, value)| (name, value.to_owned())));
        Self::run(own, auth.clock.clone(), directory).await
    }

    /// Ends the server, and starts another on the same database.
    pub async fn restart(self) -> Self {
        let Self { settings, clock, directory, server } = self;
        server.stop().await;
        Self::run(settings, clock, directory).await
    }

    async fn run(
        settings: BTreeMap<&'static str, String>,
        clock: Clock,
        directory: Arc<TempDir>,
    ) -> Self {
        let pairs = settings.iter().map(|(name, value)| (*name, value.as_str()));
        let config = task_service::config::Config::read(&mut Env::of("TASK_", pairs));
        let config = config.expect("good settings");
        let time = clock.clone();
        let server = Server::start(|listener, stopped| {
            task_service::serve(listener, config, time, async { drop(stopped.await) })
        });
        let server = server.await.healthy().await;
        Self { settings, clock, directory, server }
    }

    /// A new channel to it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.server.channel()
    }

    /// Somebody who has no token.
    #[must_use]
    pub fn anonymous(&self) -> Person {
        Person::new("anonymous", self.channel(), Identity::default())
    }

    /// Somebody who presents this token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Person {
        Person::new("bearer", self.channel(), Identity::bearer(token))
    }

    /// Registers with auth-service, logs in, and comes here.
    pub async fn register(&self, auth: &AuthServer, name: &'static str) -> Person {
        auth.register(name).await.at(self.channel())
    }
}
