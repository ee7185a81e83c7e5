//! The write-ahead log, copied into the file beside the writes and not in the midst of one.
//!
//! SQLite leaves that to the commit with which the log has become a thousand pages long: whoever waits for it
//! waits for the copy and two flushes more. Where there is a door, a connection of its own copies what is new
//! without keeping anybody from writing; so does whoever erases, for what they have written. When all of the log
//! has been copied and nobody reads it, the next write begins it anew; under a load that never rests that may not
//! come about, and then a commit through the door sees to it, when the log has become far longer. A reader that
//! does not end lets it grow, as ever.

use std::{convert::Infallible, time::Duration};

use sqlx::{Sqlite, SqliteConnection};
use tokio::time::sleep;

use crate::database::{Database, Statement, get};

/// What copies the log, as far as nobody who reads stands in the way.
pub(super) const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";
/// How many pages there are to copy when it is done: 16 MiB. A page that is written again and again, as the ends of
/// indexes are, is copied once; with a quarter of it others waited no less, and a fifth less was written.
const NEW: i64 = 4_000;
/// How many pages the log has when a commit through the door copies the rest: 64 MiB.
pub(super) const TOO_LONG: &str = "16384";
/// How often it looks how long it is.
const INTERVAL: Duration = Duration::from_millis(50);

/// Keeps the log short, for as long as it is polled.
pub(super) async fn keep(database: &Database<Sqlite>) -> Infallible {
    let mut connection = None;
    loop {
        if let Err(error) = shorten(database, &mut connection).await {
            tracing::debug!(%error, "the log is left to those who write");
            connection = None;
        }
        sleep(INTERVAL).await;
    }
}

async fn shorten(
    database: &Database<Sqlite>,
    connection: &mut Option<SqliteConnection>,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(database.connect_writer().await?),
    };
    // That only looks.
    let look = Statement::<Sqlite>::new("pragma wal_checkpoint(noop)").all(connection).await?;
    let row = look.first().ok_or(sqlx::Error::RowNotFound)?;
    if get::<Sqlite, i64>(row, "log")? - get::<Sqlite, i64>(row, "checkpointed")? >= NEW {
        Statement::<Sqlite>::new(CHECKPOINT).all(connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::database::{Migrations, Settings};

    const NONE: Migrations = Migrations { sqlite: &[], postgres: &[] };

    /// How many pages the log has that are not in the file.
    async fn length(connection: &mut SqliteConnection) -> i64 {
        let look = Statement::<Sqlite>::new("pragma wal_checkpoint(noop)");
        let rows = look.all(connection).await.unwrap();
        let count = |column| get::<Sqlite, i64>(&rows[0], column).unwrap();
        count("log") - count("checkpointed")
    }

    #[tokio::test]
    async fn a_long_log_is_copied_by_nobody_who_writes() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("there.db").display());
        let settings = Settings::new("test", &url).unwrap();
        let database = Database::<Sqlite>::open(&settings, &NONE).await.unwrap();
        let mut writer = database.connect_door().await.unwrap();
        let mut other = database.connect_writer().await.unwrap();
        for sql in
            ["create table t (a)", "insert into t values (zeroblob(20000000))", "begin immediate"]
        {
            Statement::<Sqlite>::new(sql).all(&mut writer).await.unwrap();
        }
        assert!(length(&mut other).await >= NEW);
        let keeping = tokio::spawn(async move { keep(&database).await });
        let began = Instant::now();
        while length(&mut other).await > 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "it is not copied");
            tokio::task::yield_now().await;
        }
        keeping.abort();
    }
}
