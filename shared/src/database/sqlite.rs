//! SQLite: the embedded engine. One file, write-ahead log, every commit on the disk before it is
//! acknowledged.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

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
};

/// How many threads read at the most: more only wait for each other.
const MOST_READERS: u32 = 4;
/// How long a write waits for another process to end its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a start waits for another process to end its migrations.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks whether another process has written.
const LISTEN_INTERVAL: Duration = Duration::from_millis(100);
/// How often it looks whether it has to wait any more.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

impl Engine for Sqlite {
    // A transaction that begins as a reader and then writes would ignore the busy timeout.
    const BEGIN: &'static str = "begin immediate";
    const ANNOUNCE: Option<&'static str> = None;
    const SETTLE: Option<&'static str> = Some("pragma wal_checkpoint(truncate)");

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
            .busy_timeout(BUSY_TIMEOUT);
        let path = options.get_filename().to_path_buf();
        let directory = make_private(&path)?;

        // SQLite's migrations take no lock of their own; two processes may start at once.
        lock(&directory).await?;
        migrate(options.connect().await?, migrations.sqlite).await?;
        directory.unlock()?;

        let readers: Pool<Self> = PoolOptions::new()
            .max_connections(settings.connections.min(MOST_READERS))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options.clone().pragma("query_only", "on"))
            .await?;
        Ok(Database { readers, writer: options, timeout: settings.timeout })
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

/// Makes the directory and the file if they are missing, for their owner alone: SQLite gives the
/// log beside the file the file's own mode. Returns the directory, to lock it.
fn make_private(path: &Path) -> io::Result<fs::File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
        Err(fault) => return Err(fault),
    }
    fs::File::open(directory)
}

/// Locks the directory, without holding up the thread or a shutdown.
async fn lock(directory: &fs::File) -> io::Result<()> {
    let free = async {
        loop {
            match directory.try_lock() {
                Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_INTERVAL).await,
                Err(fs::TryLockError::Error(fault)) => return Err(fault),
                Ok(()) => return Ok(()),
            }
        }
    };
    let busy = || io::Error::new(io::ErrorKind::TimedOut, "another process is migrating");
    tokio::time::timeout(LOCK_TIMEOUT, free).await.unwrap_or_else(|_| Err(busy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Statement, get};

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
            "select synchronous, journal_mode from pragma_synchronous, pragma_journal_mode",
        )
        .all(&mut writer)
        .await
        .unwrap();
        assert_eq!(get::<Sqlite, i64>(&rows[0], "synchronous").unwrap(), 2, "FULL");
        assert_eq!(get::<Sqlite, String>(&rows[0], "journal_mode").unwrap(), "wal");

        Statement::<Sqlite>::new("create table t (a)").all(&mut writer).await.unwrap();
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_there_becomes_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("there.db");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let url = format!("sqlite://{}", path.display());
        Database::<Sqlite>::open(&settings(&url), &NONE).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
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
