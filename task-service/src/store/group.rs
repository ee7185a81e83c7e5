//! Runs the writes that were waiting as one transaction.
//!
//! The owners' rows are locked first. Under those locks the rows that the group needs are read in
//! one statement per table, the rules decide in memory, write by write, and what has changed is
//! written back, in one statement per table and choice of columns: the cost of a group hardly grows with its
//! size, and a write may rest on another of its group. What deletes rows that the group has not read, projects
//! and what was deleted long ago, comes last, so that it sees every task of the group.
//!
//! What is asked for again gets the answer that was kept; the answers are read and kept in the same
//! transaction.

use std::sync::{Arc, Mutex, PoisonError};

use shared::{
    clock::Clock,
    database::{Engine, Writer},
};
use uuid::Uuid;

use super::{
    Quotas, erase, operation::Operation, owners::Owners, sweep, titles, trust, vault, work::Work,
};
use crate::feed::Heads;

/// The tables of this service.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) quotas: Quotas,
    pub(super) clock: Clock,
    /// Told of each commit.
    pub(super) heads: Arc<Heads>,
    /// The owners in the transaction that is open, with the revisions that they have come to.
    pub(super) written: Mutex<Vec<(Uuid, i64)>>,
}

impl<DB: Engine> Writer<DB> for Tables {
    type Write = Operation;

    async fn run(
        &self,
        connection: &mut DB::Connection,
        group: &mut [Operation],
    ) -> Result<(), sqlx::Error> {
        let mut owners = Owners::lock::<DB>(connection, group).await?;
        let asks = group.iter().filter_map(Operation::ask);
        let mut work = Work::load::<DB>(connection, asks, self.quotas, self.clock.now()).await?;
        group.sort_by_key(Operation::comes_last);
        let (first, last) = group.split_at_mut(group.partition_point(|it| !it.comes_last()));
        for operation in first {
            run_one::<DB>(connection, &mut owners, &mut work, operation).await?;
        }
        work.store::<DB>(connection).await?;
        for operation in last {
            run_one::<DB>(connection, &mut owners, &mut work, operation).await?;
        }
        work.keep_answers::<DB>(connection).await?;
        let written = owners.settle::<DB>(connection).await?;
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = written;
        Ok(())
    }

    fn committed(&self) {
        let written =
            std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        self.heads.committed(&written);
    }
}

async fn run_one<DB: Engine>(
    connection: &mut DB::Connection,
    owners: &mut Owners,
    work: &mut Work,
    operation: &mut Operation,
) -> Result<(), sqlx::Error> {
    match operation {
        Operation::Ask(ask) => {
            work.answer::<DB>(connection, owners.of(ask.owner)?, ask).await?;
        }
        Operation::Sweep { sweep, slot } => {
            slot.fill(sweep::run::<DB>(connection, owners.of(sweep.owner)?, sweep).await?);
        }
        Operation::Erase { batch, slot } => {
            slot.fill(erase::run::<DB>(connection, owners.of(batch.owner)?, batch).await?);
        }
        Operation::KeepErased { owner, cursor, slot } => {
            slot.fill(erase::keep::<DB>(connection, *owner, *cursor).await?);
        }
        Operation::FoldTitles { slot } => slot.fill(titles::fold::<DB>(connection).await?),
        Operation::KeepPageKey { fresh, slot } => {
            slot.fill(vault::keep_page_key::<DB>(connection, fresh.clone()).await?);
        }
        Operation::KeepTrust { said, slot } => {
            slot.fill(trust::keep::<DB>(connection, said).await?);
        }
    }
    Ok(())
}
