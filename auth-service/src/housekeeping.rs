//! Forgets what nobody needs any more, a little at a time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use shared::{database::Engine, trust::Verifier};
use tokio::time::{MissedTickBehavior, interval};

use crate::{error::Error, store::SqlStore};

/// How often it looks for what can go.
const INTERVAL: Duration = Duration::from_mins(1);
/// How many rows go at once, so that other writes need not wait.
const BATCH: i64 = 500;

/// Keeps house, for as long as it is polled.
///
/// Dropping the future ends it at any point.
pub async fn keep<DB: Engine>(store: SqlStore<DB>, verifier: Arc<Verifier>) -> Infallible {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        verifier.forget();
        if let Err(error) = sweep(&store).await {
            tracing::warn!(%error, "what is over can not be deleted");
        }
    }
}

/// Deletes what is over.
///
/// # Errors
/// When the database is away.
pub async fn sweep<DB: Engine>(store: &SqlStore<DB>) -> Result<(), Error> {
    while is_full(store.sweep_sessions(BATCH).await?) {}
    while is_full(store.sweep_guesses(BATCH).await?) {}
    while is_full(store.sweep_revocations(BATCH).await?) {}
    Ok(())
}

/// Whether a batch of this many is followed by another.
fn is_full(count: usize) -> bool {
    i64::try_from(count).is_ok_and(|count| count == BATCH)
}
