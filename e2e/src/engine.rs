//! Tests that run on each engine, and the databases that they run on.

use std::{fs, path::Path, sync::Arc};

use tempfile::TempDir;

use crate::postgres;

/// Runs each test on SQLite, and on PostgreSQL where its programs are found. A test takes an
/// [`Engine`](crate::Engine); or, with the name of a type before the tests, what the type's `open`
/// makes of a [`Place`](crate::Place).
#[macro_export]
macro_rules! on_every_engine {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Engine::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if $crate::postgres::is_here() {
                    super::$test($crate::Engine::Postgres).await;
                }
            })+
        }
    };
    ($Scene:ident: $($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let place = $crate::Engine::Sqlite.place("test").await;
                super::$test(super::$Scene::<shared::database::Sqlite>::open(place).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if $crate::postgres::is_here() {
                    let place = $crate::Engine::Postgres.place("test").await;
                    super::$test(super::$Scene::<shared::database::Postgres>::open(place).await).await;
                }
            })+
        }
    };
}

/// Runs each test where PostgreSQL's programs are found: those of what no other engine does.
#[macro_export]
macro_rules! on_postgres {
    ($($test:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if $crate::postgres::is_here() {
                    super::$test().await;
                }
            })+
        }
    };
}

/// An engine to run a test on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, in a directory of its own.
    Sqlite,
    /// PostgreSQL, on the server that the tests of a process share.
    Postgres,
}

/// Where a new database will be, or is. Who holds it keeps it there.
#[derive(Debug, Clone)]
pub struct Place {
    /// The engine.
    pub engine: Engine,
    /// The database.
    pub url: String,
    _directory: Option<Arc<TempDir>>,
}

impl Place {
    /// A database on a server.
    pub(crate) fn on(url: String) -> Self {
        Self { engine: Engine::Postgres, url, _directory: None }
    }

    /// A copy of it as it is now, if it is a file.
    pub async fn backup(&self) -> Self {
        let copy = self.engine.place("backup").await;
        self.execute(&format!("vacuum into '{}'", copy.file().display())).await;
        copy
    }

    /// Puts the copy back. No server may be at it.
    pub fn restore(&self, backup: &Self) {
        fs::copy(backup.file(), self.file()).expect("the file is copied");
        for end in ["-wal", "-shm"] {
            // It is there if the last server was killed.
            drop(fs::remove_file(format!("{}{end}", self.file().display())));
        }
    }

    /// Everything in its files, and in what lies beside them, if it is one.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let directory = self.file().parent().expect("a directory");
        let files = fs::read_dir(directory).expect("it can be listed");
        let files = files.map(|file| file.expect("it is there").path());
        files.flat_map(|file| fs::read(file).expect("it can be read")).collect()
    }

    fn file(&self) -> &Path {
        Path::new(self.url.strip_prefix("sqlite://").expect("a file"))
    }
}

impl Engine {
    /// A place for a new database of this name.
    pub async fn place(self, name: &str) -> Place {
        match self {
            Self::Sqlite => {
                let directory = tempfile::tempdir().expect("a directory");
                let url = format!("sqlite://{}/{name}.db", directory.path().display());
                Place { engine: self, url, _directory: Some(Arc::new(directory)) }
            }
            Self::Postgres => Place::on(postgres::database().await.expect("PostgreSQL is here")),
        }
    }
}
