//! The other end of a connection, as its calls see it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// How many questions for health one connection may have open.
const CHECKS: usize = 16;

/// What the calls of one connection share.
#[derive(Debug)]
pub(super) struct Peer {
    /// Where it is.
    pub(super) addr: SocketAddr,
    /// Room for streams.
    pub(super) streams: Arc<Semaphore>,
    /// Room for questions for health.
    pub(super) checks: Arc<Semaphore>,
    calls: Calls,
    offers: Offers,
}

/// The calls that the peer has under way, and since when it has had none.
#[derive(Debug)]
struct Calls(Mutex<(usize, Instant)>);

/// A call of the peer, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Peer>);

/// Parts of answers that the peer has not taken yet, the oldest first.
///
/// A peer decides by flow control when it takes them, and whoever waits for it is not polled
/// meanwhile. So that no peer can leave answers in our memory for ever, its connection looks here.
#[derive(Debug, Default)]
struct Offers {
    open: Mutex<BTreeSet<(Instant, u64)>>,
    next: AtomicU64,
}

/// A part of an answer on its way. It has been taken when this is dropped.
#[derive(Debug)]
pub(super) struct Offer {
    peer: Arc<Peer>,
    key: (Instant, u64),
}

impl Peer {
    pub(super) fn new(addr: SocketAddr, streams: usize) -> Self {
        Self {
            addr,
            streams: Arc::new(Semaphore::new(streams)),
            checks: Arc::new(Semaphore::new(CHECKS)),
            calls: Calls::default(),
            offers: Offers::default(),
        }
    }

    /// Notes that the peer has a call.
    pub(super) fn call(self: &Arc<Self>) -> UnderWay {
        self.calls.lock().0 += 1;
        UnderWay(Arc::clone(self))
    }

    /// Whether the peer has had no call for this long.
    pub(super) fn is_idle(&self, patience: Duration) -> bool {
        let calls = self.calls.lock();
        calls.0 == 0 && calls.1.elapsed() > patience
    }

    /// Notes that a part of an answer is offered to the peer.
    pub(super) fn offer(self: &Arc<Self>) -> Offer {
        let key = (Instant::now(), self.offers.next.fetch_add(1, Ordering::Relaxed));
        self.offers.lock(|open| open.insert(key));
        Offer { peer: Arc::clone(self), key }
    }

    /// Whether the peer has left a part of an answer untaken for this long.
    pub(super) fn is_stuck(&self, patience: Duration) -> bool {
        self.offers.lock(|open| open.first().is_some_and(|(since, _)| since.elapsed() > patience))
    }
}

impl Offer {
    /// For how long it has been offered.
    pub(super) fn age(&self) -> Duration {
        self.key.0.elapsed()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.peer.offers.lock(|open| open.remove(&self.key));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut calls = self.0.calls.lock();
        *calls = (calls.0 - 1, Instant::now());
    }
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }
}

impl Offers {
    fn lock<T>(&self, work: impl FnOnce(&mut BTreeSet<(Instant, u64)>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
