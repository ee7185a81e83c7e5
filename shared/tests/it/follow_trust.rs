//! What an issuer says, on its way over a real channel into a verifier and its store.

mod issuer;
mod store;

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
    time::Duration,
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
        let socket = Some((socket, Issuer { token: answers, asked: ask, opened: open }));
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

/// Shows tokens of keys that nobody has.
fn show_unknown_keys(scene: &Scene, count: usize) {
    for _ in 0..count {
        let kid = format!("\"{}\"", Uuid::new_v4());
        let token = scene.with_header(scene.header().with("kid", kid).text());
        assert_eq!(scene.verifier.verify(&token), Err(Rejection::Undecidable));
    }
}

/// Something that goes wrong with a message.
type Edit = fn(&mut WatchTrustResponse);

/// A message that ends the session of each token of a [`Scene`].
fn end_of_session(sequence: i64) -> News {
    News { revocations: vec![revocation(SESSION)], ..news(sequence) }
}

fn revocations(count: u128) -> Vec<shared::trust::Revocation> {
    (0..count).map(|id| revocation(Uuid::from_u128(id))).collect()
}

#[tokio::test]
async fn a_snapshot_in_parts_and_what_is_new_since_is_learnt() {
    let mut pair = Pair::start();
    let stream = pair.opened().await;
    let asked = pair.asked().await;
    assert_eq!((asked.service.as_str(), asked.secret.as_str()), ("task-service", SECRET));
    assert_eq!(stream.head, None);
    assert!(stream.authorization.starts_with("Bearer "));

    let part = |revocations| News {
        is_snapshot: true,
        head: None,
        keys: None,
        revocations,
        ..News::default()
    };
    stream.say(&News { keys: pair.scene.news().keys, ..part(revocations(5)) });
    pair.until(|scene| scene.verifier.revocations() == 5).await;
    assert!(!*pair.scene.verifier.readiness().borrow(), "half of it is nothing");
    assert!(pair.saves.try_recv().is_err());
    stream.say(&News { head: news(7).head, ..part(revocations(8)) });
    pair.until(|scene| scene.verifier.verify(&scene.token()).is_ok()).await;
    let saved = pair.saved().await;
    assert_eq!((saved.since, Some(saved.head)), (None, news(7).head));
    assert_eq!((saved.heard, saved.all.revocations.len()), (Time::from_seconds(NOW), 8));
    assert_eq!(saved.all.keys.unwrap().len(), 2);

    stream.say(&end_of_session(8));
    pair.until(|scene| scene.verifier.verify(&scene.token()) == Err(REVOKED)).await;
    let saved = pair.saved().await;
    assert_eq!((saved.since, Some(saved.head)), (news(7).head, news(8).head));
    assert_eq!(saved.news.revocations, [revocation(SESSION)]);
}

#[tokio::test]
async fn a_new_stream_goes_on_from_the_last_head_with_the_same_token() {
    let mut pair = Pair::start();
    let first = pair.greeted().await;
    first.say(&news(41));
    first.say(&end_of_session(42));
    // More of what has no head yet.
    first.say(&News { head: None, revocations: revocations(3), ..News::default() });
    pair.until(|scene| scene.verifier.revocations() == 4).await;
    let authorization = first.authorization.clone();
    drop(first);
    let second = pair.opened().await;
    assert_eq!((second.head, second.authorization), (news(42).head, authorization));
}

#[tokio::test]
async fn a_token_that_has_ended_is_replaced() {
    let mut pair = Pair::start();
    let first = pair.greeted().await;
    pair.asked().await;
    let authorization = first.authorization.clone();
    first.end(Status::unauthenticated("expired"));
    pair.asked().await;
    let second = pair.opened().await;
    assert_eq!(second.head, news(0).head);
    assert_ne!(second.authorization, authorization);

    // A token near its end is not kept for the next stream either.
    pair.issue(Ok(Time::from_seconds(NOW + 30)));
    second.end(Status::unauthenticated("expired"));
    pair.asked().await;
    drop(pair.opened().await);
    pair.asked().await;
}

#[tokio::test]
async fn another_epoch_is_learnt_beside_what_is_known_and_saved_as_a_whole() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    stream.say(&end_of_session(1));
    pair.until(|scene| scene.verifier.revocations() == 1).await;
    drop(stream);
    let stream = pair.opened().await;
    let head = Some(Head { epoch: Uuid::from_u128(1), sequence: 0 });
    let restored =
        News { is_snapshot: true, head, revocations: revocations(1), ..pair.scene.news() };
    stream.say(&restored);
    pair.until(|scene| scene.verifier.revocations() == 2).await;
    let saved = loop {
        let saved = pair.saved().await;
        if Some(saved.head) == head {
            break saved;
        }
    };
    assert_eq!((saved.since, saved.all.revocations.len()), (None, 2));
    assert_eq!(pair.scene.verifier.verify(&pair.scene.token()), Err(REVOKED));
    drop(stream);
    assert_eq!(pair.opened().await.head, head);
}

#[tokio::test]
async fn a_malformed_message_ends_the_stream_and_nothing_of_it_is_learnt() {
    let good = issuer::message(&News { keys: Scene::new().news().keys, ..end_of_session(9) });
    let edits: [(&str, Edit); 9] = [
        ("an epoch that is none", |it| it.head.as_mut().unwrap().epoch = "1".into()),
        ("a negative sequence", |it| it.head.as_mut().unwrap().sequence = -1),
        ("a key of another kind", |it| it.signing_keys[1].kty = "EC".into()),
        ("the kid of another key", |it| it.signing_keys[1].kid = it.signing_keys[0].kid.clone()),
        ("a key that is cut", |it| it.signing_keys[1].x.truncate(42)),
        ("a short id", |it| it.revocations[0].id.truncate(15)),
        ("no time", |it| it.revocations[0].expire_time = None),
        ("a time that is none", |it| {
            it.revocations[0].expire_time.as_mut().unwrap().nanos = -1;
        }),
        ("another time that is none", |it| {
            it.forgotten_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
        }),
    ];
    let refused = edits.map(|(name, edit)| {
        let mut message = good.clone();
        message.revocations.insert(0, message.revocations[0].clone());
        message.revocations.swap(0, 1);
        edit(&mut message);
        async move {
            let mut pair = Pair::start();
            let stream = pair.greeted().await;
            stream.send(message);
            assert_eq!(pair.opened().await.head, news(0).head, "{name}");
            assert_eq!(pair.scene.verifier.revocations(), 0, "{name}");
            assert!(pair.scene.verifier.verify(&pair.scene.token()).is_ok(), "{name}");
        }
    });
    futures_util::future::join_all(refused).await;
}

/// The clock was set forward, and what seemed to have expired was forgotten.
#[tokio::test]
async fn what_was_forgotten_too_early_is_fetched_again_when_it_is_wanted() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    stream.say(&end_of_session(1));
    pair.until(|scene| scene.verifier.verify(&scene.token()) == Err(REVOKED)).await;
    let (now, token) = (pair.scene.clock.now(), pair.scene.token());
    pair.scene.clock.set(now.plus(Duration::from_hours(2)));
    drop(stream);
    let stream = pair.opened().await;
    assert_eq!((stream.head, pair.scene.verifier.revocations()), (news(1).head, 0));
    stream.say(&news(1));
    pair.scene.clock.set(now);
    for _ in 0..100 {
        assert_eq!(pair.scene.verifier.verify(&token), Err(Rejection::Undecidable));
    }

    let stream = pair.opened().await;
    assert_eq!(stream.head, None, "everything is wanted");
    stream.say(&News { is_snapshot: true, head: None, ..end_of_session(0) });
    stream.say(&News { is_snapshot: true, ..news(1) });
    pair.until(|scene| scene.verifier.verify(&token) == Err(REVOKED)).await;
    assert!(pair.opened.try_recv().is_err(), "once");
}
