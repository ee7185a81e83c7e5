//! Pauses between attempts: ever longer, and no two alike.

use std::time::Duration;

use uuid::Uuid;

/// How pauses grow while attempts fail in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The longest pause after the first failure; it doubles with each further one.
    pub(crate) first: Duration,
    /// The longest pause at all.
    pub(crate) most: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row.
    pub(crate) fn pause(self, failures: u32) -> Duration {
        spread(self.longest(failures))
    }

    fn longest(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.most)
    }
}

/// Half of it to all of it: those who have been cut off together do not come back together.
pub(crate) fn spread(most: Duration) -> Duration {
    most.mul_f64(0.5 + chance() / 2.0)
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let [.., a, b, c, d] = Uuid::new_v4().into_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(150), most: Duration::from_millis(1500) };

    #[test]
    fn pauses_grow_to_the_longest() {
        let millis = [1, 2, 3, 4, 5, 6, 7].map(|it| BACKOFF.longest(it).as_millis());
        assert_eq!(millis, [150, 300, 600, 1200, 1500, 1500, 1500]);
        assert_eq!(BACKOFF.longest(u32::MAX), BACKOFF.most);
    }

    #[test]
    fn pauses_are_spread_from_half_to_all() {
        let pauses: Vec<Duration> = (0..50).map(|_| BACKOFF.pause(10)).collect();
        let range = BACKOFF.most / 2..=BACKOFF.most;
        assert!(pauses.iter().all(|pause| range.contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
