//! Keeps the signing keys: makes the first, adds the next, follows what other processes add.

use std::{convert::Infallible, sync::Arc, time::Duration};

use shared::{clock::Clock, database::Engine, trust::Verifier};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    config::SecretKey,
    error::Error,
    keys::{Key, KeyFault, KeyRing, SealedKey, Sealer, State, states},
    secret_key::{self, SecretKeyFault},
    store::SqlStore,
};

/// How often the database is asked for keys that another process has added.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why the signing keys can not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeeperFault {
    /// There is no secret key to open them with.
    #[error(transparent)]
    SecretKey(#[from] SecretKeyFault),
    /// They do not open.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] Error),
    /// A new key would come before the last one signs.
    #[error("the signing key {0} is pending; the next can be made once it signs")]
    Pending(String),
    /// Two operators have had the same thought.
    #[error("another process has added a signing key at the same moment")]
    Race,
}

/// Opens the signing keys. The first start makes the first one.
///
/// # Errors
/// When the secret key is missing or another one than they were sealed with, or the database does
/// not answer.
pub async fn open<DB: Engine>(
    store: &SqlStore<DB>,
    secret_key: &SecretKey,
    clock: &Clock,
) -> Result<KeyRing, KeeperFault> {
    let mut keys = store.signing_keys().await?;
    let sealer = Sealer::new(&secret_key::load(secret_key, keys.is_empty())?)?;
    if keys.is_empty() {
        let now = clock.now();
        // Another process may win; then its key is the first.
        store.add_signing_key(sealer.make(1, now, now)?, 1).await?;
        keys = store.signing_keys().await?;
    }
    Ok(KeyRing::open(sealer, &keys)?)
}

/// Makes the next signing key, which signs after this delay, and forgets those that have ended.
///
/// # Errors
/// When the last one does not sign yet, or the keys can not be opened.
pub async fn rotate<DB: Engine>(
    store: &SqlStore<DB>,
    secret_key: &SecretKey,
    delay: Duration,
    clock: &Clock,
) -> Result<Key, KeeperFault> {
    let ring = open(store, secret_key, clock).await?;
    let now = clock.now();
    let published = ring.published(now);
    if let Some((_, key)) = published.iter().find(|(state, _)| *state == State::Pending) {
        return Err(KeeperFault::Pending(key.public.kid().to_owned()));
    }
    let first_kept = published.first().map_or(1, |(_, key)| key.seq);
    let next = published.last().map_or(1, |(_, key)| key.seq + 1);
    let sealed = ring.sealer().make(next, now, now.plus(delay))?;
    let key = sealed.key.clone();
    if store.add_signing_key(sealed, first_kept).await? { Ok(key) } else { Err(KeeperFault::Race) }
}

/// Every key in the database and what it does now. It opens none of them.
///
/// # Errors
/// When the database does not answer.
pub async fn list<DB: Engine>(
    store: &SqlStore<DB>,
    clock: &Clock,
) -> Result<Vec<(State, Key)>, KeeperFault> {
    let keys: Vec<Key> = store.signing_keys().await?.into_iter().map(|sealed| sealed.key).collect();
    let times: Vec<_> = keys.iter().map(|key| key.activate_time).collect();
    Ok(states(&times, clock.now()).into_iter().zip(keys).collect())
}

/// Keeps the ring and the verifier at what the database has, for as long as it is polled.
///
/// Dropping the future ends it at any point.
pub async fn follow<DB: Engine>(
    store: SqlStore<DB>,
    ring: Arc<KeyRing>,
    verifier: Arc<Verifier>,
    clock: Clock,
) -> Infallible {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match store.signing_keys().await {
            Ok(sealed) => renew(&ring, &sealed),
            Err(error) => {
                tracing::warn!(%error, "the signing keys can not be read");
                continue;
            }
        }
        teach(&verifier, &ring, &clock);
    }
}

/// Tells the verifier which keys the ring publishes now.
pub fn teach(verifier: &Verifier, ring: &KeyRing, clock: &Clock) {
    let published = ring.published(clock.now());
    verifier.learn(published.into_iter().map(|(_, key)| key.public).collect());
}

fn renew(ring: &KeyRing, sealed: &[SealedKey]) {
    if let Err(error) = ring.replace(sealed) {
        tracing::error!(%error, "a new signing key can not be used");
    }
}
