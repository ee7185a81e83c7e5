//! How often anybody may guess a password.
//!
//! An attempt takes from buckets before the password is looked at. That of the account and the
//! network together is strict. Those of the account, from wherever, and of the network, whatever the
//! account, are loose, and they do not count where the owner has logged in from that network before:
//! whoever empties them elsewhere locks nobody out. A name that nobody has is an account like any
//! other.
//!
//! A success takes from a bucket too, a large one of the account: each login may end in a revocation,
//! which every verifier has to remember.
//!
//! Buckets are known by keys that tell nobody whose they are: the database holds no name and no
//! address for their sake.

mod rate;
mod limits;
mod keys;

use std::time::Duration;

use shared::clock::Time;
use uuid::Uuid;

pub use keys::{Guesses, Whose};
pub use limits::Limits;
pub use rate::{Rate, RateFault};

/// How long it is remembered that somebody has logged in from a network.
const MEMORY: Duration = Duration::from_hours(90 * 24);

/// What is about to be tried.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The bucket that it always takes from, and that a success fills.
    strict: Bucket,
    /// Those that it takes from unless `known` is on record. A success puts it back.
    loose: Vec<Bucket>,
    /// What a success puts on record. There must be room for it.
    success: Option<Success>,
}

/// An attempt that has taken its place. Dropped, it keeps it: then it was a wrong guess.
#[derive(Debug, Clone)]
#[must_use = "an attempt that succeeds, or does not come about, gives back what it has taken"]
pub struct Taken {
    /// The buckets that it took from, the strict one first.
    taken: Vec<Bucket>,
    success: Option<Success>,
}

/// What is on record of the passwords that were right.
#[derive(Debug, Clone, Copy)]
struct Success {
    /// The key under which it is that the account is used from this network.
    known: Uuid,
    /// The bucket of the account that each takes from.
    bucket: Bucket,
}

/// What is to be on record: under each key until when.
pub type Changes = Vec<(Uuid, Time)>;

/// A bucket, whatever is in it.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    key: Uuid,
    rate: Rate,
}

impl Attempt {
    /// The keys of what it takes from.
    pub fn buckets(&self) -> impl Iterator<Item = Uuid> {
        self.loose.iter().chain([&self.strict]).map(|bucket| bucket.key)
    }

    /// The keys of everything that tells whether it may be made.
    pub fn keys(&self) -> impl Iterator<Item = Uuid> {
        self.buckets().chain(self.success.iter().flat_map(Success::keys))
    }

    /// Takes from all its buckets, or from none. `end_time` is until when something is on record.
    ///
    /// # Errors
    /// How long it takes until all of them have something in them.
    pub fn take(
        &self,
        now: Time,
        end_time: impl Fn(Uuid) -> Time,
    ) -> Result<(Taken, Changes), Duration> {
        let known = self.success.is_some_and(|success| end_time(success.known) > now);
        let mut taken = vec![self.strict];
        if !known {
            taken.extend(&self.loose);
        }
        let (mut changes, mut longest) = (Changes::new(), Duration::ZERO);
        for bucket in &taken {
            match bucket.rate.take(end_time(bucket.key), now) {
                Ok(full_time) => changes.push((bucket.key, full_time)),
                Err(wait) => longest = longest.max(wait),
            }
        }
        if let Some(Success { bucket, .. }) = self.success
            && let Err(wait) = bucket.rate.take(end_time(bucket.key), now)
        {
            longest = longest.max(wait);
        }
        let taken = Taken { taken, success: self.success };
        if longest.is_zero() { Ok((taken, changes)) } else { Err(longest) }
    }
}

impl Taken {
    /// The keys of everything that is kept about it.
    pub fn keys(&self) -> impl Iterator<Item = Uuid> {
        let success = self.success.iter().flat_map(Success::keys);
        self.taken.iter().map(|bucket| bucket.key).chain(success)
    }

    /// What changes when it has not come about.
    pub fn give_back(&self, end_time: impl Fn(Uuid) -> Time) -> Changes {
        let back = |bucket: &Bucket| (bucket.key, bucket.rate.give_back(end_time(bucket.key)));
        self.taken.iter().map(back).collect()
    }

    /// What changes when the password was right: it was no guess, nor were those before it.
    pub fn forgive(&self, now: Time, end_time: impl Fn(Uuid) -> Time) -> Changes {
        let mut changes = self.give_back(&end_time);
        if let Some((_, full_time)) = changes.first_mut() {
            *full_time = now;
        }
        if let Some(Success { known, bucket }) = self.success {
            changes.push((known, now.plus(MEMORY)));
            // Of many at once all may come when there is room for one.
            let full_time = bucket.rate.take(end_time(bucket.key), now);
            changes.extend(full_time.ok().map(|full_time| (bucket.key, full_time)));
        }
        changes
    }
}

impl Success {
    fn keys(&self) -> [Uuid; 2] {
        [self.known, self.bucket.key]
    }
}
