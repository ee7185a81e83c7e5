//! Runs the writes that are waiting as one transaction.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use shared::{
    clock::Clock,
    database::{Engine, Writer},
};
use tokio::sync::Notify;

use super::{
    guesses,
    operation::{Operation, Transaction},
    trust::{self, Change},
};

/// What runs a group of writes.
pub(super) struct Tables<DB> {
    clock: Clock,
    /// Told after each commit that verifiers must hear of.
    changed: Arc<Notify>,
    /// Whether the transaction that is open is one of those.
    is_change: AtomicBool,
    engine: PhantomData<fn() -> DB>,
}

impl<DB> Tables<DB> {
    pub(super) fn new(clock: Clock, changed: Arc<Notify>) -> Self {
        Self { clock, changed, is_change: AtomicBool::new(false), engine: PhantomData }
    }
}

impl<DB: Engine> Writer<DB> for Tables<DB> {
    type Write = Operation<DB>;

    /// Each write runs its own statements: they are few beside the hashing that precedes them.
    async fn run(
        &self,
        connection: &mut DB::Connection,
        group: &mut [Operation<DB>],
    ) -> Result<(), sqlx::Error> {
        // Rows are locked in one order, whichever process runs the group: guesses, what else belongs
        // to no user, the users, the head of what verifiers must know.
        group.sort_by_key(Operation::user_id);
        let now = self.clock.now();
        let guesses = group.iter_mut().filter_map(Operation::guess).collect();
        guesses::run::<DB>(connection, guesses, now).await?;
        let mut at = Transaction { connection, now, change: Change::default() };
        for operation in group {
            operation.run(&mut at).await?;
        }
        self.is_change.store(!at.change.is_empty(), Ordering::Relaxed);
        trust::tell(at).await
    }

    fn committed(&self) {
        if self.is_change.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }
}
