//! What verifiers must know, as soon as the database has it: the head, the keys, what is new.
//!
//! The head is read twice in a second, whatever happens; a write of this process, or a hint of another
//! one's, has it read at once. Whoever sees it may say: nothing else has been revoked until now.

use std::{convert::Infallible, sync::Arc, time::Duration};

use shared::{
    clock::{Clock, Time},
    database::Engine,
    trust::{Head, News, Revocation, Verifier},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use crate::{
    error::Error,
    keys::{Key, KeyRing, State},
    store::{SqlStore, TrustState},
};

/// How often the head is read at the least, so that whoever watches hears something as often.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often our own verifier forgets what has expired.
const FORGET: Duration = Duration::from_mins(1);
/// How long one reading may take before it is tried anew: one connection that has gone dead must not
/// keep everybody waiting who watches.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many revocations are read at once, and sent in one message.
pub const PAGE: i64 = 4_096;

/// The head as it has been read, with what has come before it.
#[derive(Debug)]
pub struct Seen {
    /// How far everything goes.
    pub state: TrustState,
    /// The keys that are published, and what they do.
    pub keys: Arc<Vec<(State, Key)>>,
    /// After which place in the sequence the revocations begin.
    pub since: i64,
    /// What has been revoked from there to the head.
    pub revocations: Vec<Revocation>,
    /// When it was read.
    pub at: Instant,
}

/// Reads what verifiers must know, teaches it to our own, and shows it to those who watch.
#[derive(Debug)]
pub struct Feed<DB: Engine> {
    store: SqlStore<DB>,
    ring: Arc<KeyRing>,
    verifier: Arc<Verifier>,
    clock: Clock,
    seen: watch::Sender<Arc<Seen>>,
    /// How long one reading may take.
    patience: Duration,
}

/// Why nothing has been read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] Error),
    /// It does not answer in time.
    #[error("the database does not answer in time")]
    Late,
}

impl<DB: Engine> Feed<DB> {
    /// A feed that has read everything once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(
        store: SqlStore<DB>,
        ring: Arc<KeyRing>,
        verifier: Arc<Verifier>,
        clock: Clock,
    ) -> Result<Self, Unread> {
        let (head, forgotten) = (Head { epoch: Uuid::nil(), sequence: 0 }, Time::MIN);
        let nothing = Seen {
            state: TrustState { head, forgotten },
            keys: Arc::default(),
            since: 0,
            revocations: Vec::new(),
            at: Instant::now(),
        };
        let seen = watch::Sender::new(Arc::new(nothing));
        let patience = Duration::MAX;
        let feed = Self { store, ring, verifier, clock, seen, patience };
        feed.look().await?;
        Ok(Self { patience: PATIENCE, ..feed })
    }

    /// Where it is seen.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Arc<Seen>> {
        self.seen.subscribe()
    }

    /// Keeps reading, for as long as it is polled.
    ///
    /// Dropping the future ends it at any point.
    pub async fn follow(self) -> Infallible {
        let (heard, ours) = (Arc::<Notify>::default(), Notify::new());
        tokio::select! {
            never = self.store.listen(Arc::clone(&heard)) => never,
            never = self.keep_announcing(&ours) => never,
            never = self.keep_looking(&heard, &ours) => never,
        }
    }

    /// Tells other processes of what this one has written. Nobody who watches waits for that.
    async fn keep_announcing(&self, ours: &Notify) -> Infallible {
        let mut announcer = self.store.announcer();
        loop {
            ours.notified().await;
            announcer.announce().await;
        }
    }

    async fn keep_looking(&self, heard: &Notify, ours: &Notify) -> Infallible {
        let (mut failing, mut forgot) = (false, None);
        loop {
            // Never in the midst of a reading, whose end says that nothing is missing.
            if forgot.is_none_or(|forgot: Instant| forgot.elapsed() >= FORGET) {
                self.verifier.forget();
                forgot = Some(Instant::now());
            }
            let next = Instant::now() + INTERVAL;
            tokio::select! {
                () = self.store.changed() => ours.notify_one(),
                () = heard.notified() => {}
                () = sleep_until(next) => {}
            }
            match self.look().await {
                Ok(()) => failing = false,
                Err(error) => {
                    // Once is enough for the operator.
                    if !failing {
                        tracing::warn!(%error, "what has been revoked can not be read");
                    }
                    failing = true;
                    self.verifier.look_at_readiness();
                    sleep_until(next).await;
                }
            }
        }
    }

    /// Reads the head, and what has come before it since the last time.
    async fn look(&self) -> Result<(), Unread> {
        let before = Arc::clone(&self.seen.borrow());
        let at = Instant::now();
        let (state, sealed) = self.in_time(self.store.trust()).await?;
        let (old, new) = (before.state.head, state.head);
        if new != old
            && let Err(error) = self.ring.replace(&sealed)
        {
            tracing::error!(%error, "a new signing key can not be used");
        }
        // Another epoch, or a head that has gone back, is another database: everything is new. So it is
        // to a verifier that has forgotten too much because the clock was set forward and back, unless
        // the database has forgotten as much.
        let is_forgetful = self.verifier.has_forgotten_too_much()
            && self.verifier.forgotten() > Some(state.forgotten);
        let goes_on = new.epoch == old.epoch && new.sequence >= old.sequence && !is_forgetful;
        let after = if goes_on { old.sequence } else { 0 };
        let revocations = self.teach(after, new.sequence).await?;
        // Keys begin to sign, and end, by time alone too.
        let keys = self.ring.published(self.clock.now());
        self.verifier.learn(&News {
            head: Some(new),
            is_snapshot: !goes_on,
            keys: Some(keys.iter().map(|(_, key)| key.public.clone()).collect()),
            revocations: Vec::new(),
            forgotten: Some(state.forgotten),
        });
        let keys = if keys == *before.keys { Arc::clone(&before.keys) } else { Arc::new(keys) };
        let since = if revocations.is_empty() { new.sequence } else { after };
        self.seen.send_replace(Arc::new(Seen { state, keys, since, revocations, at }));
        Ok(())
    }

    /// Teaches our own verifier what stands between these places. The answer is the same, or nothing
    /// if it would not fit one message: then those who watch read it for themselves.
    async fn teach(&self, mut after: i64, through: i64) -> Result<Vec<Revocation>, Unread> {
        let mut pages = 0;
        while after < through {
            let page = self.in_time(self.store.revocations(after, through, PAGE)).await?;
            pages += 1;
            let length = i64::try_from(page.len()).unwrap_or(i64::MAX);
            after = page.last().filter(|_| length == PAGE).map_or(through, |(place, _)| *place);
            let revocations = page.into_iter().map(|(_, revocation)| revocation).collect();
            let news = News { revocations, ..News::default() };
            self.verifier.learn(&news);
            if after == through && pages == 1 {
                return Ok(news.revocations);
            }
        }
        Ok(Vec::new())
    }

    async fn in_time<T>(
        &self,
        reading: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Unread> {
        let read = timeout(self.patience, reading).await;
        Ok(read.map_err(|_| Unread::Late)??)
    }
}
