//! How often something may happen.

use std::{str::FromStr, time::Duration};

use shared::{clock::Time, env::parse_duration};

/// The most that may happen at once.
const MOST: u32 = 1_000_000;
/// The shortest and the longest time in which that may happen again.
const PERIODS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));

/// A bucket's size and how fast it fills: `burst` at once, and as much again evenly over `period`.
///
/// What is in a bucket follows from one time, when it will be full (the generic cell rate
/// algorithm): each thing taken from it moves that time by an equal part of the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    period: Duration,
}

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number and a time, as 10/10m: 1 to 1000000 in 1s to 24h")]
pub struct RateFault;

impl Rate {
    /// So many at once, and as many again over this time; at least one.
    #[must_use]
    pub const fn new(burst: u32, period: Duration) -> Self {
        Self { burst: if burst == 0 { 1 } else { burst }, period }
    }

    /// Takes one from a bucket that will be full at this time. Returns when it will be full then.
    ///
    /// # Errors
    /// How long it takes until there is one, when the bucket is empty.
    pub fn take(self, full_time: Time, now: Time) -> Result<Time, Duration> {
        let empty = now.plus(self.interval() * self.burst);
        // A clock that was set back, or a limit that was lowered, keeps nobody waiting for more than
        // what an empty bucket does.
        let full_time = full_time.clamp(now, empty).plus(self.interval());
        let wait = full_time.since(empty);
        if wait.is_zero() { Ok(full_time) } else { Err(wait) }
    }

    /// Puts one back that was taken.
    #[must_use]
    pub fn give_back(self, full_time: Time) -> Time {
        full_time.minus(self.interval())
    }

    /// How long it takes to fill in one: whole microseconds, as times are.
    fn interval(self) -> Duration {
        let micros = self.period.as_micros() / u128::from(self.burst);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl FromStr for Rate {
    type Err = RateFault;

    fn from_str(text: &str) -> Result<Self, RateFault> {
        let (burst, period) = text.split_once('/').ok_or(RateFault)?;
        let is_number = burst.bytes().all(|byte| byte.is_ascii_digit());
        let burst = burst.parse().ok().filter(|burst| is_number && (1..=MOST).contains(burst));
        let within = |period: &Duration| (PERIODS.0..=PERIODS.1).contains(period);
        let period = parse_duration(period).filter(within);
        burst.zip(period).map(|(burst, period)| Self { burst, period }).ok_or(RateFault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Time {
        Time::from_seconds(1_000)
    }

    /// Takes until there is none; how many that were, and the state of the bucket then.
    fn empty(rate: Rate, mut full_time: Time, now: Time) -> (u32, Time) {
        for count in 0.. {
            match rate.take(full_time, now) {
                Ok(later) => full_time = later,
                Err(_) => return (count, full_time),
            }
        }
        unreachable!()
    }

    #[test]
    fn a_burst_is_there_at_once_and_comes_back_evenly() {
        let rate: Rate = "10/10m".parse().unwrap();
        let (count, mut full_time) = empty(rate, Time::MIN, now());
        assert_eq!(count, 10);
        assert_eq!(rate.take(full_time, now()), Err(60 * SECOND));
        assert_eq!(rate.take(full_time, now().plus(59 * SECOND)), Err(SECOND));
        for minute in 1..=20 {
            let then = now().plus(60 * minute * SECOND);
            full_time = rate.take(full_time, then).unwrap();
            assert_eq!(rate.take(full_time, then), Err(60 * SECOND), "one each minute");
        }
        let later = now().plus(30 * 60 * SECOND);
        assert_eq!(empty(rate, full_time, later).0, 10, "never more than the burst");
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let rate: Rate = "3/1h".parse().unwrap();
        let (_, full_time) = empty(rate, now(), now());
        let full_time = rate.give_back(full_time);
        assert_eq!(empty(rate, full_time, now()).0, 1);
        // Given back late, when it had come back by itself, it is none too many.
        assert_eq!(empty(rate, rate.give_back(now()), now()).0, 3);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let rate: Rate = "10/10m".parse().unwrap();
        let (_, full_time) = empty(rate, now(), now().plus(1_000_000 * SECOND));
        assert_eq!(rate.take(full_time, now()), Err(60 * SECOND));
        assert_eq!(rate.take(Time::MAX, now()), Err(60 * SECOND));
    }

    #[test]
    fn the_extremes_are_held() {
        for (text, burst) in
            [("1000000/1s", MOST), ("1/24h", 1), ("7/1s", 7), ("999983/1h", 999_983)]
        {
            let rate: Rate = text.parse().unwrap();
            let (count, full_time) = empty(rate, now(), now());
            assert_eq!(count, burst, "{text}");
            let wait = rate.take(full_time, now()).unwrap_err();
            rate.take(full_time, now().plus(wait)).unwrap();
        }
    }

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        assert_eq!("10/10m".parse(), Ok(Rate::new(10, 600 * SECOND)));
        assert_eq!("1/1000ms".parse(), Ok(Rate::new(1, SECOND)));
        for bad in [
            "",
            "10",
            "/",
            "10/",
            "/1m",
            "0/1m",
            "-1/1m",
            "+1/1m",
            "1000001/1m",
            "1/999ms",
            "1/25h",
            "1/2d",
            "10/10",
            "10 / 10m",
            "10/10m/1",
            "1.5/1m",
            "10/1y",
            "99999999999/1m",
        ] {
            assert_eq!(bad.parse::<Rate>(), Err(RateFault), "{bad:?}");
        }
    }
}
