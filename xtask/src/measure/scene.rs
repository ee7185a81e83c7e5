//! The programs of a scenario: servers of auth-service on one database, and verifiers that follow them.

use std::{env, path::Path};

use e2e::{
    Engine, Place,
    postgres::{self, Server},
    program::{Program, Running, stderr},
};
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::Failure;

/// How many task-services verify.
pub(super) const VERIFIERS: usize = 3;
/// What auth-service counts the calls of `ValidateToken` by.
const VALIDATIONS: &str = r#"grpc_server_started_total{grpc_type="unary",grpc_service="taskmanager.auth.v1.AuthService",grpc_method="ValidateToken"}"#;
/// What every auth-service is told: nobody is throttled, for all come from one address.
const AUTH: [(&str, &str); 9] = [
    ("AUTH_ADDR", "127.0.0.1:0"),
    ("AUTH_METRICS_ADDR", "127.0.0.1:0"),
    ("AUTH_SECRET_KEY", "measured once, and then thrown away with its keys"),
    ("AUTH_GUESS_LIMIT", "1000000/1s"),
    ("AUTH_ACCOUNT_GUESS_LIMIT", "1000000/1s"),
    ("AUTH_NETWORK_GUESS_LIMIT", "1000000/1s"),
    ("AUTH_LOGIN_LIMIT", "1000000/1s"),
    ("AUTH_REGISTER_LIMIT", "1000000/1s"),
    ("RUST_LOG", "info,access=off"),
];
const TASK: [(&str, &str); 2] = [("TASK_ADDR", "127.0.0.1:0"), ("RUST_LOG", "info,access=off")];

/// The databases that scenarios run on.
pub(super) struct Databases {
    postgres: Option<Server>,
}

/// What runs in a scenario. It ends with this value, however that comes about.
pub(super) struct Scene {
    pub(super) auths: Vec<Running>,
    pub(super) verifiers: Vec<Verifier>,
    settings: Vec<(&'static str, String)>,
    directory: TempDir,
    _place: Place,
}

/// A task-service.
pub(super) struct Verifier {
    pub(super) running: Running,
    /// Which of the auth-services it follows.
    pub(super) follows: usize,
    settings: Vec<(&'static str, String)>,
    directory: TempDir,
}

impl Databases {
    pub(super) async fn start() -> Self {
        let postgres = if postgres::is_here() { Some(Server::start().await) } else { None };
        Self { postgres }
    }

    pub(super) fn has(&self, engine: Engine) -> bool {
        engine == Engine::Sqlite || self.postgres.is_some()
    }

    /// A place for a new database. What it acknowledges is on the disk.
    pub(super) async fn place(&self, engine: Engine, name: &str) -> Place {
        match (engine, &self.postgres) {
            (Engine::Postgres, Some(server)) => server.place().await,
            (Engine::Sqlite | Engine::Postgres, _) => Engine::Sqlite.place(name).await,
        }
    }

    /// Starts auth-service, twice where servers can share a database, and verifiers spread over both.
    pub(super) async fn scene(
        &self,
        engine: Engine,
        settings: &[(&'static str, String)],
    ) -> Result<Scene, Failure> {
        let replicas = if engine == Engine::Postgres { 2 } else { 1 };
        let mut scene = self.issuers(engine, replicas, settings).await?;
        for number in 0..VERIFIERS {
            scene.verify(number % replicas, &[]).await?;
        }
        Ok(scene)
    }

    /// Starts auth-service so many times on one database, which knows task-service.
    pub(super) async fn issuers(
        &self,
        engine: Engine,
        replicas: usize,
        settings: &[(&'static str, String)],
    ) -> Result<Scene, Failure> {
        let place = self.place(engine, "auth").await;
        let own = AUTH.map(|(name, value)| (name, value.to_owned()));
        let url = ("AUTH_DATABASE_URL", place.url.clone());
        let settings = [&own[..], &[url], settings].concat();
        let directory = tempfile::tempdir()?;
        let (auths, verifiers) = (Vec::new(), Vec::new());
        let mut scene = Scene { auths, verifiers, settings, directory, _place: place };
        for _ in 0..replicas {
            let auth = program("auth-service")?;
            let auth = auth.start(scene.directory.path(), &borrowed(&scene.settings)).await;
            auth.healthy().await;
            scene.auths.push(auth);
        }
        scene
            .operate(&["services", "add", "task-service", "--secret-file", &scene.secret()])
            .await?;
        Ok(scene)
    }
}

impl Scene {
    /// Starts a task-service that follows one of the auth-services.
    pub(super) async fn verify(
        &mut self,
        follows: usize,
        settings: &[(&'static str, String)],
    ) -> Result<(), Failure> {
        let url = self.auths.get(follows).map(|auth| format!("http://{}", auth.addr));
        let own = TASK.map(|(name, value)| (name, value.to_owned()));
        let url = ("TASK_AUTH_URL", url.unwrap_or_default());
        let secret = ("TASK_SERVICE_SECRET_FILE", self.secret());
        let settings = [&own[..], &[url, secret], settings].concat();
        self.verifiers.push(Verifier::start(follows, settings, tempfile::tempdir()?).await?);
        Ok(())
    }

    /// The file of the secret that task-service proves itself with.
    fn secret(&self) -> String {
        self.directory.path().join("task.secret").display().to_string()
    }

    /// Channels to each auth-service.
    pub(super) fn issuers(&self) -> Vec<Channel> {
        self.auths.iter().map(Running::channel).collect()
    }

    /// Channels to each verifier.
    pub(super) fn channels(&self) -> Vec<Channel> {
        self.verifiers.iter().map(|verifier| verifier.running.channel()).collect()
    }

    /// Runs auth-service as an operator does.
    pub(super) async fn operate(&self, arguments: &[&str]) -> Result<(), Failure> {
        let settings = borrowed(&self.settings);
        let directory = self.directory.path();
        let output = program("auth-service")?.run(directory, arguments, &settings).await;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("auth-service {}: {}", arguments.join(" "), stderr(&output).trim()).into())
    }

    /// How often somebody has asked whether a token is good.
    pub(super) async fn validations(&self) -> i64 {
        let mut count = 0;
        for auth in &self.auths {
            count += auth.metric(VALIDATIONS).await;
        }
        count
    }

    /// Ends every program as an operator does.
    pub(super) async fn end(self) -> Result<(), Failure> {
        let verifiers = self.verifiers.into_iter().map(|verifier| verifier.running);
        for running in verifiers.chain(self.auths) {
            match running.end().await {
                (_, Some(0)) => {}
                (said, code) => return Err(format!("it ended with {code:?}: {said}").into()),
            }
        }
        Ok(())
    }
}

impl Verifier {
    async fn start(
        follows: usize,
        settings: Vec<(&'static str, String)>,
        directory: TempDir,
    ) -> Result<Self, Failure> {
        let task = program("task-service")?;
        let running = task.start(directory.path(), &borrowed(&settings)).await;
        running.healthy().await;
        Ok(Self { running, follows, settings, directory })
    }

    /// Ends it, and starts it again on the same database.
    pub(super) async fn restart(self) -> Result<Self, Failure> {
        let Self { running, follows, settings, directory } = self;
        running.end().await;
        Self::start(follows, settings, directory).await
    }
}

/// What an engine is called.
pub(super) fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    }
}

/// A program that was built beside this one.
fn program(name: &str) -> Result<Program, Failure> {
    let here = env::current_exe()?;
    let file = here.parent().unwrap_or(Path::new(".")).join(name).display().to_string();
    // There are two of them.
    Ok(Program { file: file.leak(), settings: &[] })
}

fn borrowed<'s>(settings: &'s [(&'static str, String)]) -> Vec<(&'s str, &'s str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
