//! How soon the issuer is tried again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::trust::Verifier;

/// The longest pause after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(150);
/// The longest pause at all. With the time to connect, a verifier is back within two seconds of its
/// issuer.
const MOST: Duration = Duration::from_millis(1500);
/// The longest pause when the issuer has understood and refused: trying again will hardly help.
const REFUSED: Duration = Duration::from_secs(5);
/// How long at least between two times that tokens hurry an attempt, however many they are.
const HURRY: Duration = Duration::from_secs(10);

/// The pauses between attempts that fail in a row.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Pace {
    /// The pause after one more failure.
    pub(super) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        pause(self.failures, chance())
    }

    /// The pause after a refusal.
    pub(super) fn refused() -> Duration {
        spread(REFUSED, chance())
    }

    /// An attempt did not fail.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// How long to wait after this many failures in a row.
fn pause(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1);
    spread(FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(MOST), chance)
}

/// Half of it to all of it: those who have been cut off together do not come back together.
fn spread(most: Duration, chance: f64) -> Duration {
    most.mul_f64(0.5 + chance / 2.0)
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let [.., a, b, c, d] = Uuid::new_v4().into_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
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

    use super::*;
    use crate::{
        clock::{Clock, Time},
        testing::{Forge, expected},
        trust::Rejection,
    };

    #[test]
    fn pauses_grow_to_the_longest() {
        let millis = |chance| [1, 2, 3, 4, 5, 6, 7].map(|it| pause(it, chance).as_millis());
        assert_eq!(millis(1.0), [150, 300, 600, 1200, 1500, 1500, 1500]);
        assert_eq!(millis(0.0), [75, 150, 300, 600, 750, 750, 750]);
        assert_eq!(pause(u32::MAX, 1.0), MOST);
    }

    #[test]
    fn pauses_are_spread_and_begin_anew_after_a_success() {
        let mut pace = Pace::default();
        let pauses: Vec<Duration> = (0..50).map(|_| pace.failed()).skip(10).collect();
        assert!(pauses.iter().all(|pause| (MOST / 2..=MOST).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        pace.succeeded();
        assert!(pace.failed() <= FIRST);
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
