//! Writes as values, on their way through the door.

use futures_util::future::BoxFuture;
use shared::{
    clock::Time,
    database::{Engine, Slot, Statement, Write, WriteError},
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    guesses::Guess,
    trust::{self, Change},
};
use crate::revocations::Cause;

/// A write: a value that runs its own statements inside the transaction of its group.
pub(super) trait Act<DB: Engine>: Send + 'static {
    /// What it answers: a refusal is an answer too.
    type Answer: Send + 'static;

    /// The user whose rows it locks, if any.
    fn user_id(&self) -> Option<Uuid> {
        None
    }

    /// Runs it. It may be run again, after a rollback. An error of the database is always returned.
    fn run(
        &self,
        at: &mut Transaction<'_, DB>,
    ) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

/// The open transaction of a group.
pub(super) struct Transaction<'c, DB: Engine> {
    pub(super) connection: &'c mut DB::Connection,
    pub(super) now: Time,
    /// What verifiers must be told of it.
    pub(super) change: Change,
}

impl<DB: Engine> Transaction<'_, DB> {
    pub(super) async fn all(&mut self, statement: Statement<DB>) -> Result<Vec<DB::Row>, Error> {
        statement.all(self.connection).await
    }

    /// Ends a session or a key, for whoever verifies its tokens. One whose tokens have long expired
    /// needs no word.
    pub(super) fn revoke(&mut self, id: Uuid, cause: Cause, expire_time: Time) {
        if expire_time.plus(trust::GRACE) > self.now {
            self.change.revoke(id, cause, expire_time);
        }
    }
}

/// A write of any kind, and where its answer waits.
pub(super) enum Operation<DB: Engine> {
    /// One that runs by itself.
    Act(Box<dyn Pending<DB>>),
    /// One that is counted together with all others of its group.
    Guess(Guess),
}

impl<DB: Engine> Operation<DB> {
    pub(super) fn new<A: Act<DB>>(act: A, slot: Slot<A::Answer>) -> Self {
        Self::Act(Box::new(Waiting { act, slot }))
    }

    pub(super) fn user_id(&self) -> Option<Uuid> {
        match self {
            Self::Act(act) => act.user_id(),
            Self::Guess(_) => None,
        }
    }

    /// What it is to do about guesses, if that is what it is about.
    pub(super) fn guess(&mut self) -> Option<&mut Guess> {
        if let Self::Guess(guess) = self { Some(guess) } else { None }
    }

    pub(super) async fn run(&mut self, at: &mut Transaction<'_, DB>) -> Result<(), Error> {
        match self {
            Self::Act(act) => act.run(at).await,
            Self::Guess(_) => Ok(()),
        }
    }
}

impl<DB: Engine> From<Guess> for Operation<DB> {
    fn from(guess: Guess) -> Self {
        Self::Guess(guess)
    }
}

impl<DB: Engine> Write for Operation<DB> {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Act(act) => act.is_abandoned(),
            Self::Guess(guess) => guess.is_abandoned(),
        }
    }

    fn settle(self, outcome: Result<(), WriteError>) {
        match self {
            Self::Act(act) => act.settle(outcome),
            Self::Guess(guess) => guess.settle(outcome),
        }
    }
}

struct Waiting<A, T> {
    act: A,
    slot: Slot<T>,
}

/// An [`Act`] whose answer has gone out of sight.
pub(super) trait Pending<DB: Engine>: Send {
    fn user_id(&self) -> Option<Uuid>;
    fn run<'r>(&'r mut self, at: &'r mut Transaction<'_, DB>) -> BoxFuture<'r, Result<(), Error>>;
    fn is_abandoned(&self) -> bool;
    fn settle(self: Box<Self>, outcome: Result<(), WriteError>);
}

impl<DB: Engine, A: Act<DB>> Pending<DB> for Waiting<A, A::Answer> {
    fn user_id(&self) -> Option<Uuid> {
        self.act.user_id()
    }

    fn run<'r>(&'r mut self, at: &'r mut Transaction<'_, DB>) -> BoxFuture<'r, Result<(), Error>> {
        Box::pin(async move {
            self.slot.fill(self.act.run(at).await?);
            Ok(())
        })
    }

    fn is_abandoned(&self) -> bool {
        self.slot.is_abandoned()
    }

    fn settle(self: Box<Self>, outcome: Result<(), WriteError>) {
        self.slot.settle(outcome);
    }
}
