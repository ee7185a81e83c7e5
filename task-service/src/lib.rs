//! Keeps users' projects and tasks, each user's own.
//!
//! Read in this order: [`api`] are the RPCs; [`tasks`] and [`projects`] are what they are about, made
//! of the small types in [`text`], [`etag`], [`pages`], [`sealed`] and [`keys`]; [`changes`] are what
//! those who watch are told, and [`feed`] wakes them; [`store`] is the SQL. A call of `CreateTask` passes
//! three places: the [`Bearer`](shared::trust::Bearer) interceptor, `api/tasks.rs`, and the store, whose
//! `group.rs` runs the writes that wait as one transaction. [`housekeeping`] purges what was deleted
//! long ago, and [`eraser`] whatever users had whose account is deleted.
//!
//! The service trusts the tokens of auth-service. It hears from it all the time what that takes, keeps
//! it in its own database, and asks nothing while it serves a call.

pub mod config;
pub mod api;
pub mod tasks;
pub mod projects;
pub mod text;
pub mod etag;
pub mod pages;
pub mod sealed;
pub mod keys;
pub mod changes;
pub mod feed;
pub mod store;
pub mod housekeeping;
pub mod eraser;
pub mod error;

use std::{pin::pin, sync::Arc};

use shared::{
    clock::Clock,
    database::Engine,
    erasure::follow_erasures,
    metrics::Metrics,
    on_engine,
    server::{self, Listeners, ServeError},
    trust::{Verifier, follow_trust},
};

use crate::{
    config::Config,
    store::{SqlStore, StoreFault},
};

/// Serves until `shutdown` resolves and the calls under way have ended.
///
/// # Errors
/// When the database does not open, or the listener fails.
pub async fn serve(
    listeners: impl Into<Listeners>,
    config: Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StartError> {
    let mut shutdown = pin!(shutdown);
    on_engine!(config.database, DB => {
        let store = tokio::select! {
            store = SqlStore::<DB>::open(&config.database, config.quotas, clock.clone()) => store?,
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
pub async fn migrate(config: &Config) -> Result<(), StoreFault> {
    on_engine!(config.database, DB => {
        SqlStore::<DB>::open(&config.database, config.quotas, Clock::system()).await?;
        Ok(())
    })
}

async fn serve_from<DB: Engine>(
    store: SqlStore<DB>,
    listeners: Listeners,
    config: Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StartError> {
    let verifier = Arc::new(Verifier::new(config.expected.clone(), clock.clone()));
    let (vault, heads) = (store.vault(), store.heads());
    let keys = vault.keys().await?;
    let mut metrics = Metrics::default();
    store.report(&mut metrics);
    verifier.report(&mut metrics);
    let service = api::service(store, keys, Arc::clone(&verifier), &config, metrics);
    tokio::select! {
        ended = server::serve(listeners, &config.server, service, verifier.readiness(), shutdown) => {
            ended?;
        }
        never = follow_trust(Arc::clone(&verifier), config.trust.clone(), vault.clone()) => {
            match never {}
        }
        never = follow_erasures(config.trust, vault.clone(), clock.clone()) => match never {},
        never = feed::follow(vault.clone(), heads) => match never {},
        never = housekeeping::keep(vault.clone(), config.retention, clock) => match never {},
    }
    if let Err(error) = vault.settle().await {
        tracing::warn!(%error, "the last writes stay in the file beside the database");
    }
    Ok(())
}

/// Why the service did not start, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database does not open, or does not answer.
    #[error(transparent)]
    Open(#[from] StoreFault),
    /// It does not answer any more.
    #[error(transparent)]
    Store(#[from] error::Error),
    /// The listener failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}
