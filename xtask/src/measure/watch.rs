//! How long tokens are accepted after what ends them has been answered.
//!
//! Each verifier is called with each of the tokens in a loop, one call after another without a pause,
//! from before the revocation until the first refusal, which must be `TOKEN_REVOKED`. The figure of a
//! verifier is the time from the moment when the answer of what revokes (or the exit of the operator's
//! command) was here to the moment when the answer of the last accepted call was here; nothing, if that
//! came before. An answer counts by when it arrives, so a figure contains the way back of that call, and
//! the time that it waited for a core: it is never less than what a verifier took.

use std::time::{Duration, Instant};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{error::Elapsed, timeout},
};
use tonic::{Status, transport::Channel};

use crate::{
    Failure,
    call::{is_revoked, told},
    people::call,
};

/// How long a token may be accepted before the measurement gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long tokens were accepted.
pub(super) struct Accepted {
    /// For each token, how long each verifier accepted it.
    pub(super) after: Vec<Vec<Duration>>,
    /// How many calls were accepted.
    pub(super) calls: u64,
}

/// One verifier and one token.
struct Watch {
    verifier: usize,
    token: usize,
    /// When the last accepted call was answered.
    last: Instant,
    calls: u64,
}

/// Has every verifier called with these tokens while something revokes them.
pub(super) async fn revoked<F>(
    verifiers: &[Channel],
    tokens: &[String],
    revoke: impl FnOnce() -> F,
) -> Result<Accepted, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let (accepts, mut accepted) = mpsc::channel(1);
    let mut watches = JoinSet::new();
    for (verifier, channel) in verifiers.iter().enumerate() {
        for (token, text) in tokens.iter().enumerate() {
            let (channel, text, accepts) = (channel.clone(), text.clone(), accepts.clone());
            watches.spawn(async move {
                let watch = watch(&channel, &text, accepts).await?;
                Ok(Watch { verifier, token, ..watch })
            });
        }
    }
    drop(accepts);
    for _ in 0..verifiers.len() * tokens.len() {
        if accepted.recv().await.is_none() {
            break;
        }
    }
    let revoked = revoke().await;
    let answered = Instant::now();
    revoked?;
    let mut after = vec![vec![Duration::ZERO; verifiers.len()]; tokens.len()];
    let mut calls = 0;
    while let Some(watch) = watches.join_next().await {
        let watch: Result<Watch, Failure> = watch?;
        let watch = watch?;
        calls += watch.calls;
        if let Some(time) = after.get_mut(watch.token).and_then(|it| it.get_mut(watch.verifier)) {
            *time = watch.last.saturating_duration_since(answered);
        }
    }
    Ok(Accepted { after, calls })
}

/// Calls until the token is refused, and says when it was accepted for the first time.
async fn watch(
    verifier: &Channel,
    token: &str,
    accepts: mpsc::Sender<()>,
) -> Result<Watch, Failure> {
    let first = timed(call(verifier, token)).await?;
    first.map_err(|status| format!("a new token is refused: {}", told(&status)))?;
    let mut watch = Watch { verifier: 0, token: 0, last: Instant::now(), calls: 1 };
    // Whoever does not wait for it has failed already.
    let _ = accepts.send(()).await;
    drop(accepts);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match timed(call(verifier, token)).await? {
            Ok(()) => (watch.last, watch.calls) = (Instant::now(), watch.calls + 1),
            Err(status) if is_revoked(&status) => return Ok(watch),
            Err(status) => return Err(format!("a call is answered {}", told(&status)).into()),
        }
    }
    Err(format!("a token is still accepted after {PATIENCE:?}").into())
}

async fn timed(
    call: impl Future<Output = Result<(), Status>>,
) -> Result<Result<(), Status>, Elapsed> {
    timeout(PATIENCE, call).await
}
