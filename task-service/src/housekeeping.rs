//! Forgets what nobody needs any more, a little at a time.

use std::{convert::Infallible, time::Duration};

use shared::{clock::Clock, database::Engine};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{
    error::Error,
    store::{Sweep, Vault},
};

/// How often it looks for what can go.
const INTERVAL: Duration = Duration::from_mins(10);
/// How many owners are looked at in one statement.
const OWNERS: i64 = 500;
/// How many rows of a table go in one transaction, so that other writes need not wait.
const BATCH: i64 = 500;

/// Keeps house, for as long as it is polled. What was deleted is purged after `retention`.
///
/// Dropping the future ends it at any point.
pub async fn keep<DB: Engine>(vault: Vault<DB>, retention: Duration, clock: Clock) -> Infallible {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(&vault, retention, &clock).await {
            tracing::warn!(%error, "what is over can not be deleted");
        }
    }
}

/// Deletes what is over, owner by owner. What can not be deleted keeps nothing else from it.
///
/// # Errors
/// When the database is away.
pub async fn sweep<DB: Engine>(
    vault: &Vault<DB>,
    retention: Duration,
    clock: &Clock,
) -> Result<(), Error> {
    let now = clock.now();
    let deleted_until = now.minus(retention);
    let (mut after, mut done) = (Some(Uuid::nil()), Ok(()));
    while let Some(last) = after {
        let (due, next) = vault.owners_to_sweep(last, deleted_until, now, OWNERS).await?;
        for owner in due {
            let swept = sweep_owner(vault, Sweep { owner, deleted_until, now, most: BATCH }).await;
            done = done.and(swept);
        }
        after = next;
    }
    done
}

async fn sweep_owner<DB: Engine>(vault: &Vault<DB>, sweep: Sweep) -> Result<(), Error> {
    // A batch that is not full in any table is the last.
    while vault.sweep(sweep).await? >= usize::try_from(BATCH).unwrap_or(usize::MAX) {}
    Ok(())
}
