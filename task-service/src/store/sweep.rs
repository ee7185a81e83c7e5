//! What forgets: tasks that were deleted long ago, what was kept for a while, and owners who are erased.
//!
//! No RPC reaches this.

use shared::{
    clock::Time,
    database::{Engine, Statement, get},
};
use sqlx::Error;
use uuid::Uuid;

use super::{operation::Operation, owners::Owner, vault::Vault};

/// What of an owner is to be forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sweep {
    pub(crate) owner: Uuid,
    /// What was deleted until then goes for good.
    pub(crate) deleted_until: Time,
    /// Answers that were kept until then go.
    pub(crate) now: Time,
    /// How many rows of each table go at the most.
    pub(crate) most: i64,
}

impl<DB: Engine> Vault<DB> {
    /// Of the owners after this one, no more than `most`, those who have something to forget; and
    /// the last that was looked at, if there are more.
    pub(crate) async fn owners_to_sweep(
        &self,
        after: Uuid,
        deleted_until: Time,
        now: Time,
        most: i64,
    ) -> Result<(Vec<Uuid>, Option<Uuid>), crate::error::Error> {
        let statement = Statement::new(
            "select owner_id, cast(case
                 when fence_time > $4
                 or exists (select 1 from erasures e where e.owner_id = o.owner_id) then 0
                 when fence_time > 0
                 or exists (select 1 from tasks t where t.owner_id = o.owner_id
                            and t.deleted = 1 and t.update_time <= $3)
                 or exists (select 1 from deleted_projects p where p.owner_id = o.owner_id
                            and p.delete_time <= $3)
                 or exists (select 1 from answers a where a.owner_id = o.owner_id
                            and a.expire_time <= $4) then 1
                 else 0 end as bigint) as is_due
             from (select owner_id, fence_time from owners
                   where owner_id > $1 order by owner_id limit $2) as o
             order by owner_id",
        );
        let statement = statement.bind(after).bind(most);
        let statement = statement.bind(deleted_until.micros()).bind(now.micros());
        let rows = self.database.read(statement).await?;
        let mut due = Vec::new();
        for row in &rows {
            if get::<DB, i64>(row, "is_due")? != 0 {
                due.push(get::<DB, _>(row, "owner_id")?);
            }
        }
        let is_full = i64::try_from(rows.len()).is_ok_and(|length| length == most);
        let last = rows.last().filter(|_| is_full);
        Ok((due, last.map(|row| get::<DB, _>(row, "owner_id")).transpose()?))
    }

    /// Forgets, no more than a batch; the answer is how many rows have gone.
    pub(crate) async fn sweep(&self, sweep: Sweep) -> Result<usize, crate::error::Error> {
        Ok(self.door.submit(|slot| Operation::Sweep { sweep, slot }).await?)
    }
}

/// Forgets, under the lock of the owner's row. Of an owner who is erased nothing is left but the row: it
/// goes once no token can be alive.
pub(super) async fn run<DB: Engine>(
    connection: &mut DB::Connection,
    owner: &mut Owner,
    sweep: &Sweep,
) -> Result<usize, Error> {
    if !owner.is_fenced() {
        return sweep_rows::<DB>(connection, sweep).await;
    }
    if owner.is_fence_over(sweep.now) && !is_being_erased::<DB>(connection, sweep.owner).await? {
        owner.end();
    }
    Ok(0)
}

async fn is_being_erased<DB: Engine>(
    connection: &mut DB::Connection,
    owner: Uuid,
) -> Result<bool, Error> {
    let select = Statement::<DB>::new("select owner_id from erasures where owner_id = $1");
    Ok(!select.bind(owner).all(connection).await?.is_empty())
}

/// What those who watch may not have heard of yet, they can not hear of any more: the owner's row says
/// so.
async fn sweep_rows<DB: Engine>(
    connection: &mut DB::Connection,
    sweep: &Sweep,
) -> Result<usize, Error> {
    let tasks = Statement::<DB>::new(
        "delete from tasks where owner_id = $1 and id in (
             select id from tasks where owner_id = $1 and deleted = 1 and update_time <= $2
             order by update_time, id limit $3
         ) returning revision",
    );
    let projects = Statement::<DB>::new(
        "delete from deleted_projects where owner_id = $1 and id in (
             select id from deleted_projects where owner_id = $1 and delete_time <= $2
             order by delete_time, id limit $3
         ) returning revision",
    );
    let (mut count, mut forgotten) = (0, 0);
    for statement in [tasks, projects] {
        let statement = statement.bind(sweep.owner).bind(sweep.deleted_until.micros());
        let rows = statement.bind(sweep.most).all(connection).await?;
        count += rows.len();
        for row in &rows {
            forgotten = forgotten.max(get::<DB, i64>(row, "revision")?);
        }
    }
    if forgotten > 0 {
        let statement = Statement::<DB>::new(
            "update owners set forgotten_revision = $2
             where owner_id = $1 and forgotten_revision < $2",
        );
        statement.bind(sweep.owner).bind(forgotten).all(connection).await?;
    }
    Ok(count + sweep_answers::<DB>(connection, sweep).await?)
}

async fn sweep_answers<DB: Engine>(
    connection: &mut DB::Connection,
    sweep: &Sweep,
) -> Result<usize, Error> {
    let statement = Statement::<DB>::new(
        "delete from answers where owner_id = $1 and (method, request_id) in (
             select method, request_id from answers where owner_id = $1 and expire_time <= $2
             order by expire_time limit $3
         ) returning request_id",
    );
    let statement = statement.bind(sweep.owner).bind(sweep.now.micros()).bind(sweep.most);
    Ok(statement.all(connection).await?.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use e2e::{Place, on_every_engine};
    use shared::{clock::Clock, database::Settings, testing::Forge};

    use super::*;
    use crate::{
        store::{Quotas, SqlStore},
        tasks::{NewTask, Priority, Status},
        text::{Description, Title},
    };

    on_every_engine!(Scene: what_is_brought_back_is_not_swept_in_the_same_transaction);

    /// How long deleted tasks are kept.
    const KEPT: Duration = Duration::from_hours(24);

    struct Scene<DB: Engine> {
        store: SqlStore<DB>,
        clock: Clock,
        _place: Place,
    }

    impl<DB: Engine> Scene<DB> {
        async fn open(place: Place) -> Self {
            let settings = Settings::new("test", &place.url).unwrap();
            let clock = Clock::manual(Time::from_seconds(1_700_000_000));
            let quotas = Quotas { projects: 1, tasks: 1, forced_deletion: 1 };
            let store = SqlStore::open(&settings, quotas, clock.clone()).await.unwrap();
            Self { store, clock, _place: place }
        }
    }

    /// Handed in before the doorkeeper is polled, both are in one group.
    async fn what_is_brought_back_is_not_swept_in_the_same_transaction<DB: Engine>(
        scene: Scene<DB>,
    ) {
        let Scene { store, clock, .. } = &scene;
        let ann = Forge::new().caller(Uuid::new_v4());
        let new = NewTask {
            project_id: None,
            title: Title::parse("back again".to_owned()).unwrap(),
            description: Description::parse(String::new()).unwrap(),
            status: Status::Todo,
            priority: Priority::Low,
            due_time: None,
        };
        let task = store.create_task(&ann, None, new.clone()).await.unwrap();
        let vault = store.vault();
        for sweeps_first in [true, false] {
            store.delete_task(&ann, None, task.id, None).await.unwrap();
            clock.advance(2 * KEPT);
            let now = clock.now();
            let sweep =
                Sweep { owner: ann.user_id(), deleted_until: now.minus(KEPT), now, most: 100 };
            let (back, swept) = if sweeps_first {
                let swept = vault.sweep(sweep);
                let (swept, back) =
                    tokio::join!(swept, store.undelete_task(&ann, None, task.id, None));
                (back, swept)
            } else {
                tokio::join!(store.undelete_task(&ann, None, task.id, None), vault.sweep(sweep))
            };
            assert_eq!(swept.unwrap(), 0, "nothing was over");
            let back = back.unwrap();
            assert_eq!(store.get_task(&ann, task.id).await.unwrap(), back);
        }
        let second = store.create_task(&ann, None, new).await;
        assert!(second.is_err(), "what is back counts");
    }
}
