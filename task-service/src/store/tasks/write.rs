//! Writes tasks back.
//!
//! A task is in eleven indexes beside the table. On SQLite whoever sets a column writes every index that it is
//! part of, though its value stays as it is. So a task that has changed is written in those columns that have:
//! one that is only completed touches three indexes. PostgreSQL writes the row anew, in every index, anyway.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::database::{Column, Engine, Kind, Statement};

use super::{DERIVED, FIELDS, Row};
use crate::{
    store::rows::{Key, Rows, json},
    tasks::Task,
};

/// A row as it is written, with what the indexes need.
#[derive(Serialize)]
struct Indexed<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    title_key: String,
    deleted: i64,
}

const COLUMNS: [Column; 15] = [
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
    ("title_key", Kind::Text),
    ("deleted", Kind::BigInt),
];

/// The columns that every change writes: those that change, and those that are in no index.
const ALWAYS: &[&str] = &["description", "status", "complete_time", "update_time", "revision"];

/// The others: what decides on them, and whether that has changed.
const OTHERS: [(&[&str], Differs); 5] = [
    (&["project_id"], |before, now| before.project_id != now.project_id),
    (&["title", "title_key"], |before, now| before.title != now.title),
    (&["due_time"], |before, now| before.due_time != now.due_time),
    (&["priority"], |before, now| before.priority != now.priority),
    (&["delete_time", "deleted"], |before, now| before.delete_time != now.delete_time),
];

type Differs = fn(&Task, &Task) -> bool;

/// Writes those that a group has made or changed: one statement for the new ones, and one for each choice of
/// columns.
pub(in crate::store) async fn store<DB: Engine>(
    connection: &mut DB::Connection,
    tasks: &Rows<Task>,
) -> Result<(), sqlx::Error> {
    let (mut new, mut changed) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for (key, before, task) in tasks.changed() {
        let row = Indexed::of(key, task);
        match before {
            None => new.push(row),
            Some(before) => changed.entry(columns(before, task)).or_default().push(row),
        }
    }
    if !new.is_empty() {
        let insert = format!(
            "insert into tasks ({FIELDS}, {DERIVED}) select {FIELDS}, {DERIVED} from {}",
            DB::rows(&COLUMNS)
        );
        Statement::<DB>::new(insert).bind(json(new)?).all(connection).await?;
    }
    for (columns, rows) in changed {
        update::<DB>(&columns, rows)?.all(connection).await?;
    }
    Ok(())
}

/// The statement that writes these columns.
fn update<DB: Engine>(
    columns: &[&str],
    rows: Vec<Indexed<'_>>,
) -> Result<Statement<DB>, sqlx::Error> {
    let values: Vec<_> = columns.iter().map(|name| format!("{name} = x.{name}")).collect();
    let update = format!(
        "update tasks set {} from {} where tasks.owner_id = x.owner_id and tasks.id = x.id",
        values.join(", "),
        DB::rows(&COLUMNS)
    );
    Ok(Statement::new(update).bind(json(rows)?))
}

/// What a change writes.
fn columns(before: &Task, now: &Task) -> Vec<&'static str> {
    let others = OTHERS.iter().filter(|(_, differs)| differs(before, now));
    let others = others.flat_map(|(columns, _)| *columns);
    ALWAYS.iter().chain(others).copied().collect()
}

impl<'a> Indexed<'a> {
    fn of(key: Key, task: &'a Task) -> Self {
        Self {
            row: Row::of(key, task),
            title_key: task.title.key(),
            deleted: i64::from(task.delete_time.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use e2e::{Place, on_every_engine};
    use shared::database::{Database, Lookup, Postgres, Settings, Sqlite, get};
    use uuid::Uuid;

    use super::*;
    use crate::store::{MIGRATIONS, projects, tasks};

    on_every_engine!(Empty: no_set_reads_a_table_whole_before_it_is_analyzed);

    /// A database with nothing in it, for which a planner expects nothing to be dear.
    struct Empty<DB: Engine> {
        database: Database<DB>,
        _place: Place,
    }

    impl<DB: Engine> Empty<DB> {
        async fn open(place: Place) -> Self {
            let settings = Settings::new("test", &place.url).unwrap();
            Self { database: Database::open(&settings, &MIGRATIONS).await.unwrap(), _place: place }
        }
    }

    /// An engine that says how it would run a statement.
    trait Explain: Engine {
        const EXPLAIN: &'static str;
        const LINE: &'static str;
        /// How a row of this table is found.
        fn by_key(table: &str) -> String;
    }

    impl Explain for Sqlite {
        const EXPLAIN: &'static str = "explain query plan ";
        const LINE: &'static str = "detail";

        fn by_key(table: &str) -> String {
            format!("SEARCH {table} USING PRIMARY KEY (owner_id=? AND id=?)")
        }
    }

    impl Explain for Postgres {
        const EXPLAIN: &'static str = "explain ";
        const LINE: &'static str = "QUERY PLAN";

        fn by_key(table: &str) -> String {
            format!("Index Scan using {table}_pkey on {table}")
        }
    }

    async fn no_set_reads_a_table_whole_before_it_is_analyzed<DB: Explain>(empty: Empty<DB>) {
        let keys: BTreeSet<Key> = (0..64).map(|_| (Uuid::new_v4(), Uuid::new_v4())).collect();
        let every_column = OTHERS.iter().flat_map(|(columns, _)| *columns);
        let every_column: Vec<_> = ALWAYS.iter().chain(every_column).copied().collect();
        let sets = [
            ("tasks", tasks::ByKey.select(&keys).unwrap()),
            ("projects", projects::ByKey.select(&keys).unwrap()),
            ("tasks", update::<DB>(ALWAYS, Vec::new()).unwrap()),
            ("tasks", update::<DB>(&every_column, Vec::new()).unwrap()),
        ];
        let mut connection = empty.database.connect_writer().await.unwrap();
        for (table, set) in sets {
            let plan = set.explained(DB::EXPLAIN).all(&mut connection).await.unwrap();
            let plan: Vec<String> =
                plan.iter().map(|row| get::<DB, _>(row, DB::LINE).unwrap()).collect();
            let by_key = DB::by_key(table);
            assert!(plan.iter().any(|line| line.contains(&by_key)), "{plan:#?}");
            // These would look at each row, though an index shows them.
            let whole = ["Hash Join", "Merge Join"];
            assert!(!plan.iter().any(|line| whole.iter().any(|it| line.contains(it))), "{plan:#?}");
        }
    }
}
