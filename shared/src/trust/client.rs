//! Keeps a verifier up to date with its issuer, and keeps what it knows through a restart.
//!
//! `link.rs` is the way to the issuer, `pace.rs` says how soon it is tried again, `saver.rs` keeps
//! what has been heard.

mod credential;
mod link;
mod outage;
mod pace;
mod saver;
mod unsaved;

pub use credential::Credential;
pub(crate) use link::{Link, Unanswered};
pub(crate) use outage::{Fault, Outage};
pub(crate) use pace::Pace;

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::{Instant, interval, sleep, timeout_at};
use tonic::Streaming;

use super::{Head, Issuer, News, NewsFault, Snapshot, SnapshotStore, Verifier, verifier::SILENCE};
use crate::{
    clock::Time,
    pb::auth::{WatchTrustRequest, WatchTrustResponse, trust_service_client::TrustServiceClient},
};
use pace::Hurry;
use saver::{Ledger, save};

/// How often what has expired is forgotten.
const FORGET: Duration = Duration::from_mins(1);
/// How often it is looked whether the verifier can still decide.
const READINESS: Duration = Duration::from_millis(500);

/// Whom a verifier follows, and as which service.
#[derive(Debug, Clone)]
pub struct TrustSource {
    issuer: Issuer,
    credential: Credential,
}

impl TrustSource {
    /// This issuer, followed by the service of this credential.
    #[must_use]
    pub fn new(issuer: Issuer, credential: Credential) -> Self {
        Self { issuer, credential }
    }

    /// Whom it follows.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// As which service.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }
}

/// Recalls what the store has, then follows the issuer for as long as it is polled: the verifier
/// learns what it says as it comes, and the store keeps it.
///
/// It says in the log when the verifier is cut off and when it is back. Whether the verifier can
/// decide meanwhile is [`Verifier::readiness`]. Dropping the future ends it at any point.
pub async fn follow_trust<S: SnapshotStore>(
    verifier: Arc<Verifier>,
    source: TrustSource,
    store: S,
) -> Infallible {
    let loaded = load(&store).await;
    if let Some(Snapshot { heard, news, .. }) = &loaded {
        verifier.recall(news, *heard);
    }
    let ledger = Ledger::since(loaded.as_ref());
    let head = loaded.map(|snapshot| snapshot.head);
    tokio::select! {
        never = Follower::new(&verifier, &ledger, source, head).follow() => never,
        never = save(&verifier, &store, &ledger) => never,
        never = look_at_readiness(&verifier) => never,
    }
}

/// What the store has. If that is damaged, everything is fetched instead.
async fn load<S: SnapshotStore>(store: &S) -> Option<Snapshot> {
    store.load().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what the issuer said before can not be loaded; it is fetched anew");
        None
    })
}

async fn look_at_readiness(verifier: &Verifier) -> Infallible {
    let mut looks = interval(READINESS);
    loop {
        looks.tick().await;
        verifier.look_at_readiness();
    }
}

/// The one who listens to the issuer.
struct Follower<'f> {
    verifier: &'f Verifier,
    ledger: &'f Ledger,
    link: Link,
    /// How far it knows everything; without it, it asks for a snapshot.
    head: Option<Head>,
    /// Since when the issuer has been heard of on this connection.
    heard: Option<Instant>,
    /// What the issuer has forgotten, as far as the parts of a snapshot have said.
    forgotten: Option<Time>,
    /// What the issuer has forgotten, as it said last.
    told: Option<Time>,
    /// When it last forgot what has expired.
    forgot: Instant,
    hurry: Hurry,
    outage: Outage,
}

/// Why a stream has ended, or did not begin.
enum End {
    /// Something is wrong.
    Fault(Fault),
    /// Its token has ended.
    Token(String),
    /// What has been forgotten is needed again.
    Forgotten,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unanswered> for End {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Token(reason) => Self::Token(reason),
            Unanswered::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl<'f> Follower<'f> {
    fn new(
        verifier: &'f Verifier,
        ledger: &'f Ledger,
        source: TrustSource,
        head: Option<Head>,
    ) -> Self {
        Self {
            verifier,
            ledger,
            link: Link::new(source),
            head,
            heard: None,
            forgotten: None,
            told: None,
            forgot: Instant::now(),
            hurry: Hurry::default(),
            outage: Outage::without("revocations do not arrive"),
        }
    }

    /// Goes from one connection to the next.
    async fn follow(mut self) -> Infallible {
        let mut pace = Pace::default();
        loop {
            let began = Instant::now();
            // The time that an attempt takes is part of the pause: when the network comes back from
            // having swallowed everything, the next one must not be far.
            let (end, spent) = match self.connect().await {
                Ok(stream) => (self.listen(stream).await, Duration::ZERO),
                Err(end) => (end, began.elapsed()),
            };
            // A connection that ends as soon as it has begun is not worth much.
            let was_steady = self.heard.take().is_some_and(|since| since.elapsed() >= SILENCE);
            if was_steady {
                pace.succeeded();
            }
            let fault = match end {
                End::Forgotten => continue,
                End::Token(_) if was_steady => continue,
                End::Token(reason) => Fault::Away(reason),
                End::Fault(fault) => fault,
            };
            self.outage.goes_on(&fault, self.link.url());
            let pause = match fault {
                Fault::Refused(_) => Pace::refused(),
                Fault::Secret(_) | Fault::Away(_) | Fault::Unable(_) => pace.failed(),
            };
            tokio::select! {
                () = sleep(pause.saturating_sub(spent)) => {}
                () = self.hurry.wanted(self.verifier) => self.hurry.hurried(),
            }
        }
    }

    async fn connect(&mut self) -> Result<Streaming<WatchTrustResponse>, End> {
        let channel = self.link.connect(self.verifier.now()).await?;
        // The last moment to forget: a snapshot brings back what the issuer has not forgotten.
        self.forget();
        self.forgotten = None;
        if self.misses_something() {
            self.head = None;
        }
        let request = WatchTrustRequest { head: self.head.map(Into::into) };
        let request = self.link.request(request);
        let mut client = TrustServiceClient::new(channel);
        Ok(self.link.answer(client.watch_trust(request)).await?)
    }

    /// Takes in what comes, until nothing does.
    async fn listen(&mut self, mut stream: Streaming<WatchTrustResponse>) -> End {
        let mut silent_from = Instant::now();
        loop {
            let message = tokio::select! {
                message = timeout_at(silent_from + SILENCE, stream.message()) => message,
                () = self.hurry.wanted(self.verifier) => {
                    if self.misses_something() {
                        self.hurry.hurried();
                        return End::Forgotten;
                    }
                    continue;
                }
            };
            silent_from = Instant::now();
            match message {
                Ok(Ok(Some(message))) => {
                    if let Err(fault) = self.take_in(message) {
                        return Fault::Away(format!("a message is malformed: {fault}")).into();
                    }
                }
                Ok(Ok(None)) => return Fault::Away("the stream has ended".to_owned()).into(),
                Ok(Err(status)) => return self.link.ended(&status).into(),
                Err(_) => return Fault::Away(format!("silent for {SILENCE:?}")).into(),
            }
        }
    }

    /// Takes in one message, whole or not at all.
    fn take_in(&mut self, message: WatchTrustResponse) -> Result<(), NewsFault> {
        let mut news = News::try_from(message)?;
        if news.is_snapshot {
            self.forgotten = self.forgotten.max(news.forgotten);
            news.forgotten = self.forgotten;
        }
        if news.head.is_some() {
            self.told = news.forgotten;
            self.forgotten = None;
        }
        self.verifier.learn(&news);
        self.ledger.note(|unsaved| unsaved.add(&news, self.verifier.now()));
        if news.head.is_some() {
            self.head = news.head;
            self.heard.get_or_insert_with(Instant::now);
            self.outage.is_over();
            // Never in the midst of a snapshot, whose end says that nothing is missing.
            if self.forgot.elapsed() >= FORGET {
                self.forget();
            }
        }
        Ok(())
    }

    /// Whether a snapshot could tell what has been forgotten here.
    fn misses_something(&self) -> bool {
        self.verifier.has_forgotten_too_much() && self.verifier.forgotten() > self.told
    }

    fn forget(&mut self) {
        self.verifier.forget();
        self.forgot = Instant::now();
        self.ledger.note(|unsaved| unsaved.forgotten(self.verifier.forgotten()));
    }
}
