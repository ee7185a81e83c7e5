//! Keeps the signing keys: makes the first, adds the next, revokes one, seals them anew.

use std::time::Duration;

use shared::{clock::Clock, database::Engine};

use crate::{
    config::{LEAST_DELAY, SecretKeys},
    error::Error,
    keys::{FIRST, Key, KeyFault, KeyRing, Sealer, State, states},
    secret_key::{self, SecretKeyFault, Secrets},
    store::{KeyRevoked, SqlStore},
};

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
    /// No key has that id.
    #[error("there is no signing key {0}")]
    Unknown(String),
    /// Two operators have had the same thought.
    #[error("another process has changed the signing keys at the same moment")]
    Race,
}

/// The secrets that the signing keys are sealed with. The first start on an embedded database makes
/// one.
///
/// # Errors
/// When there is none, or the database does not answer.
pub async fn secrets<DB: Engine>(
    store: &SqlStore<DB>,
    config: &SecretKeys,
) -> Result<Secrets, KeeperFault> {
    let first_start = store.signing_keys().await?.is_empty();
    Ok(secret_key::load(config, first_start)?)
}

/// Opens the signing keys. The first start makes the first one.
///
/// # Errors
/// When they were sealed with other secrets, or the database does not answer.
pub async fn open<DB: Engine>(
    store: &SqlStore<DB>,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<KeyRing, KeeperFault> {
    let mut keys = store.signing_keys().await?;
    let sealer = Sealer::new(secrets)?;
    if keys.is_empty() {
        let now = clock.now();
        // Another process may win; then its key is the first.
        store.add_signing_key(sealer.make(FIRST, now, now)?, FIRST).await?;
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
    secrets: &Secrets,
    delay: Duration,
    clock: &Clock,
) -> Result<Key, KeeperFault> {
    let ring = open(store, secrets, clock).await?;
    let now = clock.now();
    let published = ring.published(now);
    if let Some((_, key)) = published.iter().find(|(state, _)| *state == State::Pending) {
        return Err(KeeperFault::Pending(key.public.kid().to_owned()));
    }
    let first_kept = published.first().map_or(FIRST, |(_, key)| key.seq);
    let next = published.last().map_or(FIRST, |(_, key)| key.seq + 1);
    let sealed = ring.sealer().make(next, now, now.plus(delay))?;
    let key = sealed.key.clone();
    if store.add_signing_key(sealed, first_kept).await? { Ok(key) } else { Err(KeeperFault::Race) }
}

/// Revokes a signing key: every token that it has signed ends, wherever it is known, at once. If no
/// key would sign after it, or soon, it gets a successor; the answer is that one.
///
/// # Errors
/// When there is no such key, or the keys can not be opened.
pub async fn revoke<DB: Engine>(
    store: &SqlStore<DB>,
    secrets: &Secrets,
    kid: &str,
    delay: Duration,
    clock: &Clock,
) -> Result<Option<Key>, KeeperFault> {
    // No key is opened: that is the way out when the secret key is lost, too.
    let sealer = Sealer::new(secrets)?;
    let now = clock.now();
    let keys = list(store, clock).await?;
    let unknown = || KeeperFault::Unknown(kid.to_owned());
    let (_, key) = keys.iter().find(|(_, key)| key.public.kid() == kid).ok_or_else(unknown)?;
    let others = || keys.iter().filter(|(_, other)| other.seq != key.seq);
    // The one before it takes over at once, if there is one: its tokens are known everywhere.
    let stands_alone = !others().any(|(state, _)| *state == State::Retiring);
    let delay = if stands_alone { LEAST_DELAY } else { delay };
    let soon = now.plus(delay);
    // The one after it may not sign before tomorrow: then no token could be issued until then.
    let is_followed = others().any(|(state, other)| match state {
        State::Active => true,
        State::Pending => other.activate_time <= soon,
        State::Retiring | State::Ended => false,
    });
    let next = keys.last().map_or(FIRST, |(_, key)| key.seq + 1);
    let successor = if is_followed { None } else { Some(sealer.make(next, now, soon)?) };
    let made = successor.as_ref().map(|sealed| sealed.key.clone());
    let is_kept = |(state, _): &&(State, Key)| *state != State::Ended;
    let first_kept = keys.iter().find(is_kept).map_or(FIRST, |(_, key)| key.seq);
    match store.revoke_signing_key(key.public.clone(), successor, first_kept).await? {
        KeyRevoked::Done => Ok(made),
        KeyRevoked::Unknown => Err(unknown()),
        KeyRevoked::PlaceTaken => Err(KeeperFault::Race),
    }
}

/// Has every verifier fetch everything anew. If revocations have been forgotten of tokens that may be
/// in force, because the clock was ahead, every signing key is replaced; the answer is the new one.
///
/// # Errors
/// When there is no secret key for the new one, or the database does not answer.
pub async fn reset<DB: Engine>(
    store: &SqlStore<DB>,
    config: &SecretKeys,
    clock: &Clock,
) -> Result<Option<Key>, KeeperFault> {
    let now = clock.now();
    let (state, keys) = store.trust().await?;
    let next = keys.last().map_or(FIRST, |sealed| sealed.key.seq + 1);
    let only = if state.forgotten > now {
        let sealer = Sealer::new(&secrets(store, config).await?)?;
        Some(sealer.make(next, now, now.plus(LEAST_DELAY))?)
    } else {
        None
    };
    let made = only.as_ref().map(|sealed| sealed.key.clone());
    if store.reset_trust(only).await? { Ok(made) } else { Err(KeeperFault::Race) }
}

/// Seals every signing key with the secret that is in force; the answer is how many. From then on the
/// previous one is not needed.
///
/// # Errors
/// When a key was sealed with neither, or the database does not answer.
pub async fn rewrap<DB: Engine>(
    store: &SqlStore<DB>,
    secrets: &Secrets,
) -> Result<usize, KeeperFault> {
    let (sealer, keys) = (Sealer::new(secrets)?, store.signing_keys().await?);
    let count = keys.len();
    for key in keys {
        let seed = sealer.reseal(&key)?;
        if !store.reseal_signing_key(key, seed).await? {
            return Err(KeeperFault::Race);
        }
    }
    Ok(count)
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
    Ok(states(&keys, clock.now()).into_iter().zip(keys).collect())
}
