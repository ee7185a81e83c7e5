//! The table of projects.

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use shared::{
    clock::Time,
    database::{Column, Database, Engine, Kind, Lookup, Statement, get},
};
use uuid::Uuid;

use super::{
    page::{limit, read_page},
    rows::{self, Key, Rows, json, time},
};
use crate::{
    pages::{self, Cursor, OrderKey, Page},
    projects::Project,
    text::{Description, Title},
};

/// A row of the table.
#[derive(Serialize, Deserialize)]
pub(super) struct Row<'a> {
    owner_id: Uuid,
    id: Uuid,
    title: Cow<'a, str>,
    description: Cow<'a, str>,
    create_time: i64,
    update_time: i64,
    revision: i64,
}

/// Every column, in one order.
pub(super) const FIELDS: &str =
    "owner_id, id, title, description, create_time, update_time, revision";

const COLUMNS: [Column; 7] = [
    ("owner_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("title", Kind::Text),
    ("description", Kind::Text),
    ("create_time", Kind::BigInt),
    ("update_time", Kind::BigInt),
    ("revision", Kind::BigInt),
];

/// Reads a page, in the order of creation.
pub(super) async fn list<DB: Engine>(
    database: &Database<DB>,
    owner: Uuid,
    page: &Page,
) -> Result<pages::Rows<Project>, sqlx::Error> {
    let statement = Statement::new(format!(
        "select {FIELDS} from projects where owner_id = $1 and id > $2 order by id limit $3"
    ));
    let after = page.after.as_ref().map_or(Uuid::nil(), |cursor| cursor.id);
    let statement = statement.bind(owner).bind(after).bind(limit(page));
    let parse = |row: &DB::Row| {
        let project = project::<DB>(row)?;
        let place = Cursor { key: OrderKey::Number(0), id: project.id };
        Ok((project, place))
    };
    read_page(database, statement, page, parse, Project::text_bytes).await
}

/// Projects by their keys.
#[derive(Debug)]
pub(super) struct ByKey;

impl<DB: Engine> Lookup<DB> for ByKey {
    type Key = Key;
    type Found = Project;

    fn select_one(&self, key: &Key) -> Statement<DB> {
        rows::select_one(FIELDS, "projects", key)
    }

    fn select(&self, keys: &BTreeSet<Key>) -> Result<Statement<DB>, sqlx::Error> {
        rows::select(FIELDS, "projects", keys)
    }

    fn key(&self, row: &DB::Row) -> Result<Key, sqlx::Error> {
        rows::key::<DB>(row)
    }

    fn found(&self, row: &DB::Row) -> Result<Project, sqlx::Error> {
        project::<DB>(row)
    }
}

/// Writes those that a group has made or changed.
pub(super) async fn store<DB: Engine>(
    connection: &mut DB::Connection,
    projects: &Rows<Project>,
) -> Result<(), sqlx::Error> {
    let changed: Vec<Row> =
        projects.changed().map(|(key, _, project)| Row::of(key, project)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let statement = Statement::<DB>::new(format!(
        "insert into projects ({FIELDS}) select {FIELDS} from {} where true
         on conflict (owner_id, id) do update set
             title = excluded.title,
             description = excluded.description,
             update_time = excluded.update_time,
             revision = excluded.revision",
        DB::rows(&COLUMNS)
    ));
    statement.bind(json(changed)?).all(connection).await?;
    Ok(())
}

/// Deletes one, and leaves a note of it for those who watch.
pub(super) async fn delete<DB: Engine>(
    connection: &mut DB::Connection,
    (owner, id): Key,
    now: Time,
    revision: i64,
) -> Result<(), sqlx::Error> {
    let statement = Statement::<DB>::new("delete from projects where owner_id = $1 and id = $2");
    statement.bind(owner).bind(id).all(connection).await?;
    let statement = Statement::<DB>::new(
        "insert into deleted_projects (owner_id, id, delete_time, revision) values ($1, $2, $3, $4)",
    );
    let statement = statement.bind(owner).bind(id).bind(now.micros()).bind(revision);
    statement.all(connection).await?;
    Ok(())
}

impl<'a> Row<'a> {
    pub(super) fn of((owner_id, id): Key, project: &'a Project) -> Self {
        Self {
            owner_id,
            id,
            title: project.title.as_str().into(),
            description: project.description.as_str().into(),
            create_time: project.create_time.micros(),
            update_time: project.update_time.micros(),
            revision: project.revision,
        }
    }

    pub(super) fn project(self) -> Result<Project, sqlx::Error> {
        let time = |column, micros| time(micros, "projects", column, self.id);
        Ok(Project {
            id: self.id,
            create_time: time("create_time", self.create_time)?,
            update_time: time("update_time", self.update_time)?,
            title: Title::stored(self.title.into_owned()),
            description: Description::stored(self.description.into_owned()),
            revision: self.revision,
        })
    }
}

pub(super) fn project<DB: Engine>(row: &DB::Row) -> Result<Project, sqlx::Error> {
    let row = Row {
        owner_id: get::<DB, _>(row, "owner_id")?,
        id: get::<DB, _>(row, "id")?,
        title: get::<DB, String>(row, "title")?.into(),
        description: get::<DB, String>(row, "description")?.into(),
        create_time: get::<DB, _>(row, "create_time")?,
        update_time: get::<DB, _>(row, "update_time")?,
        revision: get::<DB, _>(row, "revision")?,
    };
    row.project()
}
