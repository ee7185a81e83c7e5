//! The programs of a scenario: servers of auth-service on one database, and verifiers that follow them.

use std::{
    env,
    path::{Path, PathBuf},
};

use e2e::{
    Engine, Place,
    postgres::{self, Server},
    program::{Program, Running, stderr},
};
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::Failure;

/// How many task-services verify.
pub(crate) const VERIFIERS: usize = 3;
/// What auth-service counts the calls of `ValidateToken` by.
const VALIDATIONS: &str = r#"grpc_server_started_total{grpc_type="unary",grpc_service="taskmanager.auth.v1.AuthService",grpc_method="ValidateToken"}"#;
/// What every auth-service is told: nobody is throttled, for all come from one address.
pub(crate) const AUTH: [(&str, &str); 9] = [
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
/// What every task-service is told.
pub(crate) const TASK: [(&str, &str); 2] =
    [("TASK_ADDR", "127.0.0.1:0"), ("RUST_LOG", "info,access=off")];

/// The databases that scenarios run on.
pub(crate) struct Databases {
    postgres: Option<Server>,
    pub(crate) programs: PathBuf,
}

/// What runs in a scenario. It ends with this value, however that comes about.
pub(crate) struct Scene {
    pub(crate) auths: Vec<Running>,
    pub(crate) verifiers: Vec<Verifier>,
    settings: Vec<(&'static str, String)>,
    directory: TempDir,
    programs: PathBuf,
    _place: Place,
}

/// A task-service.
pub(crate) struct Verifier {
    pub(crate) running: Running,
    /// Which of the auth-services it follows.
    pub(crate) follows: usize,
    settings: Vec<(&'static str, String)>,
    directory: TempDir,
    programs: PathBuf,
}

impl Databases {
    /// Starts them, for programs of this directory; without one, for those that were built beside this one.
    pub(crate) async fn start(programs: Option<PathBuf>) -> Result<Self, Failure> {
        let here = env::current_exe()?;
        let programs = programs.unwrap_or_else(|| here.with_file_name(""));
        let postgres = if postgres::is_here() { Some(Server::start().await) } else { None };
        Ok(Self { postgres, programs })
    }

    pub(crate) fn has(&self, engine: Engine) -> bool {
        engine == Engine::Sqlite || self.postgres.is_some()
    }

    /// A place for a new database. What it acknowledges is on the disk.
    pub(crate) async fn place(&self, engine: Engine, name: &str) -> Place {
        match (engine, &self.postgres) {
            (Engine::Postgres, Some(server)) => server.place().await,
            (Engine::Sqlite | Engine::Postgres, _) => Engine::Sqlite.place(name).await,
        }
    }

    /// Starts auth-service, twice where servers can share a database, and verifiers spread over both.
    pub(crate) async fn scene(
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
    pub(crate) async fn issuers(
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
        let programs = self.programs.clone();
        let mut scene = Scene { auths, verifiers, settings, directory, programs, _place: place };
        for _ in 0..replicas {
            let auth = program(&self.programs, "auth-service");
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
    pub(crate) async fn verify(
        &mut self,
        follows: usize,
        settings: &[(&'static str, String)],
    ) -> Result<(), Failure> {
        let url = self.auths.get(follows).map(|auth| format!("http://{}", auth.addr));
        let own = TASK.map(|(name, value)| (name, value.to_owned()));
        let url = ("TASK_AUTH_URL", url.unwrap_or_default());
        let secret = ("TASK_SERVICE_SECRET_FILE", self.secret());
        let settings = [&own[..], &[url, secret], settings].concat();
        let directory = tempfile::tempdir()?;
        let programs = self.programs.clone();
        self.verifiers.push(Verifier::start(follows, settings, directory, programs).await);
        Ok(())
    }

    /// The file of the secret that task-service proves itself with.
    pub(crate) fn secret(&self) -> String {
        self.directory.path().join("task.secret").display().to_string()
    }

    /// Channels to each auth-service.
    pub(crate) fn issuers(&self) -> Vec<Channel> {
        self.auths.iter().map(Running::channel).collect()
    }

    /// Channels to each verifier.
    pub(crate) fn channels(&self) -> Vec<Channel> {
        self.verifiers.iter().map(|verifier| verifier.running.channel()).collect()
    }

    /// Runs auth-service as an operator does.
    pub(crate) async fn operate(&self, arguments: &[&str]) -> Result<(), Failure> {
        let settings = borrowed(&self.settings);
        let directory = self.directory.path();
        let output =
            program(&self.programs, "auth-service").run(directory, arguments, &settings).await;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("auth-service {}: {}", arguments.join(" "), stderr(&output).trim()).into())
    }

    /// How often somebody has asked whether a token is good.
    pub(crate) async fn validations(&self) -> i64 {
        let mut count = 0;
        for auth in &self.auths {
            count += auth.metric(VALIDATIONS).await;
        }
        count
    }

    /// Ends every program as an operator does.
    pub(crate) async fn end(self) -> Result<(), Failure> {
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
        programs: PathBuf,
    ) -> Self {
        let task = program(&programs, "task-service");
        let running = task.start(directory.path(), &borrowed(&settings)).await;
        running.healthy().await;
        Self { running, follows, settings, directory, programs }
    }

    /// Ends it, and starts it again on the same database.
    pub(crate) async fn restart(self) -> Self {
        let Self { running, follows, settings, directory, programs } = self;
        running.end().await;
        Self::start(follows, settings, directory, programs).await
    }
}

/// What an engine is called.
pub(crate) fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    }
}

/// A program of this directory.
pub(crate) fn program(directory: &Path, name: &str) -> Program {
    let file = directory.join(name).display().to_string();
    // There are three of them, started a few times.
    Program { file: file.leak(), settings: &[] }
}

/// Settings as they are given to a program.
pub(crate) fn borrowed<'s>(settings: &'s [(&'static str, String)]) -> Vec<(&'s str, &'s str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
