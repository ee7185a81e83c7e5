//! What deletes everything of an owner whose account is deleted, a batch at a time.
//!
//! Each batch may come again, and several processes may be at it at once: the lock of the owner's row
//! orders them, and a row is counted where it is deleted.
//!
//! No RPC reaches this.

use shared::{
    clock::Time,
    database::{Engine, Statement, get},
    trust::Head,
};
use sqlx::Error;
use uuid::Uuid;

use super::{operation::Operation, owners::Owner, vault::Vault};

/// Some of what an owner has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) owner: Uuid,
    /// Until when a token of the owner may be alive.
    pub(crate) fence_time: Time,
    /// Where to look for tasks: those up to this id are gone, and PostgreSQL would walk over what it still
    /// has of them.
    pub(crate) after: Uuid,
    /// How many rows go at the most.
    pub(crate) most: usize,
}

/// The only cursor's id.
const ID: i64 = 1;

impl<DB: Engine> Vault<DB> {
    /// Deletes some of what an owner has, and lets nothing more come: the first one does only that. The
    /// answer is where the next one looks for tasks; nothing when nothing is left.
    pub(crate) async fn erase_some(
        &self,
        batch: Batch,
    ) -> Result<Option<Uuid>, crate::error::Error> {
        Ok(self.door.submit(|slot| Operation::Erase { batch, slot }).await?)
    }

    /// Leaves no long log of what has been deleted, for others to wait for when that is copied into the file.
    pub(crate) async fn checkpoint_erased(&self, connection: &mut Option<DB::Connection>) {
        if let Err(error) = self.database.checkpoint(connection).await {
            // Then it is a longer one.
            tracing::debug!(%error, "the log is left to others");
        }
    }

    /// How many projects and tasks of an owner have been deleted so far; none once that is known everywhere.
    pub(crate) async fn erased(&self, owner: Uuid) -> Result<(usize, usize), crate::error::Error> {
        let select = "select projects, tasks from erasures where owner_id = $1";
        let rows = self.database.read(Statement::new(select).bind(owner)).await?;
        let Some(row) = rows.first() else { return Ok((0, 0)) };
        let count = |column| get::<DB, i64>(row, column).map(|it| usize::try_from(it).unwrap_or(0));
        Ok((count("projects")?, count("tasks")?))
    }

    /// Leaves nothing in any file of what has been deleted, unless there was nothing: most who go have
    /// never been here.
    pub(crate) async fn purge_erased(&self) -> Result<(), crate::error::Error> {
        let select = "select owner_id from erasures limit 1";
        if !self.database.read(Statement::new(select)).await?.is_empty() {
            self.database.purge().await?;
        }
        Ok(())
    }

    /// The last erasure that is known everywhere; nothing if none is.
    pub(crate) async fn erasure_cursor(&self) -> Result<Option<Head>, crate::error::Error> {
        let select = "select epoch, sequence from erasure_cursor where id = $1";
        let rows = self.database.read(Statement::new(select).bind(ID)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (epoch, sequence) = (get::<DB, _>(row, "epoch")?, get::<DB, _>(row, "sequence")?);
        Ok(Some(Head { epoch, sequence }))
    }

    /// Keeps that the erasure of an owner is known everywhere.
    pub(crate) async fn keep_erased(
        &self,
        owner: Uuid,
        cursor: Head,
    ) -> Result<(), crate::error::Error> {
        Ok(self.door.submit(|slot| Operation::KeepErased { owner, cursor, slot }).await?)
    }
}

/// Deletes a batch, under the lock of the owner's row; the answer is where the next one looks for tasks.
pub(super) async fn run<DB: Engine>(
    connection: &mut DB::Connection,
    owner: &mut Owner,
    batch: &Batch,
) -> Result<Option<Uuid>, Error> {
    let has_written = owner.revision > 0;
    if owner.fence(batch.fence_time) {
        if has_written {
            add::<DB>(connection, batch.owner, 0, 0).await?;
        }
        // What its group has let in before is not in the tables yet.
        return Ok(Some(batch.after));
    }
    delete::<DB>(connection, batch).await
}

async fn delete<DB: Engine>(
    connection: &mut DB::Connection,
    batch: &Batch,
) -> Result<Option<Uuid>, Error> {
    let Batch { owner, after, most, .. } = *batch;
    let tasks = delete_from::<DB>(connection, "tasks", owner, after, most).await?;
    let mut count = tasks.len();
    let projects =
        delete_from::<DB>(connection, "projects", owner, Uuid::nil(), most - count).await?;
    count += projects.len();
    for table in ["deleted_projects", "unfolded_titles"] {
        let rows = delete_from::<DB>(connection, table, owner, Uuid::nil(), most - count).await?;
        count += rows.len();
    }
    count += delete_answers::<DB>(connection, owner, most - count).await?;
    if projects.len() + tasks.len() > 0 {
        add::<DB>(connection, owner, projects.len(), tasks.len()).await?;
    }
    let last = tasks.into_iter().max().unwrap_or(after);
    // Only who has looked from the beginning knows that nothing is left.
    Ok(match count {
        0 if after.is_nil() => None,
        0 => Some(Uuid::nil()),
        _ => Some(last),
    })
}

/// Deletes the first rows of an owner after this id.
async fn delete_from<DB: Engine>(
    connection: &mut DB::Connection,
    table: &'static str,
    owner: Uuid,
    after: Uuid,
    most: usize,
) -> Result<Vec<Uuid>, Error> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let rows = first_of::<DB>(table, owner, after, most).all(connection).await?;
    rows.iter().map(|row| get::<DB, _>(row, "id")).collect()
}

fn first_of<DB: Engine>(
    table: &'static str,
    owner: Uuid,
    after: Uuid,
    most: usize,
) -> Statement<DB> {
    let statement = Statement::new(format!(
        "delete from {table} where owner_id = $1 and id in (
             select id from {table} where owner_id = $1 and id > $2 order by id limit $3
         ) returning id"
    ));
    statement.bind(owner).bind(after).bind(number(most))
}

async fn delete_answers<DB: Engine>(
    connection: &mut DB::Connection,
    owner: Uuid,
    most: usize,
) -> Result<usize, Error> {
    if most == 0 {
        return Ok(0);
    }
    let statement = Statement::<DB>::new(
        "delete from answers where owner_id = $1 and (method, request_id) in (
             select method, request_id from answers where owner_id = $1
             order by method, request_id limit $2
         ) returning request_id",
    );
    Ok(statement.bind(owner).bind(number(most)).all(connection).await?.len())
}

/// Counts what has been deleted, from the beginning of the erasure on.
async fn add<DB: Engine>(
    connection: &mut DB::Connection,
    owner: Uuid,
    projects: usize,
    tasks: usize,
) -> Result<(), Error> {
    let statement = Statement::<DB>::new(
        "insert into erasures (owner_id, projects, tasks) values ($1, $2, $3)
         on conflict (owner_id) do update
         set projects = erasures.projects + excluded.projects, tasks = erasures.tasks + excluded.tasks",
    );
    statement.bind(owner).bind(number(projects)).bind(number(tasks)).all(connection).await?;
    Ok(())
}

/// Keeps how far the erasures are known everywhere, and ends the count of this one. Another process may
/// be further already.
pub(super) async fn keep<DB: Engine>(
    connection: &mut DB::Connection,
    owner: Uuid,
    cursor: Head,
) -> Result<(), Error> {
    let statement = Statement::<DB>::new("delete from erasures where owner_id = $1");
    statement.bind(owner).all(connection).await?;
    let statement = Statement::<DB>::new(
        "insert into erasure_cursor (id, epoch, sequence) values ($1, $2, $3)
         on conflict (id) do update set epoch = excluded.epoch, sequence = excluded.sequence
         where erasure_cursor.epoch <> excluded.epoch
            or erasure_cursor.sequence < excluded.sequence",
    );
    statement.bind(ID).bind(cursor.epoch).bind(cursor.sequence).all(connection).await?;
    Ok(())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use e2e::on_postgres;
    use shared::database::{Database, Postgres, Settings};

    use super::*;
    use crate::store::MIGRATIONS;

    on_postgres!(a_batch_reads_no_more_than_it_deletes_before_the_first_analysis_too);

    async fn a_batch_reads_no_more_than_it_deletes_before_the_first_analysis_too() {
        let place = e2e::Engine::Postgres.place("test").await;
        let settings = Settings::new("test", &place.url).unwrap();
        let database = Database::<Postgres>::open(&settings, &MIGRATIONS).await.unwrap();
        let mut writer = database.connect_writer().await.unwrap();
        let owner = Uuid::new_v4();
        let fill =
            "insert into tasks (owner_id, id, title, description, status, priority, due_time,
                        create_time, update_time, delete_time, revision)
                    select $1, gen_random_uuid(), 't', '', 1, 2, 3, 4, 5, 0, number
                    from generate_series(1, 20000) as number";
        Statement::<Postgres>::new(fill).bind(owner).all(&mut writer).await.unwrap();
        for analyze in ["select 1", "analyze tasks"] {
            Statement::<Postgres>::new(analyze).all(&mut writer).await.unwrap();
            let statement = first_of::<Postgres>("tasks", owner, Uuid::nil(), 100);
            let plan = statement.explained("explain ").all(&mut writer).await.unwrap();
            let lines = plan.iter().map(|row| get::<Postgres, String>(row, "QUERY PLAN").unwrap());
            let plan = lines.collect::<Vec<_>>().join("\n");
            assert_eq!(plan.matches("using tasks_pkey").count(), 2, "{plan}");
            assert!(!plan.contains("Sort"), "{plan}");
        }
    }
}
