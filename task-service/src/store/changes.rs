//! What has changed about an owner since a revision.
//!
//! Each write takes the owner's next revision under the lock of the owner's row, so whoever has read
//! the row finds every revision up to its own committed. What changes meanwhile gets a later one, and
//! is found the next time.

use std::ops::ControlFlow;

use shared::database::{Database, Engine, Statement, get};
use sqlx::Error;
use uuid::Uuid;

use super::{
    projects,
    rows::{OWNER_COLUMNS, owners_json},
    tasks,
};
use crate::{
    changes::{Change, Changes, Position},
    error::Refusal,
};

/// How many rows of a table are read at once.
const PAGE: usize = 500;
/// How many bytes of text: with those of the projects, a message that any client takes.
const BYTES: usize = 1024 * 1024;

/// What comes after a position, a page of it. Without a position it is everything, from the beginning.
pub(super) async fn read<DB: Engine>(
    database: &Database<DB>,
    owner: Uuid,
    since: Option<Position>,
) -> Result<Result<Changes, Refusal>, Error> {
    let first = row(database, owner).await?;
    let head = first.revision;
    let position = since.unwrap_or(Position { revision: 0, beginning: head });
    if let Err(refusal) = first.check(position) {
        return Ok(Err(refusal));
    }
    if position.revision == head {
        return Ok(Ok(Changes { changes: Vec::new(), position, head }));
    }
    let range = Range { owner, after: position.revision, through: head };
    let (mut changes, through) = range.changes(database).await?;
    // Something may have been deleted while it was read.
    if let Err(refusal) = row(database, owner).await?.check(position) {
        return Ok(Err(refusal));
    }
    changes.retain(|change| change.revision() <= through);
    changes.sort_unstable_by_key(Change::revision);
    let position = Position { revision: through, ..position };
    Ok(Ok(Changes { changes, position, head }))
}

/// The last revision of each of these owners.
pub(super) async fn heads<DB: Engine>(
    database: &Database<DB>,
    owners: &[Uuid],
) -> Result<Vec<(Uuid, i64)>, Error> {
    let statement = Statement::new(format!(
        "select owner_id, revision from {} cross join owners where owner_id = key_owner",
        DB::rows(&OWNER_COLUMNS)
    ));
    let rows = database.read(statement.bind(owners_json(owners)?)).await?;
    let head = |row| Ok((get::<DB, _>(row, "owner_id")?, get::<DB, _>(row, "revision")?));
    rows.iter().map(head).collect()
}

/// What an owner's row says to whoever watches.
#[derive(Default)]
struct Row {
    /// The last revision.
    revision: i64,
    /// The last one that something has been forgotten of.
    forgotten: i64,
    /// Until when no write of the owner is let in; 0 is never.
    fence_time: i64,
}

impl Row {
    /// Whether somebody at this position can be told everything that they do not know.
    fn check(&self, position: Position) -> Result<(), Refusal> {
        if self.fence_time > 0 {
            Err(Refusal::OwnerErased)
        } else if position.is_known(self.revision, self.forgotten) {
            Ok(())
        } else {
            Err(Refusal::ResyncRequired)
        }
    }
}

async fn row<DB: Engine>(database: &Database<DB>, owner: Uuid) -> Result<Row, Error> {
    let select = "select revision, forgotten_revision, fence_time from owners where owner_id = $1";
    let rows = database.read(Statement::new(select).bind(owner)).await?;
    let Some(row) = rows.first() else { return Ok(Row::default()) };
    Ok(Row {
        revision: get::<DB, _>(row, "revision")?,
        forgotten: get::<DB, _>(row, "forgotten_revision")?,
        fence_time: get::<DB, _>(row, "fence_time")?,
    })
}

/// The revisions of an owner after one and up to another.
#[derive(Clone, Copy)]
struct Range {
    owner: Uuid,
    after: i64,
    through: i64,
}

/// The beginning of what a table has in a range.
struct Part {
    changes: Vec<Change>,
    bytes: usize,
    is_cut: bool,
    fault: Option<Error>,
}

impl Range {
    /// The beginning of what has changed in the range, in any order, and the revision that it goes
    /// through: beyond that, one of the tables has more.
    async fn changes<DB: Engine>(
        self,
        database: &Database<DB>,
    ) -> Result<(Vec<Change>, i64), Error> {
        let tasks = self.part(database, "tasks", tasks::FIELDS, |row| {
            let task = tasks::task::<DB>(row)?;
            Ok((task.text_bytes(), Change::Task(task)))
        });
        let projects = self.part(database, "projects", projects::FIELDS, |row| {
            let project = projects::project::<DB>(row)?;
            Ok((project.text_bytes(), Change::Project(project)))
        });
        let deleted = self.part(database, "deleted_projects", "id, revision", |row| {
            let (id, revision) = (get::<DB, _>(row, "id")?, get::<DB, _>(row, "revision")?);
            Ok((0, Change::ProjectDeleted { id, revision }))
        });
        let (mut changes, mut through) = (Vec::new(), self.through);
        for part in [tasks.await?, projects.await?, deleted.await?] {
            if let Some(last) = part.changes.last().filter(|_| part.is_cut) {
                through = through.min(last.revision());
            }
            changes.extend(part.changes);
        }
        Ok((changes, through))
    }

    /// The beginning of what a table has in the range, in the order of the revisions.
    async fn part<DB: Engine>(
        self,
        database: &Database<DB>,
        table: &'static str,
        fields: &'static str,
        change: impl Fn(&DB::Row) -> Result<(usize, Change), Error> + Send + 'static,
    ) -> Result<Part, Error> {
        let statement = Statement::new(format!(
            "select {fields} from {table} where owner_id = $1 and revision > $2 and revision <= $3
             order by revision limit {}",
            PAGE + 1
        ));
        let statement = statement.bind(self.owner).bind(self.after).bind(self.through);
        let nothing = Part { changes: Vec::new(), bytes: 0, is_cut: false, fault: None };
        let take = move |part: &mut Part, row| part.take(change(&row));
        let part = database.read_each(statement, nothing, take).await?;
        match part.fault {
            Some(fault) => Err(fault),
            None => Ok(part),
        }
    }
}

impl Part {
    /// Takes one more, unless there is no room. The first always fits.
    fn take(&mut self, change: Result<(usize, Change), Error>) -> ControlFlow<()> {
        match change {
            Ok((bytes, change)) => {
                self.bytes += bytes;
                let is_full = self.changes.len() == PAGE || self.bytes > BYTES;
                if is_full && !self.changes.is_empty() {
                    self.is_cut = true;
                    return ControlFlow::Break(());
                }
                self.changes.push(change);
                ControlFlow::Continue(())
            }
            Err(fault) => {
                self.fault = Some(fault);
                ControlFlow::Break(())
            }
        }
    }
}
