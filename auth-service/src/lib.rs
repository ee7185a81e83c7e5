//! Registers users, logs them in, issues tokens, says which are good, and revokes them everywhere.
//!
//! Read in this order: [`api`] are the RPCs; [`users`], [`passwords`], [`sessions`] and [`services`] are
//! what they are about; [`guesses`] limits how often a password may be tried from a [`network`];
//! [`hasher`] checks them on threads of its own; [`request_ids`] knows a request again that is
//! repeated; [`tokens`] signs with the keys of [`keys`], which [`keeper`] makes; [`revocations`] are why
//! something ends early, and [`feed`] is how verifiers hear of it; [`erasures`] are users who have been
//! deleted, and [`eraser`] is this service's own part in that; [`store`] is the SQL. A login passes
//! five places: `api/auth.rs`, `hasher.rs`, `api/sessions.rs`, `store/sessions.rs`, `tokens.rs`.
//! [`commands`] are what operators do at a [`terminal`], and [`housekeeping`] deletes what is over.
//!
//! The service verifies tokens as any other does, by what it tells the others.

pub mod config;
pub mod api;
pub mod users;
pub mod passwords;
pub mod network;
pub mod guesses;
pub mod sessions;
pub mod services;
pub mod hasher;
pub mod request_ids;
pub mod tokens;
pub mod keys;
pub mod keeper;
pub mod revocations;
pub mod feed;
pub mod erasures;
pub mod eraser;
pub mod secret_key;
pub mod store;
pub mod commands;
pub mod terminal;
pub mod housekeeping;
pub mod error;

use std::{io::BufRead, path::PathBuf, pin::pin, sync::Arc};

use shared::{
    clock::Clock,
    database::Engine,
    metrics::Metrics,
    on_engine,
    server::{self, Listeners, Places, ServeError, Service},
    trust::Verifier,
};

use tokio::sync::watch;

use crate::{
    commands::{Command, CommandFault, Operator},
    config::Config,
    eraser::Backlog,
    feed::{Feed, Seen, Unread},
    guesses::Guesses,
    hasher::{HashFault, Hasher},
    keeper::KeeperFault,
    keys::{KeyFault, KeyRing},
    request_ids::RequestIds,
    secret_key::Secrets,
    sessions::Successors,
    store::{SqlStore, StoreFault},
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
        // On the heap: it holds everything that serving needs.
        Box::pin(serve_from(store, listeners.into(), config, clock, shutdown)).await
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

/// Does what an operator asks for, on the database of the server that these settings are of. The
/// answer is what is to be printed.
///
/// # Errors
/// When the database is not there, does not open or does not answer, or the command can not be done.
pub async fn operate(
    config: &Config,
    clock: &Clock,
    command: Command,
    input: &mut (dyn BufRead + Send),
) -> Result<String, StartError> {
    // An operator who mistypes the name of a database must not get an empty one.
    if let Some(file) = config.database.file().filter(|file| !file.exists()) {
        return Err(StartError::NoDatabase(file));
    }
    on_engine!(config.database, DB => {
        let store = SqlStore::<DB>::open(&config.database, clock.clone()).await?;
        Ok(Operator { store, config, clock }.perform(command, input).await?)
    })
}

async fn serve_from<DB: Engine>(
    store: SqlStore<DB>,
    listeners: Listeners,
    config: Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StartError> {
    let secrets = keeper::secrets(&store, &config.secret_keys).await?;
    let ring = Arc::new(keeper::open(&store, &secrets, &clock).await?);
    let verifier = Arc::new(Verifier::new(config.expected.clone(), clock.clone()));
    let feed =
        Feed::start(store.clone(), Arc::clone(&ring), Arc::clone(&verifier), clock.clone()).await?;
    let settings = config.server.clone();
    let ready = verifier.readiness();
    let (seen, backlog) = (feed.seen(), Backlog::default());
    let mut service =
        service(store.clone(), &config, &secrets, ring, verifier, feed.seen(), clock.clone())?;
    backlog.report(&mut service.metrics, clock);
    tokio::select! {
        ended = server::serve(listeners, &settings, service, ready, shutdown) => ended?,
        never = feed.follow() => match never {},
        never = eraser::keep(store.clone(), seen, backlog) => match never {},
        never = housekeeping::keep(store.clone()) => match never {},
    }
    if let Err(error) = store.settle().await {
        tracing::warn!(%error, "the last writes stay in the file beside the database");
    }
    Ok(())
}

/// The RPCs, with what each of them works with.
fn service<DB: Engine>(
    store: SqlStore<DB>,
    config: &Config,
    secrets: &Secrets,
    ring: Arc<KeyRing>,
    verifier: Arc<Verifier>,
    seen: watch::Receiver<Arc<Seen>>,
    clock: Clock,
) -> Result<Service, StartError> {
    let hasher = Hasher::start(config.hash_threads, config.hash_cost)?;
    let metrics = metrics(&store, &hasher, &verifier);
    let guard = api::Guard {
        store: store.clone(),
        hasher,
        guesses: Arc::new(Guesses::new(&secrets.current, config.guess_limits)?),
        proxies: config.trusted_proxies.clone(),
    };
    let audiences = config.audiences.clone();
    let issuer = TokenIssuer::new(&config.expected, audiences, Arc::clone(&ring), clock.clone());
    let sessions = api::Sessions {
        store: store.clone(),
        issuer: issuer.clone(),
        successors: secrets.each().map(Successors::new).collect::<Result<_, _>>()?,
        lives: config.lives.clone(),
        clock: clock.clone(),
    };
    let request_ids = RequestIds::new(&secrets.current)?;
    let users = api::Users {
        store: store.clone(),
        guard: guard.clone(),
        request_ids: request_ids.clone(),
        clock: clock.clone(),
    };
    let trust = api::Trust {
        store: store.clone(),
        seen,
        verifier: Arc::clone(&verifier),
        places: Places::new(api::MOST_STREAMS),
    };
    let turns = api::Turns::default();
    let auth =
        api::Auth { store, guard, sessions, issuer, ring, verifier, request_ids, turns, clock };
    Ok(api::service(auth, users, trust, config.server.limits.request_size, metrics))
}

fn metrics<DB: Engine>(store: &SqlStore<DB>, hasher: &Hasher, verifier: &Arc<Verifier>) -> Metrics {
    let mut metrics = Metrics::default();
    store.report(&mut metrics);
    metrics.gauge("hash_queue_length", "Passwords that wait to be hashed", hasher.queue_length());
    let known = Arc::clone(verifier);
    metrics.gauge("trust_revocations", "Revocations of tokens that may be alive", move || {
        known.revocations()
    });
    metrics
}

/// Why the service did not start, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database does not open, or does not answer.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// What has been revoked can not be read.
    #[error(transparent)]
    Read(#[from] Unread),
    /// There is no database yet.
    #[error("there is no database {}; a server or `migrate` makes it", .0.display())]
    NoDatabase(PathBuf),
    /// The signing keys can not be used.
    #[error(transparent)]
    Keys(#[from] KeeperFault),
    /// No keys can be derived from the secret key.
    #[error(transparent)]
    Derive(#[from] KeyFault),
    /// An operator's command can not be done.
    #[error(transparent)]
    Command(#[from] CommandFault),
    /// The hashing threads do not start.
    #[error("passwords can not be hashed: {0}")]
    Hasher(#[from] HashFault),
    /// The listener failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}
