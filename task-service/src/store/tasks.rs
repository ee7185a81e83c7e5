//! The table of tasks.

use std::collections::BTreeSet;

use serde::Serialize;
use shared::{
    clock::Time,
    database::{Column, Corrupt, Database, Engine, Kind, Statement, get},
};
use uuid::Uuid;

use super::rows::{KEY_COLUMNS, Key, Rows, json, keys_json, time};
use crate::{
    tasks::{Priority, Status, Task},
    text::{Description, Title},
};

/// What `due_time` holds when there is none: it sorts last.
pub(super) const DUE_NEVER: i64 = i64::MAX;
/// What `delete_time` holds while the task is not deleted.
pub(super) const NOT_DELETED: i64 = 0;

#[derive(Serialize)]
struct Row<'a> {
    owner_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    title: &'a str,
    description: &'a str,
    status: i64,
    priority: i64,
    due_time: i64,
    complete_time: Option<i64>,
    create_time: i64,
    update_time: i64,
    delete_time: i64,
    revision: i64,
}

/// Every column, in one order.
pub(super) const FIELDS: &str = "owner_id, id, project_id, title, description, status, priority, \
    due_time, complete_time, create_time, update_time, delete_time, revision";

const COLUMNS: [Column; 13] = [
    ("owner_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("project_id", Kind::Uuid),
    ("title", Kind::Text),
    ("description", Kind::Text),
    ("status", Kind::BigInt),
    ("priority", Kind::BigInt),
    ("due_time", Kind::BigInt),
    ("complete_time", Kind::BigInt),
    ("create_time", Kind::BigInt),
    ("update_time", Kind::BigInt),
    ("delete_time", Kind::BigInt),
    ("revision", Kind::BigInt),
];

/// Reads one.
pub(super) async fn find<DB: Engine>(
    database: &Database<DB>,
    owner: Uuid,
    id: Uuid,
) -> Result<Option<Task>, sqlx::Error> {
    let statement =
        Statement::new(format!("select {FIELDS} from tasks where owner_id = $1 and id = $2"));
    let rows = database.read(statement.bind(owner).bind(id)).await?;
    rows.first().map(task::<DB>).transpose()
}

/// Reads those that a group needs.
pub(super) async fn load<DB: Engine>(
    connection: &mut DB::Connection,
    keys: &BTreeSet<Key>,
) -> Result<Rows<Task>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Rows::default());
    }
    let statement = Statement::<DB>::new(format!(
        "select {FIELDS} from {} cross join tasks where owner_id = key_owner and id = key_id",
        DB::rows(&KEY_COLUMNS)
    ));
    let rows = statement.bind(keys_json(keys)?).all(connection).await?;
    let row =
        |row| Ok(((get::<DB, _>(row, "owner_id")?, get::<DB, _>(row, "id")?), task::<DB>(row)?));
    rows.iter().map(row).collect::<Result<_, sqlx::Error>>().map(Rows::new)
}

/// Writes those that a group has made or changed.
pub(super) async fn store<DB: Engine>(
    connection: &mut DB::Connection,
    tasks: &Rows<Task>,
) -> Result<(), sqlx::Error> {
    let changed: Vec<Row> = tasks.changed().map(row).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let statement = Statement::<DB>::new(format!(
        "insert into tasks ({FIELDS}) select {FIELDS} from {} where true
         on conflict (owner_id, id) do update set
             project_id = excluded.project_id,
             title = excluded.title,
             description = excluded.description,
             status = excluded.status,
             priority = excluded.priority,
             due_time = excluded.due_time,
             complete_time = excluded.complete_time,
             update_time = excluded.update_time,
             delete_time = excluded.delete_time,
             revision = excluded.revision",
        DB::rows(&COLUMNS)
    ));
    statement.bind(json(changed)?).all(connection).await?;
    Ok(())
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
             where owner_id = $1 and project_id = $2 and delete_time = $3 limit $4
         ) as counted",
    );
    let statement = statement.bind(owner).bind(project).bind(NOT_DELETED).bind(most);
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
        "update tasks set delete_time = $4, update_time = $4, revision = $5 + x.number
         from (
             select id, row_number() over (order by id) as number from tasks
             where owner_id = $1 and project_id = $2 and delete_time = $3
         ) as x
         where tasks.owner_id = $1 and tasks.id = x.id",
    );
    let statement = statement.bind(owner).bind(project).bind(NOT_DELETED);
    statement.bind(now.micros()).bind(revision).all(connection).await?;
    Ok(())
}

fn row(((owner_id, id), task): (Key, &Task)) -> Row<'_> {
    Row {
        owner_id,
        id,
        project_id: task.project_id,
        title: task.title.as_str(),
        description: task.description.as_str(),
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

pub(super) fn task<DB: Engine>(row: &DB::Row) -> Result<Task, sqlx::Error> {
    let id: Uuid = get::<DB, _>(row, "id")?;
    let corrupt = |column| Corrupt { table: "tasks", column, id: id.to_string() };
    let number = |column| get::<DB, i64>(row, column);
    let some_time = |column, none: Option<i64>| match get::<DB, Option<i64>>(row, column)? {
        number if number == none => Ok(None),
        _ => time::<DB>(row, "tasks", column, id).map(Some),
    };
    Ok(Task {
        id,
        project_id: get::<DB, _>(row, "project_id")?,
        title: Title::stored(get::<DB, _>(row, "title")?),
        description: Description::stored(get::<DB, _>(row, "description")?),
        status: Status::from_number(number("status")?).ok_or_else(|| corrupt("status"))?,
        priority: Priority::from_number(number("priority")?).ok_or_else(|| corrupt("priority"))?,
        due_time: some_time("due_time", Some(DUE_NEVER))?,
        complete_time: some_time("complete_time", None)?,
        create_time: time::<DB>(row, "tasks", "create_time", id)?,
        update_time: time::<DB>(row, "tasks", "update_time", id)?,
        delete_time: some_time("delete_time", Some(NOT_DELETED))?,
        revision: number("revision")?,
    })
}
