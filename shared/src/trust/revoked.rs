//! What has been revoked, for whoever must know in less than a microsecond.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use uuid::Uuid;

use super::Revocation;
use crate::clock::Time;

/// Into how many parts the set is divided. Each grows by itself, so that a set of a million never
/// needs the room for two.
const PARTS: usize = 256;

/// The revocations that are known: 21 bytes each, and as much again at the worst.
pub(super) struct Revoked([RwLock<Part>; PARTS]);

/// What has been revoked, and until which second since 1970 that matters.
type Part = HashMap<Uuid, u32>;

impl Default for Revoked {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

impl Revoked {
    pub(super) fn contains(&self, id: Uuid) -> bool {
        read(self.part(id)).contains_key(&id)
    }

    pub(super) fn insert(&self, revocation: &Revocation) {
        let second = expiry(revocation.expire_time);
        let mut part = write(self.part(revocation.id));
        let known = part.entry(revocation.id).or_insert(second);
        *known = second.max(*known);
    }

    /// Forgets what has expired before this time.
    pub(super) fn forget_before(&self, time: Time) {
        let second = u32::try_from(time.seconds().max(0)).unwrap_or(u32::MAX);
        for part in &self.0 {
            let mut part = write(part);
            part.retain(|_, expiry| *expiry >= second);
            if part.len() < part.capacity() / 4 {
                part.shrink_to_fit();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|part| read(part).len()).sum()
    }

    /// Everything that is known, part by part: nobody is kept waiting for the whole.
    pub(super) fn all(&self) -> impl Iterator<Item = Revocation> {
        self.0.iter().flat_map(|part| {
            let part: Vec<_> = read(part).iter().map(|(id, expiry)| (*id, *expiry)).collect();
            part.into_iter().map(|(id, expiry)| Revocation {
                id,
                expire_time: Time::from_seconds(expiry.into()),
            })
        })
    }

    /// The part that an id belongs to, by its last byte, which is random.
    #[expect(clippy::indexing_slicing, reason = "there is a part for each value of a byte")]
    fn part(&self, id: Uuid) -> &RwLock<Part> {
        &self.0[usize::from(id.into_bytes()[15])]
    }
}

/// The second by which the last token has expired, rounded up.
fn expiry(time: Time) -> u32 {
    let whole = Time::from_seconds(time.seconds()) == time;
    let second = time.seconds().max(0).saturating_add(i64::from(!whole));
    u32::try_from(second).unwrap_or(u32::MAX)
}

fn read(part: &RwLock<Part>) -> RwLockReadGuard<'_, Part> {
    // Nothing that holds the lock can panic half-way.
    part.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(part: &RwLock<Part>) -> RwLockWriteGuard<'_, Part> {
    part.write().unwrap_or_else(PoisonError::into_inner)
}
