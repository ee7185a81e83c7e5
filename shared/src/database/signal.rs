//! A hint that another process has written: sooner than one would find out by looking, and no more
//! than a hint. It may be late, be lost, or be for nothing.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::Notify;

use super::{Database, Engine, Statement, within};

/// Says to the other processes on a database that something has been written, on a connection of its
/// own: inside a transaction that would hold up every other commit.
pub struct Announcer<DB: Engine> {
    database: Database<DB>,
    topic: &'static str,
    connection: Option<DB::Connection>,
}

impl<DB: Engine> Announcer<DB> {
    /// Says it. If that fails, the others find out by looking.
    pub async fn announce(&mut self) {
        let Some(sql) = DB::ANNOUNCE else { return };
        let statement = Statement::<DB>::new(sql).bind(self.topic.to_owned());
        let announced = async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.database.connect_writer().await?,
            };
            within(self.database.timeout, statement.all(&mut connection)).await?;
            Ok(connection)
        };
        match announced.await {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => {
                let error: sqlx::Error = error;
                tracing::debug!(%error, "others are not told of a write");
            }
        }
    }
}

impl<DB: Engine> std::fmt::Debug for Announcer<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announcer").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl<DB: Engine> Database<DB> {
    /// What tells the other processes on this database of a write.
    #[must_use]
    pub fn announcer(&self, topic: &'static str) -> Announcer<DB> {
        Announcer { database: self.clone(), topic, connection: None }
    }

    /// Hears of what other processes write, for as long as it is polled.
    ///
    /// Dropping the future ends it at any point.
    pub async fn listen(&self, topic: &'static str, heard: Arc<Notify>) -> Infallible {
        DB::listen(self, topic, heard).await
    }
}
