//! Which database, and what is asked of it.

use std::{path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use crate::env::Env;

const SECOND: Duration = Duration::from_secs(1);

/// Where a service keeps its data.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `DATABASE_URL`: the database. It may hold a password.
    pub url: SecretString,
    /// The engine that the URL names.
    pub engine: EngineName,
    /// `DATABASE_CONNECTIONS`: how many statements may read at the same moment.
    pub connections: u32,
    /// `DATABASE_TIMEOUT`: how long a statement or a transaction may take before it is given up.
    pub timeout: Duration,
    /// What this service calls itself where the engine asks.
    pub program: &'static str,
}

/// The engines that a URL can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineName {
    /// `sqlite://<file>`
    Sqlite,
    /// `postgres://<user>@<host>/<database>`
    Postgres,
}

impl Settings {
    /// The database of this URL, and else what holds where nothing is set.
    ///
    /// # Errors
    /// When there is no such engine.
    pub fn new(program: &'static str, url: &str) -> Result<Self, UrlFault> {
        Ok(Self {
            url: url.into(),
            engine: url.parse()?,
            connections: 16,
            timeout: 20 * SECOND,
            program,
        })
    }

    /// Reads the settings, each under the prefix of this environment.
    pub fn read(env: &mut Env, program: &'static str, default: &'static str) -> Self {
        let [url, connections, timeout] =
            ["DATABASE_URL", "DATABASE_CONNECTIONS", "DATABASE_TIMEOUT"]
                .map(|it| env.full_name(it));
        let given = env.secret(&url).unwrap_or_else(|| default.into());
        let engine = given.expose_secret().parse().unwrap_or_else(|fault: UrlFault| {
            env.fault(&url, fault);
            EngineName::Sqlite
        });
        let connections = env.number(&connections, 16, 1, 256);
        Self {
            url: given,
            engine,
            connections: u32::try_from(connections).unwrap_or(1),
            timeout: env.duration(&timeout, 20 * SECOND, SECOND, 300 * SECOND),
            program,
        }
    }

    /// Which database it is, for people to read: never the user or the password.
    pub(super) fn place(&self) -> String {
        let url = self.url.expose_secret();
        match self.engine {
            EngineName::Sqlite => self.file().map(|file| file.display().to_string()),
            EngineName::Postgres => PgConnectOptions::from_str(url).ok().map(|options| {
                let (host, port) = (options.get_host(), options.get_port());
                format!("{} at {host}:{port}", options.get_database().unwrap_or("(default)"))
            }),
        }
        .unwrap_or_default()
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match self.engine {
            EngineName::Sqlite => sqlite_file(self.url.expose_secret()),
            EngineName::Postgres => None,
        }
    }
}

impl FromStr for EngineName {
    type Err = UrlFault;

    /// The engine of a whole URL.
    fn from_str(url: &str) -> Result<Self, UrlFault> {
        match url.split_once("://") {
            Some(("sqlite", path)) if path.starts_with("/./") => Err(UrlFault::Absolute),
            Some(("sqlite", _)) => match sqlite_file(url) {
                Some(_) => Ok(Self::Sqlite),
                None => Err(UrlFault::NoFile),
            },
            Some(("postgres" | "postgresql", _)) => match PgConnectOptions::from_str(url) {
                Ok(_) => Ok(Self::Postgres),
                Err(_) => Err(UrlFault::Postgres),
            },
            _ => Err(UrlFault::Engine),
        }
    }
}

/// The file that a URL of SQLite names. A database in memory has none, and keeps nothing.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = SqliteConnectOptions::from_str(url).ok()?.get_filename().to_path_buf();
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    (!in_memory && !path.as_os_str().is_empty()).then_some(path)
}

/// What is wrong with a URL. It never holds a part of it, which may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// There is no such engine.
    #[error("must begin with sqlite://, postgres:// or postgresql://")]
    Engine,
    /// A database in memory keeps nothing.
    #[error("must name a file, as sqlite://data/file.db")]
    NoFile,
    /// Elsewhere a third slash begins a relative path.
    #[error("must be sqlite://app.db for a relative path: a third slash makes it absolute")]
    Absolute,
    /// Malformed.
    #[error("must be a URL of PostgreSQL, as postgres://user:password@host:5432/database")]
    Postgres,
}

/// Runs an expression with a type name standing for the engine that the settings name. This is the
/// only place that tells engines apart; what it runs is generic.
#[macro_export]
macro_rules! on_engine {
    ($settings:expr, $DB:ident => $run:expr) => {
        match $settings.engine {
            $crate::database::EngineName::Sqlite => {
                type $DB = $crate::database::Sqlite;
                $run
            }
            $crate::database::EngineName::Postgres => {
                type $DB = $crate::database::Postgres;
                $run
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Settings, String> {
        let mut env = Env::of("T_", settings.iter().copied());
        let settings = Settings::read(&mut env, "test", "sqlite://data/test.db");
        env.finish(settings).map_err(|faults| faults.to_string())
    }

    #[test]
    fn the_url_says_which_engine_it_is() {
        let default = read(&[]).unwrap();
        assert_eq!((default.engine, default.connections), (EngineName::Sqlite, 16));
        assert_eq!(default.file(), Some("data/test.db".into()));
        for url in
            ["postgres://ann:hunter2@db/auth", "postgresql://%2Frun/auth?sslmode=verify-full"]
        {
            let settings = read(&[("T_DATABASE_URL", url)]).unwrap();
            assert_eq!((settings.engine, settings.file()), (EngineName::Postgres, None), "{url}");
            assert!(!format!("{settings:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_can_not_be_used_is_told_and_the_url_is_not() {
        for url in [
            "hunter2",
            "mysql://ann:hunter2@db/auth",
            "sqlite://",
            "sqlite://hunter2?mode=memory",
            "sqlite://:memory:",
            "sqlite:///./hunter2.db",
            "postgres://ann:hunter2@db:port/auth",
            "postgres://ann@db/auth?sslmode=hunter2",
        ] {
            let fault = read(&[("T_DATABASE_URL", url)]).unwrap_err();
            assert!(fault.starts_with("T_DATABASE_URL must "), "{url}: {fault}");
            assert!(!fault.contains("hunter2") && !fault.contains('\n'), "{url}: {fault}");
        }
    }

    #[test]
    fn the_url_may_be_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "postgres://ann:hunter2@db/auth\n").unwrap();
        let path = file.path().to_str().unwrap();
        let settings = read(&[("T_DATABASE_URL_FILE", path)]).unwrap();
        assert_eq!(settings.engine, EngineName::Postgres);
    }
}
