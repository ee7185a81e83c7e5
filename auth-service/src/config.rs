//! What the operator can set: the only reader of the environment.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
    thread::available_parallelism,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use shared::{
    database,
    env::{Env, Faults, is_name},
    server::{self, Probe},
    telemetry::LogFormat,
    trust::{Expected, MAX_TOKEN_LIFE},
};

use crate::{guesses::Limits, hasher::Cost, network::TrustedProxies, sessions::Lives};

/// The shortest `AUTH_SECRET_KEY`, in bytes.
pub const LEAST_SECRET: usize = 32;
/// The least that a signing key is published before it signs: by then every verifier that is connected
/// knows it.
pub const LEAST_DELAY: Duration = Duration::from_secs(2);
/// The most services that tokens are issued for.
const MOST_AUDIENCES: usize = 16;
/// The least memory and passes of a hash (OWASP's Argon2id with one lane).
const LEAST_COST: Cost = Cost { memory_kib: 19_456, passes: 2 };

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Where it listens unless it is told otherwise.
const ADDR: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 50051));

/// What `healthcheck` needs to know, whatever is wrong with the rest of the configuration.
#[must_use]
pub fn probe() -> Probe {
    Probe::read(&mut Env::load("AUTH_"), ADDR)
}

/// Everything that this service can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen, and everything that is bounded.
    pub server: server::Settings,
    /// `AUTH_LOG_FORMAT`: how events are written.
    pub log_format: LogFormat,
    /// Where the data are.
    pub database: database::Settings,
    /// `AUTH_SECRET_KEY` and `AUTH_SECRET_KEY_PREVIOUS`: what the signing keys are sealed with.
    pub secret_keys: SecretKeys,
    /// `AUTH_ISSUER` and `AUTH_AUDIENCE`: what this service calls itself in tokens.
    pub expected: Expected,
    /// `AUTH_AUDIENCES`: the services that tokens are issued for; this one is among them.
    pub audiences: Vec<String>,
    /// `AUTH_ACCESS_TOKEN_TTL`, `AUTH_REFRESH_TOKEN_TTL` and `AUTH_SESSION_TTL`: how long tokens and
    /// sessions last.
    pub lives: Lives,
    /// `AUTH_KEY_PUBLISH_DELAY`: how long a new signing key is published before it signs.
    pub key_publish_delay: Duration,
    /// `AUTH_HASH_THREADS`: how many threads hash passwords.
    pub hash_threads: usize,
    /// `AUTH_HASH_MEMORY_KIB` and `AUTH_HASH_PASSES`: what one hash costs.
    pub hash_cost: Cost,
    /// How often passwords may be guessed, and accounts opened.
    pub guess_limits: Limits,
    /// `AUTH_TRUSTED_PROXIES`: who is believed when it says whose call it forwards.
    pub trusted_proxies: TrustedProxies,
}

/// The secret key, and the one before it while that is still needed.
#[derive(Debug, Clone)]
pub struct SecretKeys {
    /// The one in force.
    pub current: SecretKey,
    /// The one before it.
    pub previous: Option<SecretString>,
}

/// Where the secret key is.
#[derive(Debug, Clone)]
pub enum SecretKey {
    /// In the configuration.
    Set(SecretString),
    /// In this file beside the database, made at the first start.
    File(PathBuf),
}

impl Config {
    /// The configuration that the environment and `.env` give.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_env() -> Result<Self, Faults> {
        Self::read(&mut Env::load("AUTH_"))
    }

    /// The configuration that these settings give.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(env: &mut Env) -> Result<Self, Faults> {
        let server = server::Settings::read(env, ADDR);
        let database = database::Settings::read(env, "auth-service", "sqlite://data/auth.db");
        let secret_keys = SecretKeys {
            current: secret_key(env, &database),
            previous: secret(env, "AUTH_SECRET_KEY_PREVIOUS"),
        };
        let lives = lives(env);
        let issuer = env.name("AUTH_ISSUER", "taskmanager");
        let audience = env.name("AUTH_AUDIENCE", "auth-service");
        let config = Self {
            server,
            log_format: LogFormat::read(env),
            database,
            secret_keys,
            audiences: audiences(env, &audience),
            expected: Expected { issuer, audience, max_staleness: lives.token + MINUTE },
            lives,
            key_publish_delay: env.duration("AUTH_KEY_PUBLISH_DELAY", MINUTE, LEAST_DELAY, DAY),
            hash_threads: threads(env),
            hash_cost: hash_cost(env),
            guess_limits: Limits::read(env),
            trusted_proxies: env.get("AUTH_TRUSTED_PROXIES", TrustedProxies::default()),
        };
        env.finish(config)
    }
}

/// The file beside an embedded database stands in for a secret that is not set.
fn secret_key(env: &mut Env, database: &database::Settings) -> SecretKey {
    const NAME: &str = "AUTH_SECRET_KEY";
    if let Some(secret) = secret(env, NAME) {
        return SecretKey::Set(secret);
    }
    let file = database.file().unwrap_or_else(|| {
        env.fault(NAME, "must be set: there is no database file that one could be kept beside");
        PathBuf::new()
    });
    SecretKey::File(file.with_extension("key"))
}

fn secret(env: &mut Env, name: &str) -> Option<SecretString> {
    let secret = env.secret(name)?;
    if secret.expose_secret().len() < LEAST_SECRET {
        env.fault(name, format!("must be at least {LEAST_SECRET} bytes"));
    }
    Some(secret)
}

/// What lasts longer must not end before what it is to outlast.
fn lives(env: &mut Env) -> Lives {
    const TOKEN: &str = "AUTH_ACCESS_TOKEN_TTL";
    const IDLE: &str = "AUTH_REFRESH_TOKEN_TTL";
    const SESSION: &str = "AUTH_SESSION_TTL";
    let lives = Lives {
        token: env.duration(TOKEN, 15 * MINUTE, MINUTE / 6, MAX_TOKEN_LIFE),
        idle: env.duration(IDLE, 30 * DAY, MINUTE / 6, 3_650 * DAY),
        session: env.duration(SESSION, 90 * DAY, MINUTE / 6, 3_650 * DAY),
    };
    if lives.idle < lives.token {
        env.fault(IDLE, format!("must not be shorter than {TOKEN}"));
    }
    if lives.session < lives.idle {
        env.fault(SESSION, format!("must not be shorter than {IDLE}"));
    }
    lives
}

fn audiences(env: &mut Env, own: &str) -> Vec<String> {
    const NAME: &str = "AUTH_AUDIENCES";
    let list = env.text(NAME).unwrap_or_else(|| "auth-service,task-service".to_owned());
    let list: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if list.len() > MOST_AUDIENCES || !list.iter().all(|name| is_name(name)) {
        env.fault(NAME, "must be 1 to 16 names, separated by commas");
    }
    if !list.iter().any(|name| name == own) {
        env.fault(NAME, "must contain the name that AUTH_AUDIENCE sets");
    }
    list
}

fn threads(env: &mut Env) -> usize {
    let cores = available_parallelism().map_or(1, |cores| cores.get().min(64));
    let default = i64::try_from(cores).unwrap_or(1);
    usize::try_from(env.number("AUTH_HASH_THREADS", default, 1, 64)).unwrap_or(1)
}

fn hash_cost(env: &mut Env) -> Cost {
    let Cost { memory_kib: memory, passes } = LEAST_COST;
    let mut number = |name, least: u32, most| {
        let number = env.number(name, least.into(), least.into(), most);
        u32::try_from(number).unwrap_or(least)
    };
    Cost {
        memory_kib: number("AUTH_HASH_MEMORY_KIB", memory, 1_048_576),
        passes: number("AUTH_HASH_PASSES", passes, 10),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn nothing_needs_to_be_set() {
        let config = Config::read(&mut Env::of("AUTH_", [])).unwrap();
        assert_eq!(config.server.addr.to_string(), "127.0.0.1:50051");
        assert_eq!(config.database.url.expose_secret(), "sqlite://data/auth.db");
        assert_eq!(config.expected.issuer, "taskmanager");
        assert_eq!(config.audiences, ["auth-service", "task-service"]);
        assert_eq!(config.lives.token, 15 * MINUTE);
        assert_eq!((config.lives.idle, config.lives.session), (30 * DAY, 90 * DAY));
        assert_eq!(config.key_publish_delay, MINUTE);
        assert_eq!(config.hash_cost, LEAST_COST);
        assert!(config.hash_threads >= 1);
        match config.secret_keys.current {
            SecretKey::File(path) => assert_eq!(path, Path::new("data/auth.key")),
            SecretKey::Set(_) => panic!("a secret that nobody has set"),
        }
    }

    #[test]
    fn every_fault_is_told_at_once_and_no_secret() {
        let faults = Config::read(&mut Env::of(
            "AUTH_",
            [
                ("AUTH_ADDR", "0.0.0.0:1"),
                ("AUTH_DATABASE_URL", "mysql://ann:hunter2@db/auth"),
                ("AUTH_SECRET_KEY", "hunter2"),
                ("AUTH_ISSUER", "two words"),
                ("AUTH_AUDIENCES", "task-service"),
                ("AUTH_SECRET_KEY_PREVIOUS", "hunter1"),
                ("AUTH_ACCESS_TOKEN_TTL", "25h"),
                ("AUTH_REFRESH_TOKEN_TTL", "10s"),
                ("AUTH_SESSION_TTL", "9d"),
                ("AUTH_KEY_PUBLISH_DELAY", "1s"),
                ("AUTH_HASH_THREADS", "0"),
                ("AUTH_HASH_MEMORY_KIB", "1024"),
                ("AUTH_HASH_PASSES", "1"),
                ("AUTH_GUESS_LIMIT", "10"),
                ("AUTH_ACCOUNT_GUESS_LIMIT", "0/1h"),
                ("AUTH_NETWORK_GUESS_LIMIT", "300/25h"),
                ("AUTH_LOGIN_LIMIT", "many"),
                ("AUTH_REGISTER_LIMIT", "1000001/1h"),
                ("AUTH_TRUSTED_PROXIES", "10.0.0.0/8, proxy.example"),
            ],
        ))
        .unwrap_err()
        .to_string();
        assert_eq!(
            faults,
            "AUTH_ADDR is no loopback address, and calls are not encrypted: set AUTH_TLS_CERT and its key, or AUTH_ALLOW_PLAINTEXT=true\n\
             AUTH_DATABASE_URL must begin with sqlite://, postgres:// or postgresql://\n\
             AUTH_SECRET_KEY must be at least 32 bytes\n\
             AUTH_SECRET_KEY_PREVIOUS must be at least 32 bytes\n\
             AUTH_ACCESS_TOKEN_TTL must be 10s to 1d\n\
             AUTH_REFRESH_TOKEN_TTL must not be shorter than AUTH_ACCESS_TOKEN_TTL\n\
             AUTH_ISSUER must be 1 to 64 visible ASCII characters\n\
             AUTH_AUDIENCES must contain the name that AUTH_AUDIENCE sets\n\
             AUTH_KEY_PUBLISH_DELAY must be 2s to 1d\n\
             AUTH_HASH_THREADS must be a number from 1 to 64\n\
             AUTH_HASH_MEMORY_KIB must be a number from 19456 to 1048576\n\
             AUTH_HASH_PASSES must be a number from 2 to 10\n\
             AUTH_GUESS_LIMIT must be a number and a time, as 10/10m: 1 to 1000000 in 1s to 24h\n\
             AUTH_ACCOUNT_GUESS_LIMIT must be a number and a time, as 10/10m: 1 to 1000000 in 1s to 24h\n\
             AUTH_NETWORK_GUESS_LIMIT must be a number and a time, as 10/10m: 1 to 1000000 in 1s to 24h\n\
             AUTH_LOGIN_LIMIT must be a number and a time, as 10/10m: 1 to 1000000 in 1s to 24h\n\
             AUTH_REGISTER_LIMIT must be a number and a time, as 10/10m: 1 to 1000000 in 1s to 24h\n\
             AUTH_TRUSTED_PROXIES has \"proxy.example\": must be addresses and networks separated by commas, as 192.0.2.1,10.0.0.0/8"
        );
    }

    #[test]
    fn a_database_server_has_no_file_to_keep_the_secret_key_beside() {
        let url = ("AUTH_DATABASE_URL", "postgres://auth@localhost/auth");
        let faults = Config::read(&mut Env::of("AUTH_", [url])).unwrap_err().to_string();
        assert!(faults.starts_with("AUTH_SECRET_KEY must be set"), "{faults}");
        let key = ("AUTH_SECRET_KEY", "hunter2hunter2hunter2hunter2hunter2");
        Config::read(&mut Env::of("AUTH_", [url, key])).unwrap();
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = "hunter2hunter2hunter2hunter2hunter2";
        let settings =
            [("AUTH_SECRET_KEY", secret), ("AUTH_DATABASE_URL", "postgres://ann:hunter2@db/auth")];
        let config = Config::read(&mut Env::of("AUTH_", settings)).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
