//! What a database holds, as text, whatever its tables are.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection, raw_sql};
use uuid::Uuid;

use crate::{Engine, Place};

/// The rows of tables, each as text.
pub type Rows = BTreeMap<String, Vec<String>>;

/// What the table is called in which a test notes what it sees: it belongs to no service.
const NOTES: &str = "audit";

impl Place {
    /// The one column, a text, of what a statement selects.
    pub async fn lines(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql);
        match self.engine {
            Engine::Sqlite => {
                let mut connection =
                    SqliteConnection::connect(&self.url).await.expect("it is there");
                let rows = connection.fetch_all(sql).await.expect("rows");
                connection.close().await.expect("it ends");
                rows.iter().map(|row| row.get(0)).collect()
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("it is there");
                let rows = connection.fetch_all(sql).await.expect("rows");
                connection.close().await.expect("it ends");
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Runs these statements.
    pub async fn execute(&self, sql: &str) {
        let sql = raw_sql(AssertSqlSafe(sql));
        match self.engine {
            Engine::Sqlite => {
                let mut connection =
                    SqliteConnection::connect(&self.url).await.expect("it is there");
                sql.execute(&mut connection).await.expect("it is done");
                connection.close().await.expect("it ends");
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("it is there");
                sql.execute(&mut connection).await.expect("it is done");
                connection.close().await.expect("it ends");
            }
        }
    }

    /// Every row of every table.
    pub async fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for table in self.lines(self.engine.tables()).await {
            if table != NOTES {
                let select = match self.engine {
                    Engine::Sqlite => self.quoted(&table).await,
                    Engine::Postgres => format!("select t::text from {table} as t"),
                };
                let mut lines = self.lines(&select).await;
                lines.sort_unstable();
                rows.insert(table, lines);
            }
        }
        rows
    }

    /// What selects each row of a table as one text.
    async fn quoted(&self, table: &str) -> String {
        let columns = format!("select 'quote(' || name || ')' from pragma_table_info('{table}')");
        let columns = self.lines(&columns).await.join(" || ',' || ");
        format!("select {columns} from {table}")
    }
}

impl Engine {
    fn tables(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
            }
            Self::Postgres => {
                "select table_name::text from information_schema.tables where table_schema = 'public'"
            }
        }
    }

    /// An id as these statements name it.
    #[must_use]
    pub fn id(self, id: Uuid) -> String {
        match self {
            Self::Sqlite => format!("x'{}'", id.simple()),
            Self::Postgres => format!("'{id}'"),
        }
    }
}

/// The rows in which one of these texts is, or the id that it is, without regard to case.
#[must_use]
pub fn naming(rows: &Rows, texts: &[&str]) -> Rows {
    let mut words: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let ids = texts.iter().filter_map(|text| Uuid::try_parse(text).ok());
    words.extend(ids.map(|id| id.simple().to_string()));
    let is_meant = |line: &&String| {
        let line = line.to_lowercase();
        words.iter().any(|word| line.contains(word))
    };
    let named = rows.iter().map(|(table, lines)| {
        (table.clone(), lines.iter().filter(is_meant).cloned().collect::<Vec<_>>())
    });
    named.filter(|(_, lines)| !lines.is_empty()).collect()
}

/// How many rows of each table there are.
#[must_use]
pub fn counted(rows: &Rows) -> Vec<(&str, usize)> {
    rows.iter().map(|(table, lines)| (table.as_str(), lines.len())).collect()
}
