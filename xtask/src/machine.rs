//! Where something was measured.

use std::{fmt, fs};

use e2e::Engine;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::{Failure, scene::Databases};

/// A machine, and the engines on it.
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    sqlite: String,
    postgres: Option<String>,
    /// How busy it was before.
    load: String,
}

impl Machine {
    /// This one.
    pub(crate) async fn look(databases: &Databases) -> Result<Self, Failure> {
        let mut memory = SqliteConnection::connect("sqlite::memory:").await?;
        let sqlite = sqlx::query_scalar("select sqlite_version()").fetch_one(&mut memory).await?;
        let postgres = if databases.has(Engine::Postgres) {
            let url = databases.place(Engine::Postgres, "version").await.url;
            let mut server = PgConnection::connect(&url).await?;
            let version = sqlx::query_scalar("select current_setting('server_version')");
            Some(version.fetch_one(&mut server).await?)
        } else {
            None
        };
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
        Ok(Self {
            // All that there are, whichever this thread may use.
            cores: cpus.lines().filter(|line| line.starts_with("processor")).count(),
            cpu: cpu.map_or("an unknown CPU", |(_, name)| name).to_owned(),
            kernel: read("/proc/sys/kernel/osrelease"),
            sqlite,
            postgres,
            load,
        })
    }

    /// What files are named by that tell of it.
    pub(crate) fn name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let cpu: String = self.cpu.chars().map(plain).collect();
        let words: Vec<_> = cpu.split('-').filter(|word| !word.is_empty()).collect();
        format!("{}x-{}", self.cores, words.join("-"))
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores, "cpu": self.cpu, "kernel": self.kernel, "sqlite": self.sqlite,
            "postgres": self.postgres, "load_before": self.load,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, cpu, kernel, sqlite, postgres, load } = self;
        let postgres = postgres.as_deref().unwrap_or("not here");
        write!(f, "{cores} cores, {cpu}, Linux {kernel}, ")?;
        write!(f, "SQLite {sqlite}, PostgreSQL {postgres}; load before: {load}")
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}
