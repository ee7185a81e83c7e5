//! What a verifier knows of its issuer, and since when.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use uuid::Uuid;

use super::{LEEWAY, News, PublicKey, Revocation, revoked::Revoked};
use crate::clock::{Clock, Time};

/// The keys and the revocations, as far as they have been heard of.
pub(super) struct Known {
    clock: Clock,
    keys: ArcSwap<HashMap<String, PublicKey>>,
    revoked: Revoked,
    /// Tokens that expired before this time, in microseconds, may have been revoked unknown to us.
    forgotten: AtomicI64,
    /// When the issuer was last heard of: microseconds on the clock that nobody sets.
    heard: AtomicI64,
}

/// The issuer was never heard of.
const NEVER: i64 = i64::MIN;
/// Nothing has been forgotten.
const NOTHING: i64 = i64::MIN;

impl Known {
    pub(super) fn nothing(clock: Clock) -> Self {
        Self {
            clock,
            keys: ArcSwap::default(),
            revoked: Revoked::default(),
            forgotten: AtomicI64::new(NOTHING),
            heard: AtomicI64::new(NEVER),
        }
    }

    /// Takes in what the issuer says. Nothing is forgotten here, so at no moment is less revoked than
    /// before.
    pub(super) fn learn(&self, news: &News) {
        for revocation in &news.revocations {
            self.revoked.insert(revocation);
        }
        if let Some(keys) = &news.keys {
            let by_kid = keys.iter().map(|key| (key.kid().to_owned(), key.clone()));
            self.keys.store(Arc::new(by_kid.collect()));
        }
        let forgotten = news.forgotten.map_or(NOTHING, Time::micros);
        if news.is_snapshot && news.head.is_some() {
            // The snapshot is whole: what we had forgotten ourselves is there again.
            self.forgotten.store(forgotten, Ordering::Release);
        } else {
            self.forgotten.fetch_max(forgotten, Ordering::AcqRel);
        }
        if news.head.is_some() {
            self.heard.store(self.clock.uptime(), Ordering::Release);
        }
    }

    /// Says that the issuer was last heard of at this time, which is from before a restart. By a clock
    /// that has been set back since, nobody knows how long ago that was.
    pub(super) fn heard_at(&self, time: Time) {
        let now = self.clock.now();
        if time <= now.plus(LEEWAY) {
            let ago = i64::try_from(now.since(time).as_micros()).unwrap_or(i64::MAX);
            self.heard.store(self.clock.uptime().saturating_sub(ago), Ordering::Release);
        }
    }

    /// How long the issuer has not been heard of; `None` if it never was.
    pub(super) fn staleness(&self) -> Option<Duration> {
        let heard = self.heard.load(Ordering::Acquire);
        let ago = self.clock.uptime().saturating_sub(heard);
        (heard != NEVER).then(|| Duration::from_micros(u64::try_from(ago).unwrap_or_default()))
    }

    pub(super) fn keys(&self) -> arc_swap::Guard<Arc<HashMap<String, PublicKey>>> {
        self.keys.load()
    }

    pub(super) fn is_revoked(&self, id: Uuid) -> bool {
        self.revoked.contains(id)
    }

    /// Whether it can not be known any more if a token was revoked that expires at this time.
    pub(super) fn has_forgotten(&self, expire_time: Time) -> bool {
        expire_time.micros() < self.forgotten.load(Ordering::Acquire)
    }

    /// Forgets the revocations of tokens that are refused as expired by now.
    pub(super) fn forget(&self) {
        let time = self.clock.now().minus(LEEWAY);
        self.forgotten.fetch_max(time.micros(), Ordering::AcqRel);
        self.revoked.forget_before(time);
    }

    /// The time before which it has forgotten; `None` if that is none.
    pub(super) fn forgotten(&self) -> Option<Time> {
        Time::from_micros(self.forgotten.load(Ordering::Acquire))
    }

    pub(super) fn count(&self) -> usize {
        self.revoked.len()
    }

    pub(super) fn revocations(&self) -> impl Iterator<Item = Revocation> {
        self.revoked.all()
    }
}
