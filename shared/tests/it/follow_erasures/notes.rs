//! A service that tells of each thing it does, and breaks on demand.

use std::sync::{Arc, Mutex, PoisonError};

use shared::{
    erasure::{Counts, Eraser, Erasure},
    trust::Head,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// What the service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    ReadCursor,
    Erase,
    Purge,
    Keep,
}

/// What it has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Failed(What),
    Erased(Erasure),
    Purged,
    Kept(Head),
}

#[derive(Clone)]
pub(super) struct Notes {
    kept: Arc<Mutex<Option<Head>>>,
    broken: Arc<Mutex<Option<What>>>,
    /// Who can not be erased for now: it takes and takes.
    held: Arc<watch::Sender<Option<Uuid>>>,
    steps: mpsc::UnboundedSender<Step>,
}

impl Notes {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Step>) {
        let (steps, done) = mpsc::unbounded_channel();
        let (kept, broken, held) = (Arc::default(), Arc::default(), Arc::default());
        (Self { kept, broken, held, steps }, done)
    }

    /// From now on this fails, or nothing.
    pub(super) fn break_down(&self, what: Option<What>) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// From now on it takes long to erase this user, until it goes on.
    pub(super) fn hang_on(&self, user: Uuid) {
        self.held.send_replace(Some(user));
    }

    pub(super) fn go_on(&self) {
        self.held.send_replace(None);
    }

    fn tell(&self, step: Step) {
        let _ = self.steps.send(step);
    }

    fn unless_broken(&self, what: What) -> Result<(), &'static str> {
        if *self.broken.lock().unwrap_or_else(PoisonError::into_inner) == Some(what) {
            self.tell(Step::Failed(what));
            return Err("the disk is full");
        }
        Ok(())
    }
}

impl Eraser for Notes {
    type Error = &'static str;

    async fn cursor(&self) -> Result<Option<Head>, &'static str> {
        self.unless_broken(What::ReadCursor)?;
        Ok(*self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn erase(&self, erasure: &Erasure) -> Result<Counts, &'static str> {
        self.unless_broken(What::Erase)?;
        let mut held = self.held.subscribe();
        drop(held.wait_for(|held| *held != Some(erasure.user_id)).await);
        self.tell(Step::Erased(erasure.clone()));
        Ok(Counts::from([("notes", 7)]))
    }

    async fn purge(&self) -> Result<(), &'static str> {
        self.unless_broken(What::Purge)?;
        self.tell(Step::Purged);
        Ok(())
    }

    async fn confirmed(&self, erasure: &Erasure) -> Result<(), &'static str> {
        self.unless_broken(What::Keep)?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(erasure.cursor);
        self.tell(Step::Kept(erasure.cursor));
        Ok(())
    }
}
