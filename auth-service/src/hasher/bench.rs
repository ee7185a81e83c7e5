//! What one hashing thread has and does.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use argon2::{Block, Params};
use tokio::sync::oneshot;
use tracing::Span;

use super::{
    Cost, HashFault, Verdict,
    argon::{self, Stored},
};
use crate::passwords::{Password, PasswordHash};

/// How much lower the priority of hashing is than that of answering.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A password on its way to a thread, and the call that it belongs to.
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) span: Span,
    pub(super) waiting: Waiting,
}

/// One of those who wait in the queue, until it is dropped.
pub(super) struct Waiting(Arc<AtomicUsize>);

/// What to do with a password.
pub(super) enum Task {
    Hash {
        password: Password,
        reply: oneshot::Sender<Result<PasswordHash, HashFault>>,
    },
    Verify {
        password: Password,
        hash: PasswordHash,
        reply: oneshot::Sender<Result<Verdict, HashFault>>,
    },
}

impl Waiting {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Task {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash { reply, .. } => reply.is_closed(),
            Self::Verify { reply, .. } => reply.is_closed(),
        }
    }
}

/// The place of one thread: its memory and the parameters in force.
pub(super) struct Bench {
    cost: Cost,
    params: Params,
    memory: Vec<Block>,
}

impl Bench {
    pub(super) fn new(cost: Cost) -> Result<Self, HashFault> {
        Ok(Self { cost, params: cost.params()?, memory: Vec::new() })
    }

    /// Does what is waiting until the queue is closed.
    pub(super) fn work(&mut self, waiting: &Mutex<mpsc::Receiver<Job>>) {
        lower_priority();
        loop {
            // One idle thread waits inside the lock, the others for it.
            let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Job { task, span, waiting }) = job else { return };
            drop(waiting);
            if !task.is_abandoned() {
                span.in_scope(|| self.perform(task));
            }
        }
    }

    fn perform(&mut self, task: Task) {
        // Whoever has stopped waiting does not need the answer.
        match task {
            Task::Hash { password, reply } => drop(reply.send(self.hash(&password))),
            Task::Verify { password, hash, reply } => {
                drop(reply.send(self.verify(&password, &hash)));
            }
        }
    }

    fn hash(&mut self, password: &Password) -> Result<PasswordHash, HashFault> {
        self.memory.resize(self.params.block_count(), Block::new());
        argon::hash(password, &self.params, &mut self.memory)
    }

    fn verify(&mut self, password: &Password, hash: &PasswordHash) -> Result<Verdict, HashFault> {
        let own = self.params.block_count();
        let stored = Stored::parse(hash)?;
        self.memory.resize(own.max(stored.params.block_count()), Block::new());
        let verdict = stored.verify(password, self.cost, &mut self.memory);
        // What a dearer hash from former days needed is given back.
        self.memory.truncate(own);
        self.memory.shrink_to_fit();
        verdict
    }
}

/// Lets the threads that answer calls go first. Only Linux has priorities of single threads.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "the priority of a hashing thread can not be lowered");
    }
}
