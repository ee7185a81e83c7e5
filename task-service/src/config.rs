//! The settings of this service, and the only place that reads them.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use shared::{
    database,
    env::{Env, Faults},
    server::{self, Probe},
    telemetry::LogFormat,
    trust::{Expected, Issuer},
};

use crate::store::Quotas;

/// Where it listens unless it is told otherwise.
const ADDR: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 50052));

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
    /// `TASK_AUTH_URL` and `TASK_AUTH_CA`: whose tokens are trusted.
    pub auth: Issuer,
    /// `TASK_ISSUER` and `TASK_AUDIENCE`: what the tokens must say.
    pub expected: Expected,
    /// `TASK_PROJECT_QUOTA` and `TASK_TASK_QUOTA`: how much each owner may have.
    pub quotas: Quotas,
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
        let config = Self {
            server: server::Settings::read(env, ADDR),
            log_format: LogFormat::read(env),
            database: database::Settings::read(env, "task-service", "sqlite://data/task.db"),
            auth: Issuer::read(env, "http://127.0.0.1:50051"),
            expected: Expected {
                issuer: env.name("TASK_ISSUER", "taskmanager"),
                audience: env.name("TASK_AUDIENCE", "task-service"),
            },
            quotas: Quotas {
                projects: env.number("TASK_PROJECT_QUOTA", 1_000, 1, 1_000_000),
                tasks: env.number("TASK_TASK_QUOTA", 1_000_000, 1, 1_000_000_000),
            },
        };
        env.finish(config)
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
            ],
        ))
        .unwrap_err();
        assert_eq!(faults.0.len(), 6, "{faults}");
        assert!(!faults.to_string().contains("secret"));
    }

    #[test]
    fn keys_are_fetched_from_this_machine_or_over_tls() {
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
