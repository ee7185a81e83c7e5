//! The other end of a connection, as its calls see it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// What the calls of one connection share.
#[derive(Debug)]
pub(super) struct Peer {
    /// Where it is.
    pub(super) addr: SocketAddr,
    /// Room for streams.
    pub(super) streams: Arc<Semaphore>,
    offers: Offers,
}

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
        Self { addr, streams: Arc::new(Semaphore::new(streams)), offers: Offers::default() }
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

impl Drop for Offer {
    fn drop(&mut self) {
        self.peer.offers.lock(|open| open.remove(&self.key));
    }
}

impl Offers {
    fn lock<T>(&self, work: impl FnOnce(&mut BTreeSet<(Instant, u64)>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
