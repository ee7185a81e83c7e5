//! Time, passed in. Nothing but [`Clock::system`] asks the system what time it is.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prost_types::Timestamp;
use rustix::time::{ClockId, clock_gettime};

const MICROS: i64 = 1_000_000;

/// A point in time: whole microseconds since 1970-01-01T00:00:00Z, the finest that every database
/// keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// 0001-01-01T00:00:00Z, the first moment of a protobuf timestamp.
    pub const MIN: Self = Self(-62_135_596_800 * MICROS);
    /// 9999-12-31T23:59:59.999999Z, the last moment of a protobuf timestamp.
    pub const MAX: Self = Self(253_402_300_800 * MICROS - 1);

    /// A time read back from where [`Time::micros`] was kept; `None` outside the range.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&micros).then_some(Self(micros))
    }

    /// A time in whole seconds since 1970, as in a JWT; held to the range.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS)).held()
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// This much later; held to the range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration))).held()
    }

    /// How much later this is than another time; nothing if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }

    /// This much earlier; held to the range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration))).held()
    }

    fn held(self) -> Self {
        self.clamp(Self::MIN, Self::MAX)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        let nanos = i32::try_from(time.0.rem_euclid(MICROS) * 1_000).unwrap_or_default();
        Self { seconds: time.seconds(), nanos }
    }
}

impl TryFrom<Timestamp> for Time {
    type Error = TimeOutOfRange;

    /// Cuts what is finer than a microsecond.
    fn try_from(timestamp: Timestamp) -> Result<Self, TimeOutOfRange> {
        if !(0..1_000_000_000).contains(&timestamp.nanos) {
            return Err(TimeOutOfRange);
        }
        let micros = timestamp.seconds.checked_mul(MICROS).ok_or(TimeOutOfRange)?;
        let micros = micros.checked_add(i64::from(timestamp.nanos) / 1_000);
        micros.and_then(Self::from_micros).ok_or(TimeOutOfRange)
    }
}

/// A timestamp that is no time between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z")]
pub struct TimeOutOfRange;

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<Manual>),
}

/// A clock on the wall, which can be set, and the time that goes on whatever it shows.
struct Manual {
    shows: AtomicI64,
    uptime: AtomicI64,
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved; its clones move with it.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        let clock = Manual { shows: AtomicI64::new(start.0), uptime: AtomicI64::new(0) };
        Self(Source::Manual(Arc::new(clock)))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::Manual(clock) => Time(clock.shows.load(Ordering::SeqCst)),
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
                let now = SystemTime::now();
                // A clock set before 1970 is not worth an error in every caller, and 0 is taken: in
                // a database it may mean never.
                Time(micros(now.duration_since(UNIX_EPOCH).unwrap_or_default()).max(1)).held()
            }
        }
    }

    /// Microseconds that have passed since some moment. Nobody sets that back or forward.
    #[must_use]
    pub fn uptime(&self) -> i64 {
        match &self.0 {
            Source::Manual(clock) => clock.uptime.load(Ordering::SeqCst),
            Source::System => {
                // Unlike `Instant` it goes on while the machine sleeps.
                let uptime = clock_gettime(ClockId::Boottime);
                uptime.tv_sec.saturating_mul(MICROS).saturating_add(uptime.tv_nsec / 1_000)
            }
        }
    }

    /// Sets a manual clock, as an operator would, while no time passes; the machine's is left alone.
    pub fn set(&self, time: Time) {
        if let Source::Manual(clock) = &self.0 {
            clock.shows.store(time.0, Ordering::SeqCst);
        }
    }

    /// Lets time pass on a manual clock; the machine's is left alone.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().plus(duration));
        if let Source::Manual(clock) = &self.0 {
            clock.uptime.fetch_add(micros(duration), Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Source::System => f.write_str("Clock(system)"),
            Source::Manual(_) => write!(f, "Clock({:?})", self.now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_comes_back_cut_to_microseconds() {
        for (seconds, nanos, kept) in [
            (0, 0, 0),
            (1, 999_999_999, 999_999_000),
            (-1, 1, 0),
            (-62_135_596_800, 0, 0),
            (253_402_300_799, 999_999_999, 999_999_000),
        ] {
            let time = Time::try_from(Timestamp { seconds, nanos }).unwrap();
            assert_eq!(Timestamp::from(time), Timestamp { seconds, nanos: kept });
        }
    }

    #[test]
    fn a_timestamp_out_of_range_is_refused() {
        for (seconds, nanos) in [
            (-62_135_596_801, 999_999_999),
            (253_402_300_800, 0),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, 0),
            (i64::MIN, 0),
        ] {
            assert_eq!(Time::try_from(Timestamp { seconds, nanos }), Err(TimeOutOfRange));
        }
    }
}
