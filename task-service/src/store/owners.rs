//! The owner's row: it orders the owner's writes and counts what the owner has.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::database::{Column, Engine, Kind, Statement, get};
use uuid::Uuid;

use super::{operation::Operation, rows::json};

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
    /// What the table holds at this moment.
    stored: Row,
}

impl Owner {
    /// The revision of the next change.
    pub(super) fn next_revision(&mut self) -> i64 {
        self.revision += 1;
        self.revision
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    owner_id: Uuid,
    revision: i64,
    projects: i64,
    tasks: i64,
}

const COLUMNS: [Column; 4] = [
    ("owner_id", Kind::Uuid),
    ("revision", Kind::BigInt),
    ("projects", Kind::BigInt),
    ("tasks", Kind::BigInt),
];

impl Owners {
    /// Locks the rows, in the order of their ids so that no two groups wait for each other, and
    /// takes a revision for whatever an owner asks for. Until the commit nobody else gets the next one
    /// of that owner, so revisions are committed in their order.
    pub(super) async fn lock<DB: Engine>(
        connection: &mut DB::Connection,
        group: &[Operation],
    ) -> Result<Self, sqlx::Error> {
        let mut counts = BTreeMap::new();
        for operation in group {
            if let Some(owner) = operation.owner() {
                *counts.entry(owner).or_insert(0) += i64::from(operation.ask().is_some());
            }
        }
        Self::lock_each::<DB>(connection, counts).await
    }

    /// Locks the rows of these owners, and takes so many revisions of each.
    pub(super) async fn lock_each<DB: Engine>(
        connection: &mut DB::Connection,
        counts: BTreeMap<Uuid, i64>,
    ) -> Result<Self, sqlx::Error> {
        if counts.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let row = |(&owner_id, &revision)| Row { owner_id, revision, projects: 0, tasks: 0 };
        let rows = Statement::<DB>::new(format!(
            "insert into owners (owner_id, revision, projects, tasks)
             select owner_id, revision, projects, tasks from {} where true
             on conflict (owner_id) do update set revision = owners.revision + excluded.revision
             returning owner_id, revision, projects, tasks",
            DB::rows(&COLUMNS)
        ))
        .bind(json(counts.iter().map(row))?)
        .all(connection)
        .await?;
        let owner = |row| {
            let stored = Row {
                owner_id: get::<DB, _>(row, "owner_id")?,
                revision: get::<DB, _>(row, "revision")?,
                projects: get::<DB, _>(row, "projects")?,
                tasks: get::<DB, _>(row, "tasks")?,
            };
            let revision = stored.revision - counts.get(&stored.owner_id).unwrap_or(&0);
            let (projects, tasks) = (stored.projects, stored.tasks);
            Ok((stored.owner_id, Owner { revision, projects, tasks, stored }))
        };
        rows.iter().map(owner).collect::<Result<_, sqlx::Error>>().map(Self)
    }

    /// The row of an owner in the group.
    pub(super) fn of(&mut self, owner: Uuid) -> Result<&mut Owner, sqlx::Error> {
        self.0.get_mut(&owner).ok_or(sqlx::Error::RowNotFound)
    }

    /// Writes back the rows that the group has changed beyond the revisions that it took. The answer
    /// is the last revision of each owner.
    pub(super) async fn settle<DB: Engine>(
        self,
        connection: &mut DB::Connection,
    ) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
        let rows = self.0.into_iter().map(|(owner_id, owner)| {
            let revision = owner.revision.max(owner.stored.revision);
            let row = Row { owner_id, revision, projects: owner.projects, tasks: owner.tasks };
            (row, owner.stored)
        });
        let rows: Vec<_> = rows.collect();
        let heads = rows.iter().map(|(row, _)| (row.owner_id, row.revision)).collect();
        let changed = rows.into_iter().filter(|(row, stored)| row != stored).map(|(row, _)| row);
        let changed: Vec<Row> = changed.collect();
        if changed.is_empty() {
            return Ok(heads);
        }
        let statement = Statement::<DB>::new(format!(
            "insert into owners (owner_id, revision, projects, tasks)
             select owner_id, revision, projects, tasks from {} where true
             on conflict (owner_id) do update
             set revision = excluded.revision, projects = excluded.projects, tasks = excluded.tasks",
            DB::rows(&COLUMNS)
        ));
        statement.bind(json(changed)?).all(connection).await?;
        Ok(heads)
    }
}
