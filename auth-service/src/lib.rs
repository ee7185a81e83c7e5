//! Registers users, logs them in, issues access tokens and says which are good.
//!
//! Read in this order: [`api`] are the RPCs; [`users`] and [`passwords`] are what they are about;
//! [`hasher`] checks passwords on threads of its own; [`tokens`] signs with the keys of [`keys`],
//! which [`keeper`] makes and follows; [`store`] is the SQL. A login passes four places:
//! `api/auth.rs`, `store/users.rs`, `hasher.rs`, `tokens.rs`.
//!
//! The service verifies tokens as any other does, with the keys that it has published.

pub mod config;
pub mod api;
pub mod users;
pub mod passwords;
pub mod hasher;
pub mod tokens;
pub mod keys;
pub mod keeper;
pub mod secret_key;
pub mod store;
pub mod error;

use std::{path::PathBuf, pin::pin, sync::Arc};

use shared::{
    clock::Clock,
    database::{Engine, OpenError},
    metrics::Metrics,
    on_engine,
    server::{self, Listeners, ServeError},
    trust::{Bearer, Verifier},
};

use crate::{
    config::Config,
    hasher::{HashFault, Hasher},
    keeper::KeeperFault,
    keys::{Key, State},
    store::SqlStore,
    tokens::TokenIssuer,
};

/// Serves until `shutdown` resolves and the calls under way have ended.
///
/// # Errors
/// When the database, the signing keys or the listener can not be used.
pub async fn serve(
    listeners: impl Into<Listeners>,
    config: Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StartError> {
    let mut shutdown = pin!(shutdown);
    on_engine!(config.database, DB => {
        let store = tokio::select! {
            store = SqlStore::<DB>::open(&config.database, clock.clone()) => store?,
            () = &mut shutdown => return Ok(()),
        };
        serve_from(store, listeners.into(), config, clock, shutdown).await
    })
}

/// Brings the schema of the database up to date.
///
/// # Errors
/// When the database does not open.
pub async fn migrate(config: &Config) -> Result<(), StartError> {
    on_engine!(config.database, DB => {
        SqlStore::<DB>::open(&config.database, Clock::system()).await?;
        Ok(())
    })
}

/// Every signing key and what it does now, in the order in which they sign.
///
/// # Errors
/// When the database is not there, does not open or does not answer.
pub async fn list_keys(config: &Config, clock: &Clock) -> Result<Vec<(State, Key)>, StartError> {
    on_engine!(config.database, DB => {
        Ok(keeper::list(&existing::<DB>(config, clock).await?, clock).await?)
    })
}

/// Makes the next signing key and returns it. A server on the same database takes it over within
/// a second.
///
/// # Errors
/// When the last one does not sign yet, or the database or the keys do not open.
pub async fn rotate_keys(config: &Config, clock: &Clock) -> Result<Key, StartError> {
    let (secret_key, delay) = (&config.secret_key, config.key_publish_delay);
    on_engine!(config.database, DB => {
        let store = existing::<DB>(config, clock).await?;
        Ok(keeper::rotate(&store, secret_key, delay, clock).await?)
    })
}

/// Opens a database that a server has made: an operator who mistypes its name must not get an empty
/// one.
async fn existing<DB: Engine>(config: &Config, clock: &Clock) -> Result<SqlStore<DB>, StartError> {
    match config.database.file() {
        Some(file) if !file.exists() => Err(StartError::NoDatabase(file)),
        _ => Ok(SqlStore::open(&config.database, clock.clone()).await?),
    }
}

async fn serve_from<DB: Engine>(
    store: SqlStore<DB>,
    listeners: Listeners,
    config: Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StartError> {
    let ring = Arc::new(keeper::open(&store, &config.secret_key, &clock).await?);
    let verifier = Arc::new(Verifier::new(config.expected.clone(), clock.clone()));
    keeper::teach(&verifier, &ring, &clock);
    let hasher = Hasher::start(config.hash_threads, config.hash_cost)?;
    let mut metrics = Metrics::default();
    store.report(&mut metrics);
    metrics.gauge("hash_queue_length", "Passwords that wait to be hashed", hasher.queue_length());
    let users = api::Users { store: store.clone(), hasher: hasher.clone() };
    let auth = api::Auth {
        store: store.clone(),
        hasher,
        issuer: TokenIssuer::new(
            config.expected.issuer,
            config.audiences,
            config.access_token_ttl,
            Arc::clone(&ring),
            clock.clone(),
        ),
        ring: Arc::clone(&ring),
        verifier: Arc::clone(&verifier),
        clock: clock.clone(),
    };
    let (bearer, request_size) =
        (Bearer::new(Arc::clone(&verifier)), config.server.limits.request_size);
    let service = api::service(auth, users, bearer, request_size, metrics);
    tokio::select! {
        ended = server::serve(listeners, &config.server, service, verifier.ready(), shutdown) => {
            Ok(ended?)
        }
        never = keeper::follow(store, ring, Arc::clone(&verifier), clock) => match never {},
    }
}

/// Why the service did not start, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no database yet.
    #[error("there is no database {}; a server or `migrate` makes it", .0.display())]
    NoDatabase(PathBuf),
    /// The signing keys can not be used.
    #[error(transparent)]
    Keys(#[from] KeeperFault),
    /// The hashing threads do not start.
    #[error("passwords can not be hashed: {0}")]
    Hasher(#[from] HashFault),
    /// The listener failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}
