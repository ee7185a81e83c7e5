//! The file of a database, when it is opened: its owner's alone, and free of what earlier versions left in it.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, Sqlite, sqlite::SqliteConnectOptions};

use crate::database::{OpenFault, Statement, get};

/// The first version that will do.
const OLDEST: [u32; 3] = [3, 51, 3];
/// How long a start waits for another process to end its migrations.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks whether it has to wait any more.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Makes a file if it is missing, and keeps other processes from opening it, until the answer is dropped.
pub(super) async fn take(path: &Path) -> io::Result<fs::File> {
    let directory = make_private(path)?;
    lock(&directory).await?;
    Ok(directory)
}

/// Demands an SQLite that can be asked to forget (see `scrub.rs`), and that copies its log beside the writes
/// without a fault (see `log.rs`; versions before this one could damage the file).
pub(super) async fn check_build(options: &SqliteConnectOptions) -> Result<(), OpenFault> {
    let mut connection = options.connect().await?;
    let select = "select sqlite_compileoption_used('ENABLE_DBPAGE_VTAB') as can,
                         sqlite_version() as version";
    let rows = Statement::<Sqlite>::new(select).all(&mut connection).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let version: String = get::<Sqlite, _>(row, "version")?;
    if is_older(&version, OLDEST) {
        return Err(OpenFault::Version(version));
    }
    if get::<Sqlite, i64>(row, "can")? == 0 {
        return Err(OpenFault::Build);
    }
    Ok(connection.close().await?)
}

fn is_older(version: &str, than: [u32; 3]) -> bool {
    let numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    numbers.collect::<Vec<u32>>().as_slice() < than.as_slice()
}

/// Writes a file anew, once, that is older than `secure_delete` is here: it may hold what was deleted then.
pub(super) async fn renew(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = options.connect().await?;
    let select = Statement::<Sqlite>::new("select user_version from pragma_user_version");
    let rows = select.all(&mut connection).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    if get::<Sqlite, i64>(row, "user_version")? == 0 {
        for sql in ["vacuum", "pragma wal_checkpoint(truncate)", "pragma user_version = 1"] {
            Statement::<Sqlite>::new(sql).all(&mut connection).await?;
        }
    }
    connection.close().await
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
    use std::str::FromStr;

    use super::*;
    use crate::database::{Database, Migrations, Settings};

    const NONE: Migrations = Migrations { sqlite: &[], postgres: &[] };

    fn settings(url: &str) -> Settings {
        Settings::new("test", url).unwrap()
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
    async fn what_an_earlier_version_has_deleted_leaves_the_file_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("there.db");
        let url = format!("sqlite://{}", path.display());
        let holds =
            |text: &[u8]| fs::read(&path).unwrap().windows(text.len()).any(|part| part == text);
        let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
        let mut before = options.pragma("secure_delete", "off").connect().await.unwrap();
        for sql in [
            "create table t (a)",
            "insert into t values ('gone'), ('there')",
            "delete from t where a = 'gone'",
        ] {
            Statement::<Sqlite>::new(sql).all(&mut before).await.unwrap();
        }
        before.close().await.unwrap();
        assert!(holds(b"gone") && holds(b"there"));
        for _ in 0..2 {
            Database::<Sqlite>::open(&settings(&url), &NONE).await.unwrap();
            assert!(!holds(b"gone") && holds(b"there"));
        }
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for older in ["3.51.2", "3.9.9", "2.99.99", "3.51", "", "x"] {
            assert!(is_older(older, OLDEST), "{older}");
        }
        for good in ["3.51.3", "3.51.10", "3.100.0", "4.0.0"] {
            assert!(!is_older(good, OLDEST), "{good}");
        }
    }
}
