//! How soon the issuer is tried again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::{
    backoff::{Backoff, spread},
    trust::Verifier,
};

/// With the time to connect, a verifier is back within two seconds of its issuer.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(150), most: Duration::from_millis(1500) };
/// The longest pause when the issuer has understood and refused: trying again will hardly help.
const REFUSED: Duration = Duration::from_secs(5);
/// How long at least between two times that tokens hurry an attempt, however many they are.
const HURRY: Duration = Duration::from_secs(10);

/// The pauses between attempts that fail in a row.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failures: u32,
}

impl Pace {
    /// The pause after one more failure.
    pub(crate) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        BACKOFF.pause(self.failures)
    }

    /// The pause after a refusal.
    pub(crate) fn refused() -> Duration {
        spread(REFUSED)
    }

    /// An attempt did not fail.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Tokens that can not be decided upon may hurry an attempt, but seldom: anybody can make them.
#[derive(Debug, Default)]
pub(super) struct Hurry {
    last: Option<Instant>,
}

impl Hurry {
    /// Waits until such a token is shown, and may hurry an attempt again.
    pub(super) async fn wanted(&self, verifier: &Verifier) {
        if let Some(last) = self.last {
            sleep_until(last + HURRY).await;
        }
        verifier.wanted().await;
    }

    /// An attempt has been hurried.
    pub(super) fn hurried(&mut self) {
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;
    use crate::{
        clock::{Clock, Time},
        testing::{Forge, expected},
        trust::Rejection,
    };

    #[test]
    fn pauses_begin_anew_after_a_success() {
        let mut pace = Pace::default();
        let last = (0..10).map(|_| pace.failed()).last();
        assert!(last.is_some_and(|pause| pause >= BACKOFF.most / 2));
        pace.succeeded();
        assert!(pace.failed() <= BACKOFF.first);
        assert!((REFUSED / 2..=REFUSED).contains(&Pace::refused()));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_hurry_once_in_ten_seconds() {
        let verifier = Verifier::new(expected("here"), Clock::manual(Time::from_seconds(0)));
        let forge = Forge::new();
        let claims = forge.claims(Uuid::new_v4(), "here", Time::from_seconds(0));
        let show =
            || assert_eq!(verifier.verify(&forge.sign(&claims)), Err(Rejection::Undecidable));
        let mut hurry = Hurry::default();
        assert!(hurry.wanted(&verifier).now_or_never().is_none(), "no token yet");
        show();
        assert!(hurry.wanted(&verifier).now_or_never().is_some());
        hurry.hurried();
        show();
        let began = Instant::now();
        hurry.wanted(&verifier).await;
        assert!(began.elapsed() >= HURRY);
    }
}
