//! What somebody who watches is told, and when.

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    stream::{BoxStream, once, unfold},
};
use shared::{
    database::Engine,
    fields::Violations,
    pb::task::{Change as WireChange, WatchTasksResponse, change::Resource},
    server::TakenPlace,
    trust::{Caller, Verifier, rejected},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tonic::Status;
use uuid::Uuid;

use super::wire;
use crate::{
    changes::{Change, Changes, Position},
    sealed::SealKey,
    store::SqlStore,
};

/// What somebody who watches is told.
pub(super) type Messages = BoxStream<'static, Result<WatchTasksResponse, Status>>;

/// Somebody who is told what changes about what they own.
pub(super) struct Watcher<DB: Engine> {
    pub(super) store: Arc<SqlStore<DB>>,
    pub(super) seals: SealKey,
    pub(super) verifier: Arc<Verifier>,
    pub(super) caller: Caller,
    /// How far they know everything; nothing at the beginning.
    pub(super) position: Option<Position>,
    /// The owner's last revision, as it is seen.
    pub(super) head: watch::Receiver<i64>,
    /// Whether they go on when they know everything.
    pub(super) follow: bool,
    /// Whether they knew everything when it was last read.
    pub(super) is_current: bool,
    pub(super) retention: Duration,
    pub(super) bookmark_interval: Duration,
    pub(super) _place: TakenPlace<Uuid>,
}

impl<DB: Engine> Watcher<DB> {
    /// The stream of what there is to tell. Nothing is read before it is asked for: who reads slowly
    /// costs no memory, and finds what they have missed in the database.
    pub(super) async fn begin(mut self) -> Result<Messages, Status> {
        let first = self.read().await?;
        let first = self.message(first);
        let goes_on = self.goes_on();
        let rest = unfold(goes_on.then_some(self), |watcher| async {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(message) => {
                    let goes_on = watcher.goes_on();
                    Some((Ok(message), goes_on.then_some(watcher)))
                }
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(once(async { Ok(first) }).chain(rest).boxed())
    }

    /// The next message: what has changed, or where they are if nothing does for long.
    async fn next(&mut self) -> Result<WatchTasksResponse, Status> {
        let bookmark = Instant::now() + self.bookmark_interval;
        loop {
            self.verifier.recheck(self.caller.grant()).map_err(rejected)?;
            let is_bookmark = self.is_current && !self.is_news(bookmark).await?;
            let read = self.read().await?;
            if !read.changes.is_empty() || is_bookmark || !self.goes_on() {
                return Ok(self.message(read));
            }
        }
    }

    /// Waits until there may be more, or until it is time for a bookmark. What the token has opened ends
    /// with it.
    async fn is_news(&mut self, bookmark: Instant) -> Result<bool, Status> {
        let known = self.position.map_or(0, |position| position.revision);
        tokio::select! {
            biased;
            rejection = self.verifier.ended(self.caller.grant()) => Err(rejected(rejection)),
            // The sender lives for as long as somebody watches.
            _ = self.head.wait_for(|head| *head > known) => Ok(true),
            () = sleep_until(bookmark) => Ok(false),
        }
    }

    /// Reads what comes next.
    async fn read(&mut self) -> Result<Changes, Status> {
        let changes = self.store.changes(&self.caller, self.position).await?;
        self.position = Some(changes.position);
        self.is_current = changes.position.revision == changes.head;
        Ok(changes)
    }

    /// Whoever is not to follow goes on too until they know everything: what changes while they are
    /// told comes after what they have been told.
    fn goes_on(&self) -> bool {
        self.follow || !self.is_current
    }

    fn message(&self, read: Changes) -> WatchTasksResponse {
        WatchTasksResponse {
            changes: read.changes.into_iter().map(|change| self.to_wire(change)).collect(),
            cursor: seal(&self.seals, &self.caller, read.position),
            current: self.is_current,
        }
    }

    fn to_wire(&self, change: Change) -> WireChange {
        WireChange {
            resource: Some(match change {
                Change::Task(task) => Resource::Task(wire::task(task, self.retention)),
                Change::Project(project) => Resource::Project(project.into()),
                Change::ProjectDeleted { id, .. } => Resource::DeletedProjectId(id.to_string()),
            }),
        }
    }
}

/// The position that a cursor names; nothing if it is empty.
pub(super) fn parse_cursor(
    seals: &SealKey,
    caller: &Caller,
    cursor: &str,
) -> Result<Option<Position>, Violations> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let mut bad = Violations::new();
    let position = seals.open(&context(caller), cursor);
    let position = position.and_then(|bytes| {
        let (revision, beginning) = bytes.split_first_chunk()?;
        let beginning = beginning.try_into().ok()?;
        let revision = i64::from_be_bytes(*revision);
        Some(Position { revision, beginning: i64::from_be_bytes(beginning) })
    });
    let position = bad.check("cursor", position.ok_or(CursorFault));
    bad.finish(position).map(Some)
}

fn seal(seals: &SealKey, caller: &Caller, position: Position) -> String {
    let Position { revision, beginning } = position;
    let bytes = [revision.to_be_bytes(), beginning.to_be_bytes()].concat();
    seals.seal(&context(caller), &bytes)
}

fn context(caller: &Caller) -> String {
    format!("WatchTasks {}", caller.user_id())
}

/// A cursor that this service did not give to the caller.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be a cursor that this stream gave, to this caller")]
struct CursorFault;
