//! Erasures in SQL: who has been deleted, in which order, and who has confirmed it.
//!
//! Whether one is complete is not written down but follows from its parts, so of several services that
//! confirm at once none has to be the last. Parts begin and end with the registrations of services under
//! the lock of the head, so none is forgotten in between.

mod delete;
mod rows;

use shared::{
    clock::Time,
    database::{Engine, Statement, get},
    trust::ServiceCaller,
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    SqlStore,
    operation::{Act, Transaction},
};
use crate::{
    erasures::{Counts, Erasure, OWN_PART},
    error::{Error as Failure, Refusal},
};
use rows::{COLUMNS, erasures};

pub(super) use rows::{begin, settle_parts};

/// A user who has been deleted, at their place in the sequence of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedUser {
    /// The place.
    pub sequence: i64,
    /// The id that the user had.
    pub user_id: Uuid,
    /// When the account was deleted.
    pub delete_time: Time,
}

/// The erasures that are not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// How many there are.
    pub count: i64,
    /// When the first of them began.
    pub since: Option<Time>,
}

impl<DB: Engine> SqlStore<DB> {
    /// Finds the erasure of this id.
    ///
    /// # Errors
    /// [`Refusal::ErasureNotFound`], or when the database is away.
    pub async fn erasure(&self, id: Uuid) -> Result<Erasure, Failure> {
        let select = format!(
            "select {COLUMNS} from erasures e
             join erasure_confirmations c on c.user_id = e.user_id
             where e.id = $1 order by c.service"
        );
        let rows = self.database.read(Statement::new(select).bind(id)).await?;
        let erasure = erasures::<DB>(&rows)?.pop();
        Ok(erasure.ok_or(Refusal::ErasureNotFound)?)
    }

    /// A page of erasures in the order of the deletions, those after a place in the sequence, and the
    /// place to go on from, if there may be more. Those that are complete are left out unless `all` are
    /// asked for.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn erasures(
        &self,
        after: i64,
        most: i64,
        all: bool,
    ) -> Result<(Vec<Erasure>, Option<i64>), Failure> {
        let select = format!(
            "select f.sequence, {COLUMNS}
             from (select sequence, user_id from erasure_feed where sequence > $1
                   order by sequence limit $2) as f
             join erasures e on e.user_id = f.user_id
             join erasure_confirmations c on c.user_id = e.user_id
             order by f.sequence, c.service"
        );
        let statement = Statement::new(select).bind(after).bind(most);
        let rows = self.database.read(statement).await?;
        let mut page = erasures::<DB>(&rows)?;
        let is_full = i64::try_from(page.len()).is_ok_and(|length| length == most);
        let last = rows.last().filter(|_| is_full);
        page.retain(|erasure| all || erasure.complete_time().is_none());
        Ok((page, last.map(|row| get::<DB, _>(row, "sequence")).transpose()?))
    }

    /// Who has been deleted after one place in the sequence and up to another, in order, `most` at the
    /// most.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn deleted_users(
        &self,
        after: i64,
        through: i64,
        most: i64,
    ) -> Result<Vec<DeletedUser>, Failure> {
        let select = "select f.sequence, f.user_id, e.delete_time
                      from erasure_feed f join erasures e on e.user_id = f.user_id
                      where f.sequence > $1 and f.sequence <= $2 order by f.sequence limit $3";
        let statement = Statement::new(select).bind(after).bind(through).bind(most);
        let rows = self.database.read(statement).await?;
        Ok(rows.iter().map(rows::deleted_user::<DB>).collect::<Result<_, _>>()?)
    }

    /// How much is not complete.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn pending_erasures(&self) -> Result<Pending, Failure> {
        let select = "select count(*) as pending, min(e.delete_time) as since from erasures e
                      where e.user_id in (select user_id from erasure_confirmations
                                          where settle_time = 0)";
        let rows = self.database.read(Statement::new(select)).await?;
        let row = rows.first().ok_or(Error::RowNotFound)?;
        let since = get::<DB, Option<i64>>(row, "since")?.and_then(Time::from_micros);
        Ok(Pending { count: get::<DB, _>(row, "pending")?, since })
    }

    /// Confirms an erasure for the calling service. Only the first time counts.
    ///
    /// # Errors
    /// [`Refusal::ErasureNotFound`], or when the database is away.
    pub async fn confirm_erasure(
        &self,
        caller: &ServiceCaller,
        user_id: Uuid,
        counts: Counts,
    ) -> Result<(), Failure> {
        let service = caller.name().to_owned();
        Ok(self.submit(Confirm { service, user_id, counts: Some(counts) }).await??)
    }

    /// The users, `most` at the most, whose erasure this service itself has not confirmed.
    ///
    /// # Errors
    /// When the database is away.
    pub(crate) async fn own_pending_erasures(&self, most: i64) -> Result<Vec<Uuid>, Failure> {
        let select = "select user_id from erasure_confirmations
                      where settle_time = 0 and service = $1 order by user_id limit $2";
        let statement = Statement::new(select).bind(OWN_PART.to_owned()).bind(most);
        let rows = self.database.read(statement).await?;
        let user = |row| get::<DB, Uuid>(row, "user_id");
        Ok(rows.iter().map(user).collect::<Result<_, _>>()?)
    }

    /// Confirms an erasure for this service itself: what was deleted with the account was counted then.
    ///
    /// # Errors
    /// When the database is away.
    pub(crate) async fn confirm_own_erasure(&self, user_id: Uuid) -> Result<(), Failure> {
        let service = OWN_PART.to_owned();
        Ok(self.submit(Confirm { service, user_id, counts: None }).await??)
    }
}

struct Confirm {
    service: String,
    user_id: Uuid,
    /// How much was deleted; nothing if that is written down already.
    counts: Option<Counts>,
}

impl<DB: Engine> Act<DB> for Confirm {
    type Answer = Result<(), Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Self::Answer, Error> {
        // One that was removed stays so: nobody knows whether it is the same that is there again.
        let update = "update erasure_confirmations
                      set settle_time = $3, confirm_time = $3,
                          deleted_counts = case when $4 = '' then deleted_counts else $4 end
                      where user_id = $1 and service = $2 and settle_time = 0
                      returning user_id";
        let statement = Statement::new(update)
            .bind(self.user_id)
            .bind(self.service.clone())
            .bind(at.now.micros())
            .bind(self.counts.as_ref().map(rows::json).transpose()?.unwrap_or_default());
        if !at.all(statement).await?.is_empty() {
            return Ok(Ok(()));
        }
        let select = "select user_id from erasures where user_id = $1";
        let known = !at.all(Statement::new(select).bind(self.user_id)).await?.is_empty();
        Ok(if known { Ok(()) } else { Err(Refusal::ErasureNotFound) })
    }
}
