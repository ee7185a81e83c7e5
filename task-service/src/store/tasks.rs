//! The table of tasks.

mod write;

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use shared::{
    clock::Time,
    database::{Corrupt, Engine, Lookup, Statement, get},
};
use uuid::Uuid;

use super::rows::{self, Key, time};
use crate::{
    tasks::{Priority, Status, Task},
    text::{Description, Title},
};
pub(super) use write::store;

/// What `due_time` holds when there is none: it sorts last.
pub(super) const DUE_NEVER: i64 = i64::MAX;
/// What `delete_time` holds while the task is not deleted.
const NOT_DELETED: i64 = 0;

/// A row of the table.
#[derive(Serialize, Deserialize)]
pub(super) struct Row<'a> {
    owner_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    title: Cow<'a, str>,
    description: Cow<'a, str>,
    status: i64,
    priority: i64,
    due_time: i64,
    complete_time: Option<i64>,
    create_time: i64,
    update_time: i64,
    delete_time: i64,
    revision: i64,
}

/// Every column that is read, in one order.
pub(super) const FIELDS: &str = "owner_id, id, project_id, title, description, status, priority, \
    due_time, complete_time, create_time, update_time, delete_time, revision";

/// Those that follow from the others, for the indexes.
pub(super) const DERIVED: &str = "title_key, deleted";

/// Tasks by their keys.
#[derive(Debug)]
pub(super) struct ByKey;

impl<DB: Engine> Lookup<DB> for ByKey {
    type Key = Key;
    type Found = Task;

    fn select_one(&self, key: &Key) -> Statement<DB> {
        rows::select_one(FIELDS, "tasks", key)
    }

    fn select(&self, keys: &BTreeSet<Key>) -> Result<Statement<DB>, sqlx::Error> {
        rows::select(FIELDS, "tasks", keys)
    }

    fn key(&self, row: &DB::Row) -> Result<Key, sqlx::Error> {
        rows::key::<DB>(row)
    }

    fn found(&self, row: &DB::Row) -> Result<Task, sqlx::Error> {
        task::<DB>(row)
    }
}

/// How many tasks of a project are not deleted, counted no further than `most`.
pub(super) async fn count_in_project<DB: Engine>(
    connection: &mut DB::Connection,
    (owner, project): Key,
    most: i64,
) -> Result<i64, sqlx::Error> {
    let statement = Statement::<DB>::new(
        "select count(*) as count from (
             select 1 from tasks
             where owner_id = $1 and project_id = $2 and deleted = 0 limit $3
         ) as counted",
    );
    let statement = statement.bind(owner).bind(project).bind(most);
    let rows = statement.all(connection).await?;
    get::<DB, _>(rows.first().ok_or(sqlx::Error::RowNotFound)?, "count")
}

/// Marks every task of a project as deleted, each with a revision of its own after `revision`.
pub(super) async fn delete_in_project<DB: Engine>(
    connection: &mut DB::Connection,
    (owner, project): Key,
    now: Time,
    revision: i64,
) -> Result<(), sqlx::Error> {
    let statement = Statement::<DB>::new(
        "update tasks
         set deleted = 1, delete_time = $3, update_time = $3, revision = $4 + x.number
         from (
             select id, row_number() over (order by id) as number from tasks
             where owner_id = $1 and project_id = $2 and deleted = 0
         ) as x
         where tasks.owner_id = $1 and tasks.id = x.id",
    );
    let statement = statement.bind(owner).bind(project);
    statement.bind(now.micros()).bind(revision).all(connection).await?;
    Ok(())
}

impl<'a> Row<'a> {
    pub(super) fn of((owner_id, id): Key, task: &'a Task) -> Self {
        Self {
            owner_id,
            id,
            project_id: task.project_id,
            title: task.title.as_str().into(),
            description: task.description.as_str().into(),
            status: task.status as i64,
            priority: task.priority as i64,
            due_time: task.due_time.map_or(DUE_NEVER, Time::micros),
            complete_time: task.complete_time.map(Time::micros),
            create_time: task.create_time.micros(),
            update_time: task.update_time.micros(),
            delete_time: task.delete_time.map_or(NOT_DELETED, Time::micros),
            revision: task.revision,
        }
    }

    pub(super) fn task(self) -> Result<Task, sqlx::Error> {
        let id = self.id;
        let corrupt = |column| Corrupt { table: "tasks", column, id: id.to_string() };
        let time = |column, micros| time(micros, "tasks", column, id);
        let some = |column, micros: Option<i64>| micros.map(|it| time(column, it)).transpose();
        let unless = |none| move |micros: &i64| *micros != none;
        Ok(Task {
            id,
            project_id: self.project_id,
            status: Status::from_number(self.status).ok_or_else(|| corrupt("status"))?,
            priority: Priority::from_number(self.priority).ok_or_else(|| corrupt("priority"))?,
            due_time: some("due_time", Some(self.due_time).filter(unless(DUE_NEVER)))?,
            complete_time: some("complete_time", self.complete_time)?,
            create_time: time("create_time", self.create_time)?,
            update_time: time("update_time", self.update_time)?,
            delete_time: some("delete_time", Some(self.delete_time).filter(unless(NOT_DELETED)))?,
            title: Title::stored(self.title.into_owned()),
            description: Description::stored(self.description.into_owned()),
            revision: self.revision,
        })
    }
}

pub(super) fn task<DB: Engine>(row: &DB::Row) -> Result<Task, sqlx::Error> {
    let row = Row {
        owner_id: get::<DB, _>(row, "owner_id")?,
        id: get::<DB, _>(row, "id")?,
        project_id: get::<DB, _>(row, "project_id")?,
        title: get::<DB, String>(row, "title")?.into(),
        description: get::<DB, String>(row, "description")?.into(),
        status: get::<DB, _>(row, "status")?,
        priority: get::<DB, _>(row, "priority")?,
        due_time: get::<DB, _>(row, "due_time")?,
        complete_time: get::<DB, _>(row, "complete_time")?,
        create_time: get::<DB, _>(row, "create_time")?,
        update_time: get::<DB, _>(row, "update_time")?,
        delete_time: get::<DB, _>(row, "delete_time")?,
        revision: get::<DB, _>(row, "revision")?,
    };
    row.task()
}
