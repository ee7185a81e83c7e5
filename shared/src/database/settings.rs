//! Which database, and what is asked of it.

use std::{path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::SqliteConnectOptions;

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

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        let url = self.url.expose_secret();
        let options = SqliteConnectOptions::from_str(url).ok();
        let options = options.filter(|_| self.engine == EngineName::Sqlite)?;
        Some(options.get_filename().to_path_buf())
    }
}

impl FromStr for EngineName {
    type Err = UrlFault;

    fn from_str(url: &str) -> Result<Self, UrlFault> {
        match url.split_once("://") {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite),
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => Ok(Self::Postgres),
            _ => Err(UrlFault),
        }
    }
}

/// A URL of no engine that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be sqlite://<file> or postgres://<user>:<password>@<host>/<database>")]
pub struct UrlFault;

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
