//! A snapshot in a file, for services that have no database.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::spawn_blocking;

use super::{Snapshot, SnapshotStore, Update, encoding};

/// Keeps what a verifier knows in one file, for one process.
///
/// The file is written anew each time, all of it: 24 bytes for each revocation, every ten seconds at
/// least. It is right for some ten thousand of them; whoever has more has a database, and keeps them
/// in a table, by delta.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: Arc<Path>,
}

impl FileStore {
    /// A store in this file, which need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into() }
    }
}

impl SnapshotStore for FileStore {
    type Error = FileFault;

    async fn load(&self) -> Result<Option<Snapshot>, FileFault> {
        let path = Arc::clone(&self.path);
        blocking(move || match fs::read(path) {
            Ok(bytes) => encoding::decode(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn save(&self, update: Update<'_>) -> Result<(), FileFault> {
        let snapshot = Snapshot { head: update.head, heard: update.heard, news: (update.all)() };
        let path = Arc::clone(&self.path);
        blocking(move || Ok(replace(&path, &encoding::encode(&snapshot))?)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileFault> + Send + 'static,
) -> Result<T, FileFault> {
    spawn_blocking(work).await.map_err(|panic| FileFault::Io(io::Error::other(panic)))?
}

/// Puts these bytes in place of the file. Whatever happens, it is the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(directory)?.sync_all()
}

/// Why a file is not loaded or not saved.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It can not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no file of this kind.
    #[error("the file is none of this program's")]
    Foreign,
    /// Another version of this software has written it.
    #[error("the file has version {0}, which this program does not read")]
    Version(u8),
    /// It is not what was written.
    #[error("the file is damaged")]
    Damaged,
}
