//! A statement and its arguments, put together in one pass.

use std::{borrow::Cow, ops::ControlFlow};

use sqlx::error::BoxDynError;

use super::{Engine, Run, Sql};

/// SQL with `$1..$n` and the values bound to them.
pub struct Statement<DB: Engine> {
    sql: Cow<'static, str>,
    arguments: DB::Arguments,
    bound: usize,
    fault: Option<BoxDynError>,
}

impl<DB: Engine> std::fmt::Debug for Statement<DB> {
    /// Shows the text alone: the values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement").field("sql", &self.sql).finish_non_exhaustive()
    }
}

impl<DB: Engine> Statement<DB> {
    /// A statement of this text.
    #[must_use]
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), arguments: DB::Arguments::default(), bound: 0, fault: None }
    }

    /// Binds the next `$n`.
    #[must_use]
    pub fn bind<T>(mut self, value: T) -> Self
    where
        DB: Sql<T>,
    {
        self.add(value);
        self
    }

    /// Appends text.
    pub fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// Appends the next `$n`, and binds it.
    pub fn push_bind<T>(&mut self, value: T) -> &mut Self
    where
        DB: Sql<T>,
    {
        self.add(value);
        let placeholder = format!("${}", self.bound);
        self.push(&placeholder)
    }

    /// The text so far.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The statement that has the engine say how it would run this one.
    #[must_use]
    pub fn explained(mut self, explain: &str) -> Self {
        self.sql.to_mut().insert_str(0, explain);
        self
    }

    /// Runs the statement and returns its rows.
    ///
    /// # Errors
    /// When a value can not be encoded, or the database does not answer or refuses the statement.
    pub async fn all(self, connection: &mut DB::Connection) -> Result<Vec<DB::Row>, sqlx::Error> {
        match self.fault {
            Some(fault) => Err(sqlx::Error::Encode(fault)),
            None => connection.all(self.sql.into_owned(), self.arguments).await,
        }
    }

    /// Runs the statement and hands over its rows one by one, until `take` wants no more.
    ///
    /// # Errors
    /// As [`Statement::all`].
    pub async fn each(
        self,
        connection: &mut DB::Connection,
        take: &mut (dyn FnMut(DB::Row) -> ControlFlow<()> + Send),
    ) -> Result<(), sqlx::Error> {
        match self.fault {
            Some(fault) => Err(sqlx::Error::Encode(fault)),
            None => connection.each(self.sql.into_owned(), self.arguments, take).await,
        }
    }

    fn add<T>(&mut self, value: T)
    where
        DB: Sql<T>,
    {
        self.bound += 1;
        if let Err(fault) = DB::put(&mut self.arguments, value) {
            self.fault.get_or_insert(fault);
        }
    }
}
