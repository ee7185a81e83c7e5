//! What an issuer says, on its way over a real channel into a verifier and its store.

pub(crate) mod issuer;
mod store;

mod learning;
mod outages;
mod saves;

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use shared::{
    clock::Time,
    pb::auth::{
        WatchTrustResponse, auth_service_server::AuthServiceServer,
        trust_service_server::TrustServiceServer,
    },
    trust::{
        Credential, FileStore, Head, News, Reason, Rejection, Snapshot, TrustSource, follow_trust,
    },
};
use tokio::{
    net::TcpSocket,
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::interval,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Status, transport::Server};
use uuid::Uuid;

use crate::support::{NOW, SESSION, Scene, news, revocation, soon};
use issuer::{Asked, Issuer, Opened, TokenAnswer};
use store::{Saved, Store};

const SECRET: &str = "hunter2";
const REVOKED: Rejection = Rejection::Invalid(Reason::Revoked);

/// An issuer and the verifier that follows it.
struct Pair {
    scene: Scene,
    token: watch::Sender<TokenAnswer>,
    asked: mpsc::UnboundedReceiver<Asked>,
    opened: mpsc::UnboundedReceiver<Opened>,
    saves: mpsc::UnboundedReceiver<Saved>,
    broken: Arc<AtomicBool>,
    permits: Arc<Semaphore>,
    follower: JoinHandle<Infallible>,
    /// The issuer's address is taken from the start, and nobody listens there before
    /// [`Pair::start_issuer`].
    socket: Option<(TcpSocket, Issuer)>,
}

/// What is there before it begins.
struct Before {
    saved: Option<Snapshot>,
    broken: bool,
    /// Where the verifier keeps what it knows, instead of in a [`Store`].
    file: Option<PathBuf>,
    credential: Credential,
}

impl Default for Before {
    fn default() -> Self {
        let credential = Credential::new("task-service", SECRET.into());
        Self { saved: None, broken: false, file: None, credential }
    }
}

impl Pair {
    /// A verifier that knows nothing, and its issuer.
    fn start() -> Self {
        let mut pair = Self::before(Scene::untrusting(), Before::default());
        pair.start_issuer();
        pair
    }

    /// The same before the issuer has started.
    fn before(scene: Scene, before: Before) -> Self {
        let (token, answers) = watch::channel(Ok(Time::from_seconds(NOW + 900)));
        let (ask, asked) = mpsc::unbounded_channel();
        let (open, opened) = mpsc::unbounded_channel();
        let (save, saves) = mpsc::unbounded_channel();
        let broken = Arc::new(AtomicBool::new(before.broken));
        let permits = Arc::new(Semaphore::new(1_000_000));
        let store = Store {
            saved: before.saved,
            saves: save,
            broken: Arc::clone(&broken),
            permits: Arc::clone(&permits),
        };
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let issuer = shared::trust::Issuer::new(url.parse().unwrap(), None);
        let source = TrustSource::new(issuer, before.credential);
        let verifier = Arc::clone(&scene.verifier);
        let follower = match before.file {
            Some(path) => tokio::spawn(follow_trust(verifier, source, FileStore::new(path))),
            None => tokio::spawn(follow_trust(verifier, source, store)),
        };
        let issuer = Issuer {
            token: answers,
            asked: ask,
            opened: open,
            watched: mpsc::unbounded_channel().0,
            confirmed: mpsc::unbounded_channel().0,
        };
        let socket = Some((socket, issuer));
        Self { scene, token, asked, opened, saves, broken, permits, follower, socket }
    }

    fn start_issuer(&mut self) {
        let (socket, issuer) = self.socket.take().unwrap();
        let listener = socket.listen(16).unwrap();
        let server = Server::builder()
            .add_service(AuthServiceServer::new(issuer.clone()))
            .add_service(TrustServiceServer::new(issuer));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    }

    /// From now on the issuer gives this answer to those who want a token.
    fn issue(&self, answer: TokenAnswer) {
        drop(self.token.send_replace(answer));
    }

    /// The issuer says everything, and the verifier has learnt it.
    async fn greeted(&mut self) -> Opened {
        let stream = self.opened().await;
        stream.say(&News { is_snapshot: true, ..self.scene.news() });
        self.until(|scene| scene.verifier.verify(&scene.token()).is_ok()).await;
        stream
    }

    async fn asked(&mut self) -> Asked {
        soon(self.asked.recv()).await.unwrap()
    }

    async fn opened(&mut self) -> Opened {
        soon(self.opened.recv()).await.unwrap()
    }

    async fn saved(&mut self) -> Saved {
        soon(self.saves.recv()).await.unwrap()
    }

    /// Waits until the verifier has come so far.
    async fn until(&self, far: impl Fn(&Scene) -> bool) {
        soon(async {
            let mut looks = interval(Duration::from_millis(2));
            while !far(&self.scene) {
                looks.tick().await;
            }
        })
        .await;
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// Tokens of keys that nobody has.
fn unknown_keys(scene: &Scene, count: usize) -> Vec<String> {
    let kids = std::iter::repeat_with(|| format!("\"{}\"", Uuid::new_v4()));
    let token = |kid| scene.with_header(scene.header().with("kid", kid).text());
    kids.take(count).map(token).collect()
}

/// Shows tokens that nobody can decide upon.
fn show(scene: &Scene, tokens: &[String]) {
    for token in tokens {
        assert_eq!(scene.verifier.verify(token), Err(Rejection::Undecidable));
    }
}

/// A message that ends the session of each token of a [`Scene`].
fn end_of_session(sequence: i64) -> News {
    News { revocations: vec![revocation(SESSION)], ..news(sequence) }
}

fn revocations(count: u128) -> Vec<shared::trust::Revocation> {
    (0..count).map(|id| revocation(Uuid::from_u128(id))).collect()
}
