//! The part of auth-service itself in each erasure: it has confirmed when no file holds anything any more of
//! what was deleted with the account. And how many erasures are not complete, for whoever watches that.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shared::{clock::Clock, database::Engine, metrics::Metrics};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    error::Error,
    feed::Seen,
    store::{Pending, SqlStore},
};

/// How often it looks, at the least.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often at the most.
const PAUSE: Duration = Duration::from_millis(100);
/// How many erasures are confirmed in one go.
const BATCH: i64 = 100;

/// The erasures that are not complete, as they were last seen.
#[derive(Debug, Clone, Default)]
pub struct Backlog(Arc<Mutex<Pending>>);

impl Backlog {
    /// Shows it to whoever watches the service.
    pub fn report(&self, metrics: &mut Metrics, clock: Clock) {
        let it = self.clone();
        let help = "Erasures of users that a service has not confirmed";
        metrics.gauge("erasures_pending", help, move || {
            usize::try_from(it.seen().count).unwrap_or_default()
        });
        let it = self.clone();
        let help = "How long the first of them has been waiting";
        metrics.gauge("erasures_pending_seconds", help, move || {
            let waited = it.seen().since.map(|since| clock.now().since(since));
            waited.unwrap_or_default().as_secs_f64()
        });
    }

    fn seen(&self) -> Pending {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, pending: Pending) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = pending;
    }
}

/// Confirms what this service has erased, for as long as it is polled.
///
/// Dropping the future ends it at any point.
pub async fn keep<DB: Engine>(
    store: SqlStore<DB>,
    mut seen: watch::Receiver<Arc<Seen>>,
    backlog: Backlog,
) -> Infallible {
    let (mut failing, mut next) = (false, Instant::now());
    loop {
        let known = seen.borrow_and_update().state.head;
        let mut done = confirm(&store).await;
        if next <= Instant::now() {
            done = done.and(look(&store, &backlog).await);
            next = Instant::now() + INTERVAL;
        }
        if let Err(error) = &done
            && !failing
        {
            tracing::warn!(%error, "who is deleted can not be erased here now");
        }
        failing = done.is_err();
        // A deletion moves the head.
        let moved = seen.wait_for(|seen| !failing && seen.state.head != known);
        drop(timeout_at(next, moved).await);
        sleep(PAUSE).await;
    }
}

async fn confirm<DB: Engine>(store: &SqlStore<DB>) -> Result<(), Error> {
    loop {
        let users = store.own_pending_erasures(BATCH).await?;
        if users.is_empty() {
            return Ok(());
        }
        store.purge().await?;
        for user in users {
            store.confirm_own_erasure(user).await?;
        }
    }
}

async fn look<DB: Engine>(store: &SqlStore<DB>, backlog: &Backlog) -> Result<(), Error> {
    backlog.see(store.pending_erasures().await?);
    Ok(())
}
