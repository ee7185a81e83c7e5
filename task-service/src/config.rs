//! The settings of this service, and the only place that reads them.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use shared::{
    database,
    env::{Env, Faults},
    server::{self, Probe},
    telemetry::LogFormat,
    trust::{Credential, Expected, Issuer, TrustSource},
};

use crate::store::Quotas;

/// Where it listens unless it is told otherwise.
const ADDR: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 50052));
/// The life of a token, and a minute.
const MAX_STALENESS: Duration = Duration::from_mins(16);
const DAY: Duration = Duration::from_hours(24);

/// What `healthcheck` needs to know, whatever is wrong with the rest of the configuration.
#[must_use]
pub fn probe() -> Probe {
    Probe::read(&mut Env::load("TASK_"), ADDR)
}

/// Everything that this service can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen, and everything that is bounded.
    pub server: server::Settings,
    /// `TASK_LOG_FORMAT`: how events are written.
    pub log_format: LogFormat,
    /// Where the data are.
    pub database: database::Settings,
    /// `TASK_AUTH_URL` and `TASK_AUTH_CA`: whose tokens are trusted. `TASK_SERVICE_NAME` and
    /// `TASK_SERVICE_SECRET`: as whom this service asks what that takes.
    pub trust: TrustSource,
    /// `TASK_ISSUER` and `TASK_AUDIENCE`: what the tokens must say. `TASK_TRUST_MAX_STALENESS`: for
    /// how long they are accepted while auth-service is not heard of.
    pub expected: Expected,
    /// `TASK_PROJECT_QUOTA`, `TASK_TASK_QUOTA` and `TASK_FORCED_DELETION_LIMIT`: how much each owner
    /// may have, and delete at once.
    pub quotas: Quotas,
    /// `TASK_DELETED_RETENTION`: how long a deleted task can be brought back.
    pub retention: Duration,
    /// `TASK_WATCH_BOOKMARK_INTERVAL`: how long a stream of changes is silent at the most.
    pub bookmark_interval: Duration,
}

impl Config {
    /// The configuration that the environment and `.env` give.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_env() -> Result<Self, Faults> {
        Self::read(&mut Env::load("TASK_"))
    }

    /// The configuration that these settings give.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(env: &mut Env) -> Result<Self, Faults> {
        let database = database::Settings::read(env, "task-service", "sqlite://data/task.db");
        let issuer = Issuer::read(env, "http://127.0.0.1:50051");
        let config = Self {
            server: server::Settings::read(env, ADDR),
            log_format: LogFormat::read(env),
            trust: TrustSource::new(issuer, credential(env, &database)),
            database,
            expected: Expected {
                issuer: env.name("TASK_ISSUER", "taskmanager"),
                audience: env.name("TASK_AUDIENCE", "task-service"),
                max_staleness: env.duration(
                    "TASK_TRUST_MAX_STALENESS",
                    MAX_STALENESS,
                    Duration::from_secs(10),
                    Duration::from_hours(25),
                ),
            },
            quotas: Quotas {
                projects: env.number("TASK_PROJECT_QUOTA", 1_000, 1, 1_000_000),
                tasks: env.number("TASK_TASK_QUOTA", 1_000_000, 1, 1_000_000_000),
                forced_deletion: env.number("TASK_FORCED_DELETION_LIMIT", 10_000, 1, 1_000_000),
            },
            retention: env.duration(
                "TASK_DELETED_RETENTION",
                30 * DAY,
                Duration::from_hours(1),
                365 * DAY,
            ),
            bookmark_interval: env.duration(
                "TASK_WATCH_BOOKMARK_INTERVAL",
                Duration::from_secs(30),
                Duration::from_millis(100),
                Duration::from_hours(1),
            ),
        };
        env.finish(config)
    }
}

/// Without a secret, the file beside an embedded database is looked at for one at each connection.
fn credential(env: &mut Env, database: &database::Settings) -> Credential {
    const NAME: &str = "TASK_SERVICE_SECRET";
    let service = env.name("TASK_SERVICE_NAME", "task-service");
    // A file that is named and can not be read is a fault already.
    let is_named = env.text("TASK_SERVICE_SECRET_FILE").is_some();
    match (env.secret(NAME), database.file()) {
        (Some(secret), _) => Credential::new(service, secret),
        (None, Some(file)) => Credential::in_file(service, file.with_extension("secret")),
        (None, None) => {
            if !is_named {
                env.fault(NAME, "must be set: `auth-service services add task-service` gives one");
            }
            Credential::new(service, "".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_setting_it_runs_on_loopback() {
        let config = Config::read(&mut Env::of("TASK_", [])).unwrap();
        assert_eq!(config.server.addr.to_string(), "127.0.0.1:50052");
        assert_eq!(config.database.file().unwrap().to_str(), Some("data/task.db"));
        assert_eq!(config.quotas.tasks, 1_000_000);
        assert_eq!(config.expected.max_staleness, Duration::from_mins(16));
        let trust = format!("{:?}", config.trust);
        assert!(trust.contains("task-service") && trust.contains("data/task.secret"), "{trust}");
    }

    #[test]
    fn a_secret_that_is_set_is_used_and_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let path = file.path().to_str().unwrap();
        for set in [("TASK_SERVICE_SECRET", "hunter2"), ("TASK_SERVICE_SECRET_FILE", path)] {
            let name = ("TASK_SERVICE_NAME", "another");
            let config = Config::read(&mut Env::of("TASK_", [set, name])).unwrap();
            let shown = format!("{config:?}");
            assert!(shown.contains("another") && !shown.contains("task.secret"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_database_server_has_no_file_that_the_secret_could_be_beside() {
        let url = ("TASK_DATABASE_URL", "postgres://task@localhost/task");
        let faults = Config::read(&mut Env::of("TASK_", [url])).unwrap_err().to_string();
        assert_eq!(
            faults,
            "TASK_SERVICE_SECRET must be set: `auth-service services add task-service` gives one"
        );
        let missing = ("TASK_SERVICE_SECRET_FILE", "/nowhere");
        let faults = Config::read(&mut Env::of("TASK_", [url, missing])).unwrap_err();
        assert_eq!(faults.0.len(), 1, "{faults}");
        let secret = ("TASK_SERVICE_SECRET", "hunter2");
        Config::read(&mut Env::of("TASK_", [url, secret])).unwrap();
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let faults = Config::read(&mut Env::of(
            "TASK_",
            [
                ("TASK_ADDR", "0.0.0.0:1"),
                ("TASK_DATABASE_URL", "oracle://secret"),
                ("TASK_AUTH_URL", "http://10.0.0.1:50051"),
                ("TASK_ISSUER", "two words"),
                ("TASK_PROJECT_QUOTA", "0"),
                ("TASK_TASK_QUOTA", "many"),
                ("TASK_SERVICE_NAME", "two words"),
                ("TASK_TRUST_MAX_STALENESS", "9s"),
            ],
        ))
        .unwrap_err();
        assert_eq!(faults.0.len(), 8, "{faults}");
        assert!(!faults.to_string().contains("secret"));
    }

    #[test]
    fn trust_comes_from_this_machine_or_over_tls() {
        for (url, accepted) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://localhost.example:1", false),
            ("https://127.0.0.1:1", true),
            ("https://auth.example.com", true),
            ("https://auth.example.com/path", false),
            ("127.0.0.1:1", false),
            ("http://", false),
        ] {
            let config = Config::read(&mut Env::of("TASK_", [("TASK_AUTH_URL", url)]));
            assert_eq!(config.is_ok(), accepted, "{url}");
        }
    }
}
