//! Who is served now, and who is asked to come back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::{Limits, peer::Peer, rpcs::Kind};
use crate::{metrics::Metrics, status::overloaded};

/// How many questions for health may be open: enough for everybody who has a reason to ask, and
/// no way to fill the memory for the others.
const CHECKS: usize = 1_024;

/// The places for calls, for streams and for questions for health.
#[derive(Debug)]
pub(super) struct Admission {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    checks: Arc<Semaphore>,
}

/// A call's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _in_all: Option<OwnedSemaphorePermit>,
    _on_connection: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(super) fn new(limits: &Limits, metrics: &mut Metrics) -> Self {
        let places = |most: usize, metrics: &mut Metrics, name, help| {
            let places = Arc::new(Semaphore::new(most));
            let free = Arc::clone(&places);
            metrics.gauge(name, help, move || most - free.available_permits());
            places
        };
        Self {
            calls: places(limits.calls, metrics, "server_calls", "Calls under way"),
            streams: places(limits.streams, metrics, "server_streams", "Open streams"),
            checks: Arc::new(Semaphore::new(CHECKS)),
        }
    }

    /// Gives a call its place. It is never queued: a client that is told to come back has a choice.
    pub(super) fn admit(&self, kind: Kind, peer: &Peer) -> Result<Place, Status> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let (in_all, on_connection) = match kind {
            Kind::Check => {
                let own = take(&peer.checks);
                let own = own.ok_or_else(|| overloaded("this connection asks too often"))?;
                let place = take(&self.checks);
                let place = place.ok_or_else(|| overloaded("too many ask for health"))?;
                (Some(place), Some(own))
            }
            Kind::Unary => {
                let place = take(&self.calls);
                (Some(place.ok_or_else(|| overloaded("too many calls are under way"))?), None)
            }
            Kind::Stream => {
                let own = take(&peer.streams);
                let own = own.ok_or_else(|| overloaded("this connection has too many streams"))?;
                let place = take(&self.streams);
                let place = place.ok_or_else(|| overloaded("too many streams are open"))?;
                (Some(place), Some(own))
            }
        };
        Ok(Place { _in_all: in_all, _on_connection: on_connection })
    }
}
