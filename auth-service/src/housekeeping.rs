//! Forgets what nobody needs any more, a little at a time.

use std::{convert::Infallible, time::Duration};

use shared::database::Engine;
use tokio::time::{MissedTickBehavior, interval};

use crate::{error::Error, store::SqlStore};

/// How often it looks for what can go.
const INTERVAL: Duration = Duration::from_mins(1);
/// How many rows go at once, so that other writes need not wait.
const BATCH: i64 = 500;
/// How many sessions go at once, each with as many as a hundred refresh tokens.
const SESSIONS: i64 = 20;

/// Keeps house, for as long as it is polled.
///
/// Dropping the future ends it at any point.
pub async fn keep<DB: Engine>(store: SqlStore<DB>) -> Infallible {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(&store).await {
            tracing::warn!(%error, "what is over can not be deleted");
        }
    }
}

/// Deletes what is over. What can not be deleted keeps nothing else from it.
///
/// # Errors
/// When the database is away.
pub async fn sweep<DB: Engine>(store: &SqlStore<DB>) -> Result<(), Error> {
    let sessions = async {
        while is_full(store.sweep_sessions(SESSIONS).await?, SESSIONS) {}
        Ok(())
    };
    let guesses = async {
        while is_full(store.sweep_guesses(BATCH).await?, BATCH) {}
        Ok(())
    };
    let revocations = async {
        while is_full(store.sweep_revocations(BATCH).await?, BATCH) {}
        Ok(())
    };
    let answers = async {
        while is_full(store.sweep_answers(BATCH).await?, BATCH) {}
        Ok(())
    };
    sessions.await.and(guesses.await).and(revocations.await).and(answers.await)
}

/// Whether a batch of this many is followed by another.
fn is_full(count: usize, most: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count == most)
}
