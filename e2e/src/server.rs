//! The two services, each on a port of its own and with a database of its own.

mod running;

use std::collections::BTreeMap;

use auth_service::{StartError, config::Config};
use shared::{
    clock::{Clock, Time},
    env::Env,
};
use tonic::transport::Channel;

use crate::{
    Engine, Identity, Person, Place,
    operator::{SERVICE_SECRET, add_service, operate},
};
use running::Server;

pub(crate) use running::healthy;
use running::is_ready;

/// When every test begins.
const START: i64 = 1_800_000_000;
/// What the signing keys are sealed with where no file can hold it.
const SECRET: &str = "a secret key that is for tests and nothing else";

type Settings = BTreeMap<&'static str, String>;

/// A clock that shows when every test begins.
#[must_use]
pub fn clock() -> Clock {
    Clock::manual(Time::from_seconds(START))
}

/// auth-service, running.
#[derive(Debug)]
pub struct AuthServer {
    /// The time that it sees.
    pub clock: Clock,
    /// Where its database is.
    pub place: Place,
    settings: Settings,
    server: Server,
}

/// task-service, running.
#[derive(Debug)]
pub struct TaskServer {
    /// Where its database is.
    pub place: Place,
    settings: Settings,
    clock: Clock,
    server: Server,
}

impl AuthServer {
    /// A server with an empty database, on SQLite.
    pub async fn start() -> Self {
        Self::start_with([]).await
    }

    /// The same with these settings.
    pub async fn start_with<const N: usize>(settings: [(&'static str, &str); N]) -> Self {
        Self::start_at(Engine::Sqlite.place("auth").await, clock(), settings).await
    }

    /// A server with the time of this machine, by which programs go.
    pub async fn start_now() -> Self {
        Self::start_at(Engine::Sqlite.place("auth").await, Clock::system(), []).await
    }

    /// A server with an empty database on this engine.
    pub async fn start_on(engine: Engine) -> Self {
        Self::start_at(engine.place("auth").await, clock(), []).await
    }

    /// A server with the database in this place.
    pub async fn start_at<const N: usize>(
        place: Place,
        clock: Clock,
        settings: [(&'static str, &str); N],
    ) -> Self {
        let mut own = Settings::from([
            ("AUTH_DATABASE_URL", place.url.clone()),
            ("AUTH_HASH_THREADS", "1".to_owned()),
        ]);
        if place.engine == Engine::Postgres {
            own.insert("AUTH_SECRET_KEY", SECRET.to_owned());
        }
        own.extend(settings.map(|(name, value)| (name, value.to_owned())));
        Self::run(own, clock, place).await
    }

    /// Ends the server, and starts another on the same database with these settings changed.
    pub async fn restart_with<const N: usize>(self, settings: [(&'static str, &str); N]) -> Self {
        let Self { clock, place, settings: mut own, server } = self;
        server.stop().await;
        own.extend(settings.map(|(name, value)| (name, value.to_owned())));
        Self::run(own, clock, place).await
    }

    async fn run(settings: Settings, clock: Clock, place: Place) -> Self {
        let config = auth_config(&settings);
        let time = clock.clone();
        let server = Server::start(|listeners, stopped| {
            auth_service::serve(listeners, config, time, async { drop(stopped.await) })
        });
        let server = server.await.healthy().await;
        Self { clock, place, settings, server }
    }

    /// Ends the server. Its database stays in the place that is returned.
    pub async fn stop(self) -> Place {
        self.server.stop().await;
        self.place
    }

    /// The configuration that it runs with, for its subcommands.
    #[must_use]
    pub fn config(&self) -> Config {
        auth_config(&self.settings)
    }

    /// Does what an operator asks for beside the running server: "keys rotate".
    ///
    /// # Errors
    /// When it can not be done.
    pub async fn operate(&self, line: &str) -> Result<String, StartError> {
        self.operate_with(line, "").await
    }

    /// The same with this on standard input.
    ///
    /// # Errors
    /// When it can not be done.
    pub async fn operate_with(&self, line: &str, input: &str) -> Result<String, StartError> {
        operate(&self.config(), &self.clock, line, input).await
    }

    /// A number that it shows to Prometheus.
    pub async fn metric(&self, name: &str) -> f64 {
        self.server.metric(name).await
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

fn auth_config(settings: &Settings) -> Config {
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    Config::read(&mut Env::of("AUTH_", settings)).expect("good settings")
}

impl TaskServer {
    /// A server that trusts this auth-service and shares its clock, with an empty database on the
    /// same engine.
    pub async fn start(auth: &AuthServer) -> Self {
        Self::start_with(auth, []).await
    }

    /// The same with these settings.
    pub async fn start_with<const N: usize>(
        auth: &AuthServer,
        settings: [(&'static str, &str); N],
    ) -> Self {
        Self::start_at(auth, auth.place.engine.place("task").await, settings).await
    }

    /// The same with the database in this place.
    pub async fn start_at<const N: usize>(
        auth: &AuthServer,
        place: Place,
        settings: [(&'static str, &str); N],
    ) -> Self {
        let server = Self::launch(auth, place, settings).await;
        healthy(server.channel()).await;
        server
    }

    /// The same without waiting until it is healthy.
    pub async fn launch<const N: usize>(
        auth: &AuthServer,
        place: Place,
        settings: [(&'static str, &str); N],
    ) -> Self {
        add_service(&auth.config(), "task-service").await;
        let mut own = Settings::from([
            ("TASK_DATABASE_URL", place.url.clone()),
            ("TASK_AUTH_URL", auth.url()),
            ("TASK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
        ]);
        own.extend(settings.map(|(name, value)| (name, value.to_owned())));
        Self::run(own, auth.clock.clone(), place).await
    }

    /// A server with the time of this machine that trusts the auth-service at this URL, by which it must be
    /// registered.
    pub async fn start_now(url: &str, place: Place) -> Self {
        let settings = Settings::from([
            ("TASK_DATABASE_URL", place.url.clone()),
            ("TASK_AUTH_URL", url.to_owned()),
            ("TASK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
        ]);
        let server = Self::run(settings, Clock::system(), place).await;
        healthy(server.channel()).await;
        server
    }

    /// Where its database is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// A number that it shows to Prometheus.
    pub async fn metric(&self, name: &str) -> f64 {
        self.server.metric(name).await
    }

    /// Ends the server, and starts another on the same database.
    pub async fn restart(self) -> Self {
        let Self { place, settings, clock, server } = self;
        server.stop().await;
        let server = Self::run(settings, clock, place).await;
        healthy(server.channel()).await;
        server
    }

    /// Ends the server. Its database stays in the place that is returned.
    pub async fn stop(self) -> Place {
        self.server.stop().await;
        self.place
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        is_ready(self.channel()).await
    }

    async fn run(settings: Settings, clock: Clock, place: Place) -> Self {
        let pairs = settings.iter().map(|(name, value)| (*name, value.as_str()));
        let config = task_service::config::Config::read(&mut Env::of("TASK_", pairs));
        let config = config.expect("good settings");
        let time = clock.clone();
        let server = Server::start(|listeners, stopped| {
            task_service::serve(listeners, config, time, async { drop(stopped.await) })
        });
        let server = server.await;
        Self { place, settings, clock, server }
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
