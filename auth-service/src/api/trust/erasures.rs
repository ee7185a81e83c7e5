//! What a service is told of the users who have been deleted.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::stream::{BoxStream, unfold};
use shared::{
    database::Engine,
    fields::Violations,
    ids::parse_id,
    pb::auth::{AcknowledgeErasureRequest, DeletedUser as WireUser, WatchErasuresResponse},
    server::TakenPlace,
    status::draining,
    trust::{Grant, Head, Verifier, rejected},
};
use tokio::{sync::watch, time::Instant};
use tonic::Status;
use uuid::Uuid;

use super::FRESH;
use crate::{
    erasures::{Counts, parse_counts},
    error::Error,
    feed::Seen,
    store::{DeletedUser, SqlStore},
};

/// What a service is told.
pub(super) type Messages = BoxStream<'static, Result<WatchErasuresResponse, Status>>;

/// How many deletions are read at once.
const PAGE: i64 = 256;
/// How often something is said at the least.
const INTERVAL: Duration = Duration::from_secs(10);

/// A service that is told of whoever has been deleted.
pub(super) struct Watcher<DB: Engine> {
    pub(super) store: SqlStore<DB>,
    /// The head, as it is read.
    pub(super) seen: watch::Receiver<Arc<Seen>>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) grant: Grant,
    /// How far it has been told everything; nothing at the beginning.
    pub(super) position: Option<Head>,
    /// What has been read and not been told.
    pub(super) page: VecDeque<DeletedUser>,
    /// When it is told that the stream lives, if there is nothing else to tell until then.
    pub(super) silent_until: Instant,
    pub(super) _place: TakenPlace<String>,
}

impl<DB: Engine> Watcher<DB> {
    /// The stream of what there is to tell. Nothing is read before it is asked for.
    pub(super) fn begin(self) -> Messages {
        Box::pin(unfold(Some(self), |watcher| async {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(message) => {
                    watcher.silent_until = Instant::now() + INTERVAL;
                    Some((Ok(message), Some(watcher)))
                }
                Err(status) => Some((Err(status), None)),
            }
        }))
    }

    /// The next deletion; or nothing but that the stream lives, if there is none for long. It does not live
    /// while the database is away.
    async fn next(&mut self) -> Result<WatchErasuresResponse, Status> {
        loop {
            self.verifier.recheck(&self.grant).map_err(rejected)?;
            if let Some(user) = self.page.pop_front() {
                return Ok(self.message(user));
            }
            if self.read().await? {
                continue;
            }
            if self.silent_until <= Instant::now() && self.seen.borrow().at.elapsed() < FRESH {
                return Ok(WatchErasuresResponse::default());
            }
            // The head is read again and again, moved or not.
            tokio::select! {
                biased;
                rejection = self.verifier.ended(&self.grant) => return Err(rejected(rejection)),
                changed = self.seen.changed() => changed.map_err(|_| draining())?,
            }
        }
    }

    /// Reads what comes next, if the head has moved; the answer is whether there is anything. A position
    /// in another epoch, or beyond the head, is in data that are gone: everything is told anew. Unless
    /// another server on the database was faster to tell of it than this one to read it.
    async fn read(&mut self) -> Result<bool, Error> {
        let mut head = self.seen.borrow_and_update().state.head;
        if self.position.is_some_and(|position| !is_before(position, head)) {
            head = self.store.trust().await?.0.head;
        }
        let known = self.position.filter(|position| is_before(*position, head));
        let position = known.unwrap_or(Head { epoch: head.epoch, sequence: 0 });
        self.position = Some(position);
        if position.sequence == head.sequence {
            return Ok(false);
        }
        let page = self.store.deleted_users(position.sequence, head.sequence, PAGE).await?;
        self.page = page.into();
        if self.page.is_empty() {
            self.position = Some(head);
        }
        Ok(!self.page.is_empty())
    }

    fn message(&mut self, user: DeletedUser) -> WatchErasuresResponse {
        if let Some(position) = &mut self.position {
            position.sequence = user.sequence;
        }
        WatchErasuresResponse {
            deleted_user: Some(WireUser {
                user_id: user.user_id.to_string(),
                delete_time: Some(user.delete_time.into()),
            }),
            cursor: self.position.map(Into::into),
        }
    }
}

/// Whether a position is on the way to this head.
fn is_before(position: Head, head: Head) -> bool {
    position.epoch == head.epoch && (0..=head.sequence).contains(&position.sequence)
}

/// Who has been forgotten, and how much that was.
pub(super) fn parse_acknowledgement(
    request: AcknowledgeErasureRequest,
) -> Result<(Uuid, Counts), Error> {
    let mut violations = Violations::new();
    let user_id = violations.check("user_id", parse_id(&request.user_id));
    let counts = parse_counts(request.deleted_counts, &mut violations);
    Ok(violations.finish(user_id.zip(counts))?)
}
