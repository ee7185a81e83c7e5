//! The owner's row: it orders the owner's writes and counts what the owner has.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::{
    clock::Time,
    database::{Column, Engine, Kind, Statement, get},
};
use uuid::Uuid;

use super::{
    operation::{Ask, Deed, Operation},
    rows::{OWNER_COLUMNS, json, owners_json},
};

/// The rows of the owners in a group, locked for the rest of its transaction.
#[derive(Debug)]
pub(super) struct Owners(BTreeMap<Uuid, Owner>);

/// What an owner has, and how often it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The last revision that has been given out.
    pub(super) revision: i64,
    /// How many projects there are.
    pub(super) projects: i64,
    /// How many tasks there are that are not deleted.
    pub(super) tasks: i64,
    /// Until when no write of the owner is let in; 0 is never.
    fence_time: i64,
    /// Whether nobody needs the row any more.
    is_over: bool,
    /// What the table holds at this moment.
    stored: Row,
}

impl Owner {
    /// Whether the owner is being erased, or has been: nothing of theirs is written any more.
    pub(super) fn is_fenced(&self) -> bool {
        self.fence_time > 0
    }

    /// Lets in no write of the owner any more, until this time; whoever watches is to see that. The answer
    /// is whether it is news.
    pub(super) fn fence(&mut self, until: Time) -> bool {
        let is_news = until.micros() > self.fence_time;
        if is_news {
            self.fence_time = until.micros();
            (self.projects, self.tasks) = (0, 0);
            self.next_revision();
        }
        is_news
    }

    /// Whether no token of a fenced owner can be alive any more.
    pub(super) fn is_fence_over(&self, now: Time) -> bool {
        self.is_fenced() && self.fence_time <= now.micros()
    }

    /// Has the row deleted with the commit.
    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    /// An owner for whom this was written in advance.
    fn of(stored: Row, advance: Advance) -> Self {
        Self {
            revision: stored.revision - advance.revisions,
            projects: stored.projects - advance.projects,
            tasks: stored.tasks - advance.tasks,
            fence_time: stored.fence_time,
            is_over: false,
            stored,
        }
    }

    /// What the table is to hold.
    fn row(&self) -> Row {
        Row {
            owner_id: self.stored.owner_id,
            revision: self.revision.max(self.stored.revision),
            projects: self.projects,
            tasks: self.tasks,
            fence_time: self.fence_time,
        }
    }

    /// The revision of the next change.
    pub(super) fn next_revision(&mut self) -> i64 {
        self.revision += 1;
        self.revision
    }
}

/// What is written along with the lock: what the owner's row comes to if nothing is refused, so that it need
/// not be written once more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Advance {
    /// How many changes there may be.
    pub(super) revisions: i64,
    /// How many projects more.
    pub(super) projects: i64,
    /// How many tasks more.
    pub(super) tasks: i64,
}

impl Advance {
    /// Adds what an owner asks for.
    fn add(&mut self, ask: &Ask) {
        self.revisions += 1;
        self.projects += i64::from(matches!(ask.deed, Deed::CreateProject(_)));
        self.tasks += i64::from(matches!(ask.deed, Deed::CreateTask(_)));
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    owner_id: Uuid,
    revision: i64,
    projects: i64,
    tasks: i64,
    fence_time: i64,
}

const FIELDS: &str = "owner_id, revision, projects, tasks, fence_time";

const COLUMNS: [Column; 5] = [
    ("owner_id", Kind::Uuid),
    ("revision", Kind::BigInt),
    ("projects", Kind::BigInt),
    ("tasks", Kind::BigInt),
    ("fence_time", Kind::BigInt),
];

impl Owners {
    /// Locks the rows, in the order of their ids so that no two groups wait for each other, and
    /// takes a revision for whatever an owner asks for. Until the commit nobody else gets the next one
    /// of that owner, so revisions are committed in their order.
    pub(super) async fn lock<DB: Engine>(
        connection: &mut DB::Connection,
        group: &[Operation],
    ) -> Result<Self, sqlx::Error> {
        let mut advances = BTreeMap::<_, Advance>::new();
        for operation in group {
            if let Some(owner) = operation.owner() {
                let advance = advances.entry(owner).or_default();
                operation.ask().into_iter().for_each(|ask| advance.add(ask));
            }
        }
        Self::lock_each::<DB>(connection, advances).await
    }

    /// Locks the rows of these owners, and writes for each what it may come to.
    pub(super) async fn lock_each<DB: Engine>(
        connection: &mut DB::Connection,
        advances: BTreeMap<Uuid, Advance>,
    ) -> Result<Self, sqlx::Error> {
        if advances.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let row = |(&owner_id, advance): (&Uuid, &Advance)| Row {
            owner_id,
            revision: advance.revisions,
            projects: advance.projects,
            tasks: advance.tasks,
            fence_time: 0,
        };
        let rows = Statement::<DB>::new(format!(
            "insert into owners ({FIELDS}) select {FIELDS} from {} where true
             on conflict (owner_id) do update
             set revision = owners.revision + excluded.revision,
                 projects = owners.projects + excluded.projects,
                 tasks = owners.tasks + excluded.tasks
             returning {FIELDS}",
            DB::rows(&COLUMNS)
        ))
        .bind(json(advances.iter().map(row))?)
        .all(connection)
        .await?;
        let owner = |row| {
            let stored = Row {
                owner_id: get::<DB, _>(row, "owner_id")?,
                revision: get::<DB, _>(row, "revision")?,
                projects: get::<DB, _>(row, "projects")?,
                tasks: get::<DB, _>(row, "tasks")?,
                fence_time: get::<DB, _>(row, "fence_time")?,
            };
            let advance = advances.get(&stored.owner_id).copied().unwrap_or_default();
            Ok((stored.owner_id, Owner::of(stored, advance)))
        };
        rows.iter().map(owner).collect::<Result<_, sqlx::Error>>().map(Self)
    }

    /// The row of an owner in the group.
    pub(super) fn of(&mut self, owner: Uuid) -> Result<&mut Owner, sqlx::Error> {
        self.0.get_mut(&owner).ok_or(sqlx::Error::RowNotFound)
    }

    /// Writes back the rows that the group has changed beyond what was written in advance, and deletes those
    /// that are over. The answer is the last revision of each other owner.
    pub(super) async fn settle<DB: Engine>(
        self,
        connection: &mut DB::Connection,
    ) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
        let (mut heads, mut changed, mut over) = (Vec::new(), Vec::new(), Vec::new());
        for (id, owner) in self.0 {
            let row = owner.row();
            // Without a revision there was never anything but the lock.
            if owner.is_over || row.revision == 0 {
                over.push(id);
                continue;
            }
            heads.push((id, row.revision));
            if row != owner.stored {
                changed.push(row);
            }
        }
        if !changed.is_empty() {
            let statement = Statement::<DB>::new(format!(
                "insert into owners ({FIELDS}) select {FIELDS} from {} where true
                 on conflict (owner_id) do update
                 set revision = excluded.revision, projects = excluded.projects,
                     tasks = excluded.tasks, fence_time = excluded.fence_time",
                DB::rows(&COLUMNS)
            ));
            statement.bind(json(changed)?).all(connection).await?;
        }
        if !over.is_empty() {
            let statement = Statement::<DB>::new(format!(
                "delete from owners where owner_id in (select key_owner from {})",
                DB::rows(&OWNER_COLUMNS)
            ));
            statement.bind(owners_json(&over)?).all(connection).await?;
        }
        Ok(heads)
    }
}
