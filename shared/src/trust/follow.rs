//! Keeps a verifier's keys current, and keeps them through a restart.

use std::{convert::Infallible, fmt::Display, sync::Arc, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tonic::transport::Channel;

use super::{Issuer, PublicKey, Verifier};
use crate::{
    pb::auth::{ListSigningKeysRequest, auth_service_client::AuthServiceClient},
    server::causes,
};

/// How often the keys are fetched. The issuer publishes a key for longer than this before it signs.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause after a fetch that failed; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long at least between two fetches that tokens of unknown keys ask for.
const WANTED_INTERVAL: Duration = Duration::from_secs(10);

/// Where a verifier keeps its keys, so that its service starts and works while the issuer is away.
pub trait SnapshotStore: Send + Sync + 'static {
    /// Why the keys can not be loaded or saved.
    type Error: Display + Send;

    /// The keys saved last; none if there never were any.
    fn load(&self) -> impl Future<Output = Result<Vec<PublicKey>, Self::Error>> + Send;

    /// Keeps these keys in place of any before.
    fn save(&self, keys: &[PublicKey]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Recalls the saved keys, then fetches them from the issuer for as long as it is polled.
///
/// Dropping the future ends it at any point.
pub async fn follow_keys<S: SnapshotStore>(
    verifier: Arc<Verifier>,
    issuer: Issuer,
    store: S,
) -> Infallible {
    let mut known = store.load().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the saved signing keys can not be loaded");
        Vec::new()
    });
    if !known.is_empty() {
        verifier.recall(known.clone());
    }
    let mut client = None;
    let mut failures = 0;
    let mut last_wanted = None;
    loop {
        match fetch(&issuer, &mut client).await {
            Ok(keys) => {
                if failures > 0 {
                    tracing::info!(failures, "the signing keys can be fetched again");
                }
                failures = 0;
                verifier.learn(keys.clone());
                if keys != known && save(&store, &keys).await {
                    known = keys;
                }
            }
            Err(reason) => {
                // Once is enough for the operator, who is told when it is over too.
                if failures == 0 {
                    let url = issuer.url();
                    tracing::warn!(%url, reason, "the signing keys can not be fetched");
                }
                failures += 1;
            }
        }
        tokio::select! {
            () = sleep(pause(failures)) => {}
            () = wanted(&verifier, last_wanted) => last_wanted = Some(Instant::now()),
        }
    }
}

/// How long to wait after this many fetches in a row have failed.
fn pause(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return INTERVAL };
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(INTERVAL)
}

/// Waits until an unknown key asks for a fetch that is due.
async fn wanted(verifier: &Verifier, last: Option<Instant>) {
    if let Some(last) = last {
        tokio::time::sleep_until(last + WANTED_INTERVAL).await;
    }
    verifier.wanted().await;
}

async fn save<S: SnapshotStore>(store: &S, keys: &[PublicKey]) -> bool {
    let saved = store.save(keys).await;
    if let Err(error) = &saved {
        tracing::warn!(%error, "the signing keys can not be saved");
    }
    saved.is_ok()
}

type Client = AuthServiceClient<Channel>;

/// The keys that the issuer names. After a failure the next connection is a new one, with the
/// authorities that are trusted then.
async fn fetch(issuer: &Issuer, client: &mut Option<Client>) -> Result<Vec<PublicKey>, String> {
    let mut connected = match client.take() {
        Some(client) => client,
        None => connect(issuer.clone()).await?,
    };
    let keys = list(&mut connected).await?;
    *client = Some(connected);
    Ok(keys)
}

/// Makes a new connection. That reads files, and a file system that hangs must not hang the service.
async fn connect(issuer: Issuer) -> Result<Client, String> {
    let channel = timeout(TIMEOUT, spawn_blocking(move || issuer.channel())).await;
    let channel = channel.map_err(|_| "the authorities can not be read in time")?;
    Ok(Client::new(channel.map_err(|panic| panic.to_string())??))
}

/// Asks for the keys. One that is malformed spoils the answer: it is not the issuer's.
async fn list(issuer: &mut Client) -> Result<Vec<PublicKey>, String> {
    let answer = timeout(TIMEOUT, issuer.list_signing_keys(ListSigningKeysRequest {})).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())?;
    let keys = answer.map_err(|status| reason(&status))?.into_inner().signing_keys;
    if keys.is_empty() {
        return Err("the issuer names no key".to_owned());
    }
    keys.iter().map(|key| PublicKey::try_from(key).map_err(|fault| fault.to_string())).collect()
}

/// What the issuer says, or what the connection to it says.
fn reason(status: &tonic::Status) -> String {
    match std::error::Error::source(status) {
        Some(cause) => causes(cause),
        None => format!("{}: {}", status.code(), status.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_interval_and_stay_there_until_a_fetch_succeeds() {
        let pauses = [0, 1, 2, 3, 4, 5, 6, 7].map(|failures| pause(failures).as_millis());
        assert_eq!(pauses, [5000, 250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pause(u32::MAX), INTERVAL);
    }
}
