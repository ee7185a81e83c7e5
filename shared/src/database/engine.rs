//! What a store may ask of an engine, in traits that carry their own bounds, so that a generic
//! store needs no where-clause but `DB: Engine`.

use std::{convert::Infallible, ops::ControlFlow, sync::Arc};

use futures_util::{TryStreamExt, future::BoxFuture};
use sqlx::{
    Arguments, AssertSqlSafe, ColumnIndex, Connection, Decode, Encode, Executor, IntoArguments,
    Row, SqlSafeStr, Type,
    error::BoxDynError,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Database, OpenFault, Settings};

/// `T` can be bound to a statement of this engine and read back from its rows.
pub trait Sql<T>: sqlx::Database {
    /// Adds a value to the arguments of a statement.
    ///
    /// # Errors
    /// When the value can not be encoded.
    fn put(arguments: &mut Self::Arguments, value: T) -> Result<(), BoxDynError>;

    /// Reads a column of a row.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    fn get(row: &Self::Row, column: &str) -> Result<T, sqlx::Error>;
}

impl<DB, T> Sql<T> for DB
where
    DB: sqlx::Database,
    T: for<'q> Encode<'q, DB> + for<'r> Decode<'r, DB> + Type<DB>,
    for<'i> &'i str: ColumnIndex<DB::Row>,
{
    fn put(arguments: &mut Self::Arguments, value: T) -> Result<(), BoxDynError> {
        arguments.add(value)
    }

    fn get(row: &Self::Row, column: &str) -> Result<T, sqlx::Error> {
        row.try_get(column)
    }
}

/// Reads a column of a row, its type inferred from where the value goes.
///
/// # Errors
/// When there is no such column, or it holds something else.
pub fn get<DB: Sql<T>, T>(row: &DB::Row, column: &str) -> Result<T, sqlx::Error> {
    DB::get(row, column)
}

/// A connection that runs statements of `DB`.
pub trait Run<DB: sqlx::Database>: Send {
    /// Runs a statement and returns its rows.
    fn all(
        &mut self,
        sql: String,
        arguments: DB::Arguments,
    ) -> BoxFuture<'_, Result<Vec<DB::Row>, sqlx::Error>>;

    /// Runs a statement and hands over its rows one by one, until `take` wants no more.
    fn each<'c>(
        &'c mut self,
        sql: String,
        arguments: DB::Arguments,
        take: &'c mut (dyn FnMut(DB::Row) -> ControlFlow<()> + Send),
    ) -> BoxFuture<'c, Result<(), sqlx::Error>>;
}

impl<DB, C> Run<DB> for C
where
    DB: sqlx::Database,
    DB::Arguments: IntoArguments<DB>,
    C: Send,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
{
    fn all(
        &mut self,
        sql: String,
        arguments: DB::Arguments,
    ) -> BoxFuture<'_, Result<Vec<DB::Row>, sqlx::Error>> {
        // Every text comes from a store: literals, and names out of closed sets. Values are bound.
        Box::pin(sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(self))
    }

    fn each<'c>(
        &'c mut self,
        sql: String,
        arguments: DB::Arguments,
        take: &'c mut (dyn FnMut(DB::Row) -> ControlFlow<()> + Send),
    ) -> BoxFuture<'c, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let mut rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(self);
            while let Some(row) = rows.try_next().await? {
                if take(row).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// A database engine that stores can be built on.
pub trait Engine:
    sqlx::Database<Connection: Run<Self>>
    + Sql<Uuid>
    + Sql<Option<Uuid>>
    + Sql<i64>
    + Sql<Option<i64>>
    + Sql<String>
    + Sql<Vec<u8>>
{
    /// What begins a transaction that will write.
    const BEGIN: &'static str;

    /// What tells other processes of a write, by the name of a topic; nothing where they see it anyway.
    const ANNOUNCE: Option<&'static str>;

    /// What leaves the data in one file, so that a copy of that is whole and what is deleted there is nowhere
    /// else. Its row says in `busy` whether it could not. Nothing where the data are in no file of ours.
    const SETTLE: Option<&'static str>;

    /// What copies the log into the file, and keeps nobody from writing; see [`Database::checkpoint`].
    const CHECKPOINT: Option<&'static str>;

    /// Whether the end of a statement comes later than its last row, from another thread, and can say nothing
    /// new then: whoever has all rows need not wait for it.
    const ENDS_ELSEWHERE: bool;

    /// A row source for a `from` clause, named `x`: the JSON array of objects bound as `$1`, with
    /// these members as typed columns, in the order of the array.
    fn rows(columns: &[Column]) -> String;

    /// Opens a database of this engine; see [`Database::open`].
    fn open(
        settings: &Settings,
        migrations: &Migrations,
    ) -> impl Future<Output = Result<Database<Self>, OpenFault>> + Send;

    /// Wipes what is left of deleted rows beside the others; see [`Database::purge`].
    fn purge(database: &Database<Self>) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Does for the files what need not be done in the midst of a write, while writes come.
    fn keep(database: &Database<Self>) -> impl Future<Output = Infallible> + Send;

    /// Hears of what other processes write; see [`Database::listen`].
    fn listen(
        database: &Database<Self>,
        topic: &'static str,
        heard: Arc<Notify>,
    ) -> impl Future<Output = Infallible> + Send;
}

/// A member of the objects that [`Engine::rows`] takes apart: its name and its type.
pub type Column = (&'static str, Kind);

/// The types of columns that every engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `uuid::Uuid`, a string in JSON.
    Uuid,
    /// `i64`.
    BigInt,
    /// `String`.
    Text,
}

/// A service's migrations: for each engine the same steps, as pairs of a name and its SQL, in
/// order. What has been released is never edited, only followed by more.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// The steps for SQLite.
    pub sqlite: &'static [(&'static str, &'static str)],
    /// The steps for PostgreSQL.
    pub postgres: &'static [(&'static str, &'static str)],
}

/// Applies the steps that the database has not seen, numbered from 1, and closes the connection.
pub(super) async fn migrate<C: Connection + Migrate>(
    mut connection: C,
    steps: &'static [(&'static str, &'static str)],
) -> Result<(), OpenFault> {
    let steps = (1..).zip(steps).map(|(version, &(name, sql))| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    // What `run` does, without its bound on lifetimes that no connection meets.
    Migrator::with_migrations(steps.collect()).run_direct(None, &mut connection, false).await?;
    Ok(connection.close().await?)
}
