//! Runs the writes that are waiting as one transaction.

use shared::{
    clock::Clock,
    database::{Engine, Writer},
};

use super::{keys, operation::Operation, users};

/// What runs a group of writes.
pub(super) struct Tables {
    pub(super) clock: Clock,
}

impl<DB: Engine> Writer<DB> for Tables {
    type Write = Operation;

    /// Each write runs its own statements: they are few beside the hashing that precedes them.
    async fn run(
        &self,
        connection: &mut DB::Connection,
        group: &mut [Operation],
    ) -> Result<(), sqlx::Error> {
        // Rows are locked in one order, whichever process runs the group.
        group.sort_by_key(Operation::user_id);
        for operation in group {
            match operation {
                Operation::Register { account, slot } => {
                    slot.fill(users::register::<DB>(connection, account).await?);
                }
                Operation::Update { id, change, checked, slot } => {
                    let (change, now) = (change.clone(), self.clock.now());
                    let checked = checked.as_ref();
                    slot.fill(users::update::<DB>(connection, *id, change, checked, now).await?);
                }
                Operation::SetPassword { id, checked, new, slot } => {
                    slot.fill(users::set_password::<DB>(connection, *id, checked, new).await?);
                }
                Operation::AddKey { key, first_kept, slot } => {
                    slot.fill(keys::add::<DB>(connection, key, *first_kept).await?);
                }
            }
        }
        Ok(())
    }
}
