//! A line to a server that can go dead.

use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::watch,
};

use super::{Server, host};
use crate::Place;

/// Another way to a server. What is connected through it can fall silent for ever, as when the
/// machine at the other end has gone and another has taken over its address.
#[derive(Debug)]
pub struct Line {
    directory: TempDir,
    generation: watch::Sender<u32>,
}

impl Line {
    /// A line to this server.
    #[must_use]
    pub fn to(server: &Server) -> Self {
        const SOCKET: &str = ".s.PGSQL.5432";
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("a socket");
        let there = server.directory.path().join(SOCKET);
        let (generation, now) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = UnixStream::connect(&there).await.expect("the server listens");
                tokio::spawn(carry(near, far, now.clone()));
            }
        });
        Self { directory, generation }
    }

    /// The same place, reached through this line.
    #[must_use]
    pub fn reach(&self, server: &Server, place: &Place) -> Place {
        Place::on(place.url.replace(&host(&server.directory), &host(&self.directory)))
    }

    /// Has all that is connected now fall silent; what connects later is served.
    pub fn fall_silent(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

/// Carries what both sides say until the line falls silent, and then keeps both open.
async fn carry(mut near: UnixStream, mut far: UnixStream, mut now: watch::Receiver<u32>) {
    now.mark_unchanged();
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = now.changed() => std::future::pending().await,
    }
}
