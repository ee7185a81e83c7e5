//! What the tables hold of an owner.

use std::collections::BTreeMap;

use shared::{
    database::{Database, Engine, EngineName, Statement, get},
    trust::Caller,
};
use sqlx::{Column, Row};
use task_service::store::MIGRATIONS;
use uuid::Uuid;

use super::Scene;

/// Every row of an owner as text, by table. The schema says which tables have owners, so that none is left
/// out that is added one day.
pub(super) async fn dump<DB: Engine>(
    scene: &Scene<DB>,
    of: &Caller,
) -> BTreeMap<String, Vec<String>> {
    let database = Database::<DB>::open(&scene.settings, &MIGRATIONS).await.unwrap();
    let tables = match scene.settings.engine {
        EngineName::Sqlite => {
            "select m.name from sqlite_schema as m join pragma_table_info(m.name) as c
             where m.type = 'table' and c.name = 'owner_id'"
        }
        EngineName::Postgres => {
            "select table_name::text as name from information_schema.columns
             where column_name = 'owner_id' and table_schema = current_schema"
        }
    };
    let mut dump = BTreeMap::new();
    for table in database.read(Statement::new(tables)).await.unwrap() {
        let table: String = get::<DB, _>(&table, "name").unwrap();
        let select = Statement::new(format!("select * from {table} where owner_id = $1"));
        let rows = database.read(select.bind(of.user_id())).await.unwrap();
        let mut rows: Vec<String> = rows.iter().map(text::<DB>).collect();
        rows.sort_unstable();
        dump.insert(table, rows);
    }
    dump
}

/// The tables that hold anything of an owner.
pub(super) async fn left<DB: Engine>(scene: &Scene<DB>, of: &Caller) -> Vec<String> {
    let dump = dump(scene, of).await.into_iter();
    dump.filter(|(_, rows)| !rows.is_empty()).map(|(table, _)| table).collect()
}

fn text<DB: Engine>(row: &DB::Row) -> String {
    let column = |column: &<DB as sqlx::Database>::Column| {
        let name = column.name();
        let id = get::<DB, Option<Uuid>>(row, name).map(|it| format!("{it:?}"));
        let number = |_| get::<DB, Option<i64>>(row, name).map(|it| format!("{it:?}"));
        let value = id.or_else(number).or_else(|_| get::<DB, String>(row, name));
        format!("{name}={}", value.unwrap())
    };
    row.columns().iter().map(column).collect::<Vec<_>>().join(" ")
}
