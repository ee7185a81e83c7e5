//! `taskmanager.auth.v1.TrustService`: what verifiers must know, and whom services must forget; for services
//! that have the scope.

mod erasures;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::stream::{BoxStream, unfold};
use shared::{
    database::Engine,
    erasure::CONFIRM_SCOPE,
    fields::Violations,
    pb::auth::{
        AcknowledgeErasureRequest, AcknowledgeErasureResponse, Revocation as WireRevocation,
        SigningKey, TrustHead, WatchErasuresRequest, WatchTrustRequest, WatchTrustResponse,
        trust_service_server::TrustService,
    },
    server::{Places, TakenPlace},
    status::draining,
    trust::{Grant, Head, Revocation, ServiceCaller, Verifier, WATCH_SCOPE, rejected},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::key_to_wire;
use crate::{
    error::Error,
    feed::{PAGE, Seen},
    keys::{Key, State},
    store::SqlStore,
};

/// How long after it was read the head tells a watcher that it knows everything, and that the stream lives.
const FRESH: Duration = Duration::from_secs(1);

/// How many streams a service may have open, on all its connections.
pub const MOST_STREAMS: usize = 256;

/// What the RPCs work with.
#[derive(Debug)]
pub struct Trust<DB: Engine> {
    /// What has been revoked.
    pub store: SqlStore<DB>,
    /// The head, as it is read.
    pub seen: watch::Receiver<Arc<Seen>>,
    /// What tells when a watcher's token ends.
    pub verifier: Arc<Verifier>,
    /// The places of each service for streams.
    pub places: Places<String>,
}

#[tonic::async_trait]
impl<DB: Engine> TrustService for Trust<DB> {
    type WatchTrustStream = BoxStream<'static, Result<WatchTrustResponse, Status>>;

    async fn watch_trust(
        &self,
        request: Request<WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        let caller = ServiceCaller::of(&request, WATCH_SCOPE)?;
        let head = parse_head("head", request.into_inner().head)?;
        let place = self.places.take(caller.name().to_owned())?;
        // What was read long ago is nothing new to anybody.
        let mut seen = self.seen.clone();
        seen.mark_unchanged();
        tracing::info!(service = caller.name(), "a verifier watches");
        let watcher = Watcher {
            store: self.store.clone(),
            seen,
            verifier: Arc::clone(&self.verifier),
            grant: caller.grant().clone(),
            known: head,
            keys: None,
            way: None,
            end: None,
            _place: place,
        };
        // Nothing is made before it is asked for: a watcher that is slow costs no memory, and finds
        // what it has missed in the database.
        let messages = unfold(Some(watcher), |watcher| async {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(message) => Some((Ok(message), Some(watcher))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(messages)))
    }

    type WatchErasuresStream = erasures::Messages;

    async fn watch_erasures(
        &self,
        request: Request<WatchErasuresRequest>,
    ) -> Result<Response<Self::WatchErasuresStream>, Status> {
        let caller = ServiceCaller::of(&request, CONFIRM_SCOPE)?;
        let position = parse_head("cursor", request.into_inner().cursor)?;
        let place = self.places.take(caller.name().to_owned())?;
        let watcher = erasures::Watcher {
            store: self.store.clone(),
            seen: self.seen.clone(),
            verifier: Arc::clone(&self.verifier),
            grant: caller.grant().clone(),
            position,
            page: VecDeque::new(),
            silent_until: Instant::now(),
            _place: place,
        };
        Ok(Response::new(watcher.begin()))
    }

    async fn acknowledge_erasure(
        &self,
        request: Request<AcknowledgeErasureRequest>,
    ) -> Result<Response<AcknowledgeErasureResponse>, Status> {
        let caller = ServiceCaller::of(&request, CONFIRM_SCOPE)?;
        let (user_id, counts) = erasures::parse_acknowledgement(request.into_inner())?;
        self.store.confirm_erasure(&caller, user_id, counts).await?;
        Ok(Response::new(AcknowledgeErasureResponse {}))
    }
}

/// Somebody who is told what verifiers must know.
struct Watcher<DB: Engine> {
    store: SqlStore<DB>,
    seen: watch::Receiver<Arc<Seen>>,
    verifier: Arc<Verifier>,
    grant: Grant,
    /// How far it knows everything.
    known: Option<Head>,
    /// The keys that it has been told.
    keys: Option<Arc<Vec<(State, Key)>>>,
    /// What it is on its way to, until it has been told all of that.
    way: Option<Way>,
    /// What the stream ends with once it has come there.
    end: Option<Status>,
    _place: TakenPlace<String>,
}

/// The way of a watcher to a head.
struct Way {
    to: Arc<Seen>,
    /// The place in the sequence that it has come to.
    at: i64,
    is_snapshot: bool,
}

impl<DB: Engine> Watcher<DB> {
    async fn next(&mut self) -> Result<WatchTrustResponse, Status> {
        let way = match self.way.take() {
            Some(way) => way,
            None => match self.end.take() {
                Some(status) => return Err(status),
                None => self.set_out().await?,
            },
        };
        self.go_on(way).await.map_err(Status::from)
    }

    /// Waits until there is something to tell: at the start the head as it is, then each that is read.
    /// That of long ago, while the database is away, would be a lie. What ends the watcher's own token
    /// may be what it must hear of, so it does before the end.
    async fn set_out(&mut self) -> Result<Way, Status> {
        let mut is_news = self.keys.is_none() && !self.is_behind();
        while !(is_news && self.seen.borrow().at.elapsed() < FRESH) {
            tokio::select! {
                biased;
                changed = self.seen.changed() => changed.map_err(|_| draining())?,
                rejection = self.verifier.ended(&self.grant) => {
                    let changed = timeout(FRESH, self.seen.changed()).await;
                    changed.ok().and_then(Result::ok).ok_or_else(|| rejected(rejection))?;
                }
            }
            is_news = true;
        }
        self.end = self.verifier.recheck(&self.grant).err().map(rejected);
        let to = Arc::clone(&self.seen.borrow_and_update());
        let head = to.state.head;
        let known = self.known.filter(|known| {
            known.epoch == head.epoch && (0..=head.sequence).contains(&known.sequence)
        });
        let at = known.map_or(0, |known| known.sequence);
        Ok(Way { to, at, is_snapshot: known.is_none() })
    }

    /// Whether the watcher is further than what has been read: another server on the database may have
    /// told it what this one is about to read.
    fn is_behind(&self) -> bool {
        let head = self.seen.borrow().state.head;
        self.known.is_some_and(|known| known.epoch == head.epoch && known.sequence > head.sequence)
    }

    /// Tells the next part of the way.
    async fn go_on(&mut self, mut way: Way) -> Result<WatchTrustResponse, Error> {
        let to = Arc::clone(&way.to);
        let revocations = self.part(&mut way).await?;
        let is_whole = way.at == to.state.head.sequence;
        let message = WatchTrustResponse {
            head: is_whole.then(|| to.state.head.into()),
            is_snapshot: way.is_snapshot,
            // Not before the revocations: a key that is missing without one is a foreign key.
            signing_keys: if is_whole { self.news_of_keys(&to.keys) } else { Vec::new() },
            revocations: revocations.into_iter().map(WireRevocation::from).collect(),
            forgotten_time: is_whole.then(|| to.state.forgotten.into()),
        };
        if is_whole {
            self.known = Some(to.state.head);
        } else {
            self.way = Some(way);
        }
        Ok(message)
    }

    /// The revocations of the next message. What has just been read is at hand; the rest is in the
    /// database.
    async fn part(&self, way: &mut Way) -> Result<Vec<Revocation>, Error> {
        let last = way.to.state.head.sequence;
        if way.at == last {
            return Ok(Vec::new());
        }
        if way.at == way.to.since {
            way.at = last;
            return Ok(way.to.revocations.clone());
        }
        let page = self.store.revocations(way.at, last, PAGE).await?;
        let is_full = i64::try_from(page.len()).is_ok_and(|length| length == PAGE);
        way.at = page.last().filter(|_| is_full).map_or(last, |(place, _)| *place);
        Ok(page.into_iter().map(|(_, revocation)| revocation).collect())
    }

    /// The keys, if the watcher has not been told them.
    fn news_of_keys(&mut self, keys: &Arc<Vec<(State, Key)>>) -> Vec<SigningKey> {
        if self.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, keys)) {
            return Vec::new();
        }
        self.keys = Some(Arc::clone(keys));
        keys.iter().cloned().map(key_to_wire).collect()
    }
}

fn parse_head(field: &str, head: Option<TrustHead>) -> Result<Option<Head>, Error> {
    let Some(head) = head else { return Ok(None) };
    let mut violations = Violations::new();
    if head.sequence < 0 {
        violations.add(&format!("{field}.sequence"), "must not be negative");
    }
    let epoch = Uuid::try_parse(&head.epoch).map_err(|_| "must be a UUID");
    let epoch = violations.check(&format!("{field}.epoch"), epoch);
    let head = epoch.map(|epoch| Head { epoch, sequence: head.sequence });
    Ok(Some(violations.finish(head)?))
}
