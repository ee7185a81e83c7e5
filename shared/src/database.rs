//! One way to a database, whatever its engine.
//!
//! A store is generic over its [`Engine`] and writes each statement once, with `$1..$n`. It reads
//! lists through [`Database::read`], single rows through a [`ReadDoor`], which asks for all that are
//! waited for with one statement, and writes through its [`Door`], which turns the writes that are
//! waiting into one transaction. No other module knows which engine is at work.

mod answers;
mod corrupt;
mod door;
mod engine;
mod fault;
mod lookup;
mod postgres;
mod settings;
mod signal;
mod sqlite;
mod statement;

pub use answers::Answers;
pub use corrupt::Corrupt;
pub use door::{Door, Slot, Write, WriteError, Writer};
pub use engine::{Column, Engine, Kind, Migrations, Run, Sql, get};
pub use fault::{OpenError, OpenFault, is_unavailable};
pub use lookup::{Lookup, LookupError, ReadDoor};
pub use settings::{EngineName, Settings, UrlFault};
pub use signal::Announcer;
pub use sqlx::{Postgres, Sqlite};
pub use statement::Statement;

use std::{ops::ControlFlow, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{ConnectOptions, Connection, Pool, pool::PoolConnection};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::metrics::Metrics;
use fault::{is_lost, within};

/// How long a read waits for a connection, and a write for a new one, before it gives up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a service that ends waits for its data to be in one place, which they need not be.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);
/// How soon it tries again when somebody else is about to do the same.
const SETTLE_INTERVAL: Duration = Duration::from_millis(10);

/// An open database: connections that only read, and a way to make the one that writes.
pub struct Database<DB: Engine> {
    readers: Pool<DB>,
    writer: <DB::Connection as Connection>::Options,
    /// For the one that writes through a door.
    door: <DB::Connection as Connection>::Options,
    /// For one that reads through a door.
    lookup: <DB::Connection as Connection>::Options,
    timeout: Duration,
}

impl<DB: Engine> Clone for Database<DB> {
    fn clone(&self) -> Self {
        let Self { readers, writer, door, lookup, timeout } = self;
        Self {
            readers: readers.clone(),
            writer: writer.clone(),
            door: door.clone(),
            lookup: lookup.clone(),
            timeout: *timeout,
        }
    }
}

impl<DB: Engine> std::fmt::Debug for Database<DB> {
    /// Shows the engine alone: the options may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("engine", &DB::NAME).finish_non_exhaustive()
    }
}

impl<DB: Engine> Database<DB> {
    /// Opens the database that the settings name, with every migration applied.
    ///
    /// # Errors
    /// When the URL is malformed, the database is out of reach or damaged, or a newer version of
    /// this software has migrated it.
    pub async fn open(settings: &Settings, migrations: &Migrations) -> Result<Self, OpenError> {
        let open = DB::open(settings, migrations).await;
        open.map_err(|fault| OpenError { place: settings.place(), fault })
    }

    /// Runs a statement that only reads; the engine refuses any other.
    ///
    /// # Errors
    /// When the database does not answer, or refuses the statement.
    pub async fn read(&self, statement: Statement<DB>) -> Result<Vec<DB::Row>, sqlx::Error> {
        self.lend(|connection| Box::pin(statement.all(connection))).await
    }

    /// Runs a statement that only reads, and hands over its rows until `take`, which gathers them
    /// into `start`, wants no more.
    ///
    /// # Errors
    /// When the database does not answer, or refuses the statement.
    pub async fn read_each<T: Send + 'static>(
        &self,
        statement: Statement<DB>,
        start: T,
        mut take: impl FnMut(&mut T, DB::Row) -> ControlFlow<()> + Send + 'static,
    ) -> Result<T, sqlx::Error> {
        self.lend(|connection| {
            Box::pin(async move {
                let mut gathered = start;
                statement.each(connection, &mut |row| take(&mut gathered, row)).await?;
                Ok(gathered)
            })
        })
        .await
    }

    /// Lends a reading connection. What has begun goes on although its caller goes away: a
    /// connection that is left in the middle of a statement could not be used again, and clients
    /// that break off their calls would have us connect anew all the time.
    async fn lend<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut DB::Connection) -> BoxFuture<'_, Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, sqlx::Error> {
        let (readers, limit) = (self.readers.clone(), self.timeout);
        let (reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            let mut connection = match readers.acquire().await {
                Ok(connection) => connection,
                Err(error) => return drop(reply.send(Err(error))),
            };
            // Whoever has gone away does not need the answer.
            if !reply.is_closed() {
                let done = within(limit, work(&mut connection)).await;
                if done.as_ref().is_err_and(is_lost) {
                    connection.close_on_drop();
                    return drop(reply.send(done));
                }
                drop(reply.send(done));
            }
            give_back(connection).await;
        });
        answer.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Opens a connection that may write.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect_writer(&self) -> Result<DB::Connection, sqlx::Error> {
        within(ACQUIRE_TIMEOUT, self.writer.connect()).await
    }

    /// Opens the connection of a door.
    async fn connect_door(&self) -> Result<DB::Connection, sqlx::Error> {
        within(ACQUIRE_TIMEOUT, self.door.connect()).await
    }

    /// Opens the connection of a read door.
    async fn connect_lookup(&self) -> Result<DB::Connection, sqlx::Error> {
        within(ACQUIRE_TIMEOUT, self.lookup.connect()).await
    }

    /// Copies the log into the file, as far as no reader stands in the way, on a connection that is kept for the
    /// next time. Nobody is kept from writing, but while a long log is copied a commit waits long for the disk:
    /// whoever writes much copies often, and little. A database server has its own ways; here nothing is done
    /// about it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn checkpoint(
        &self,
        connection: &mut Option<DB::Connection>,
    ) -> Result<(), sqlx::Error> {
        let Some(sql) = DB::CHECKPOINT else { return Ok(()) };
        let mut used = match connection.take() {
            Some(connection) => connection,
            None => self.connect_writer().await?,
        };
        within(self.timeout, Statement::<DB>::new(sql).all(&mut used)).await?;
        *connection = Some(used);
        Ok(())
    }

    /// Leaves nothing in any file of what has been deleted: for a service that has to forget somebody. It
    /// looks at every page of the file. A database server has its own ways; here nothing is done about it.
    ///
    /// # Errors
    /// When others are in the way for too long, or the database does not answer. What has been wiped until
    /// then stays so.
    pub async fn purge(&self) -> Result<(), sqlx::Error> {
        DB::purge(self).await?;
        self.settle_within(self.timeout).await
    }

    /// Leaves the data in one place: the last thing that a service does.
    ///
    /// # Errors
    /// When others are in the way for too long, or the database does not answer.
    pub async fn settle(&self) -> Result<(), sqlx::Error> {
        self.settle_within(SETTLE_TIMEOUT).await
    }

    async fn settle_within(&self, limit: Duration) -> Result<(), sqlx::Error> {
        let Some(sql) = DB::SETTLE else { return Ok(()) };
        within(limit, async {
            let mut connection = self.writer.connect().await?;
            loop {
                let rows = Statement::<DB>::new(sql).all(&mut connection).await?;
                let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
                if get::<DB, i64>(row, "busy")? == 0 {
                    return Ok(());
                }
                // It has not even begun, for somebody else is at the same: soon done, unlike whoever reads.
                if get::<DB, i64>(row, "log")? >= 0 {
                    let fault = "others are at work in the file".to_owned();
                    return Err(sqlx::Error::Protocol(fault));
                }
                sleep(SETTLE_INTERVAL).await;
            }
        })
        .await
    }

    /// Shows how the connections are used.
    pub fn report(&self, metrics: &mut Metrics) {
        let (open, idle) = (self.readers.clone(), self.readers.clone());
        let help = "Open connections that read from the database";
        metrics.gauge("db_pool_connections", help, move || f64::from(open.size()));
        let help = "Those of them that nobody uses";
        metrics.gauge("db_pool_connections_idle", help, move || idle.num_idle());
        let most = f64::from(self.readers.options().get_max_connections());
        let help = "How many there may be";
        metrics.gauge("db_pool_connections_max", help, move || most);
    }
}

/// Gives a connection back, or closes it. The pool asks it first whether it is well; one that never
/// says would keep its place in the pool for ever, and a few of them all places.
async fn give_back<DB: Engine>(mut connection: PoolConnection<DB>) {
    let back = connection.return_to_pool();
    // Given up, it is closed.
    drop(timeout(ACQUIRE_TIMEOUT, back).await);
}
