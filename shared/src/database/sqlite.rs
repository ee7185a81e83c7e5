//! SQLite: the embedded engine. One file, write-ahead log, every commit on the disk before it is
//! acknowledged.

mod file;
mod log;
mod scrub;

use std::{convert::Infallible, str::FromStr, sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Pool, Sqlite, SqliteConnection,
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::Notify;

use super::{
    ACQUIRE_TIMEOUT, Column, Database, Engine, Kind, Migrations, OpenFault, Settings, Statement,
    engine::{get, migrate},
    lookup,
};

/// How many threads read at the most: more only wait for each other.
const MOST_READERS: u32 = 4;
/// How many pages a transaction changes at the most before it is written in part: 32 MiB.
const DOOR_CACHE: &str = "8192";
/// How long a write waits for another process to end its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it looks whether another process has written.
const LISTEN_INTERVAL: Duration = Duration::from_millis(100);

impl Engine for Sqlite {
    // A transaction that begins as a reader and then writes would ignore the busy timeout.
    const BEGIN: &'static str = "begin immediate";
    const ANNOUNCE: Option<&'static str> = None;
    // The last step keeps writers out while it waits for readers, so it waits no longer than they would not
    // mind. The first one has done most of the work by then, and is in nobody's way.
    const SETTLE: Option<&'static str> = Some(
        "pragma wal_checkpoint(passive); pragma busy_timeout = 250; pragma wal_checkpoint(truncate)",
    );
    const CHECKPOINT: Option<&'static str> = Some(log::CHECKPOINT);
    const ENDS_ELSEWHERE: bool = true;

    fn rows(columns: &[Column]) -> String {
        let members: Vec<String> = columns
            .iter()
            .map(|(name, kind)| match kind {
                Kind::Uuid => format!("unhex(value->>'{name}', '-') as {name}"),
                Kind::BigInt | Kind::Text => format!("value->>'{name}' as {name}"),
            })
            .collect();
        format!("(select {} from json_each($1)) as x", members.join(", "))
    }

    async fn open(
        settings: &Settings,
        migrations: &Migrations,
    ) -> Result<Database<Self>, OpenFault> {
        let url = settings.url.expose_secret();
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|fault| OpenFault::Url(format!("not a SQLite URL: {fault}")))?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // What is deleted, or written over, is zeros from then on.
            .pragma("secure_delete", "on");

        // SQLite's migrations take no lock of their own; two processes may start at once.
        let alone = file::take(options.get_filename()).await?;
        file::check_build(&options).await?;
        migrate(options.connect().await?, migrations.sqlite).await?;
        file::renew(&options).await?;
        drop(alone);

        let readers: Pool<Self> = PoolOptions::new()
            .max_connections(settings.connections.min(MOST_READERS))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options.clone().pragma("query_only", "on"))
            .await?;
        let door = options
            .clone()
            .pragma("wal_autocheckpoint", log::TOO_LONG)
            // A statement that can not be finished is taken back from memory, and not from a file that is made
            // for each of them. Whoever sorts a whole table, as a migration does, needs the file.
            .pragma("temp_store", "memory")
            // A transaction that does not fit would be written into the log twice.
            .pragma("cache_size", DOOR_CACHE);
        // The thread that reads hands over all rows of a statement at once.
        let lookup = options.clone().pragma("query_only", "on").row_buffer_size(lookup::GROUP);
        Ok(Database { readers, writer: options, door, lookup, timeout: settings.timeout })
    }

    async fn purge(database: &Database<Self>) -> Result<(), sqlx::Error> {
        scrub::scrub(database).await
    }

    async fn keep(database: &Database<Self>) -> Infallible {
        log::keep(database).await
    }

    /// The version of the data, as one connection sees it, changes when any other one has written.
    async fn listen(
        database: &Database<Self>,
        _topic: &'static str,
        heard: Arc<Notify>,
    ) -> Infallible {
        let mut known = None;
        let mut connection = None;
        loop {
            match version(database, &mut connection).await {
                Ok(version) => {
                    if known.replace(version).is_some_and(|known| known != version) {
                        heard.notify_one();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "other processes are not heard of");
                    (known, connection) = (None, None);
                }
            }
            tokio::time::sleep(LISTEN_INTERVAL).await;
        }
    }
}

async fn version(
    database: &Database<Sqlite>,
    connection: &mut Option<SqliteConnection>,
) -> Result<i64, sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(database.connect_writer().await?),
    };
    let select = Statement::<Sqlite>::new("select data_version from pragma_data_version");
    let rows = select.all(connection).await?;
    get::<Sqlite, _>(rows.first().ok_or(sqlx::Error::RowNotFound)?, "data_version")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const NONE: Migrations = Migrations { sqlite: &[], postgres: &[] };

    fn settings(url: &str) -> Settings {
        Settings::new("test", url).unwrap()
    }

    #[tokio::test]
    async fn every_writer_is_durable_and_every_file_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/there.db");
        let url = format!("sqlite://{}", path.display());
        let database = Database::<Sqlite>::open(&settings(&url), &NONE).await.unwrap();

        let mut writer = database.connect_writer().await.unwrap();
        let rows = Statement::<Sqlite>::new(
            "select synchronous, journal_mode, secure_delete
             from pragma_synchronous, pragma_journal_mode, pragma_secure_delete",
        )
        .all(&mut writer)
        .await
        .unwrap();
        assert_eq!(get::<Sqlite, i64>(&rows[0], "synchronous").unwrap(), 2, "FULL");
        assert_eq!(get::<Sqlite, String>(&rows[0], "journal_mode").unwrap(), "wal");
        assert_eq!(get::<Sqlite, i64>(&rows[0], "secure_delete").unwrap(), 1, "on");

        Statement::<Sqlite>::new("create table t (a)").all(&mut writer).await.unwrap();
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        }
    }

    #[tokio::test]
    async fn what_is_settled_is_in_one_file_and_a_reader_is_not_disturbed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("there.db");
        let url = format!("sqlite://{}", path.display());
        let database = Database::<Sqlite>::open(&settings(&url), &NONE).await.unwrap();
        let mut writer = database.connect_writer().await.unwrap();
        let mut reader = database.connect_writer().await.unwrap();
        for sql in ["create table t (a)", "insert into t values ('old')"] {
            Statement::<Sqlite>::new(sql).all(&mut writer).await.unwrap();
        }
        for sql in ["begin", "select a from t"] {
            Statement::<Sqlite>::new(sql).all(&mut reader).await.unwrap();
        }
        Statement::<Sqlite>::new("update t set a = 'new'").all(&mut writer).await.unwrap();
        let log = path.with_extension("db-wal");
        database.settle().await.unwrap_err();
        assert!(fs::metadata(&log).unwrap().len() > 0, "the reader is in the midst of it");
        for sql in ["pragma busy_timeout = 0", "begin immediate", "rollback"] {
            Statement::<Sqlite>::new(sql).all(&mut writer).await.expect("no writer is kept out");
        }
        let rows = Statement::<Sqlite>::new("select a from t").all(&mut reader).await.unwrap();
        assert_eq!(get::<Sqlite, String>(&rows[0], "a").unwrap(), "old");
        Statement::<Sqlite>::new("commit").all(&mut reader).await.unwrap();
        database.settle().await.unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
        let file = fs::read(&path).unwrap();
        let holds = |text: &[u8]| file.windows(text.len()).any(|part| part == text);
        assert!(holds(b"new") && !holds(b"old"), "what is written over is gone");
    }

    #[tokio::test]
    async fn a_reader_can_not_write() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("there.db").display());
        let database = Database::<Sqlite>::open(&settings(&url), &NONE).await.unwrap();
        let refusal = database.read(Statement::new("create table t (a)")).await.unwrap_err();
        assert!(refusal.to_string().contains("readonly"), "{refusal}");
    }
}
