//! Keys on their way from a real issuer, over a real channel, into a verifier and its store.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use shared::{
    pb::auth::{
        ListSigningKeysRequest, ListSigningKeysResponse, LoginRequest, LoginResponse,
        RegisterRequest, RegisterResponse, SigningKey, ValidateTokenRequest, ValidateTokenResponse,
        auth_service_server::{AuthService, AuthServiceServer},
    },
    testing::Forge,
    trust::{PublicKey, Reason, Rejection, SnapshotStore, Verifier, follow_keys},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use uuid::Uuid;

use crate::support::{Scene, soon};

/// What the issuer answers, and when it was asked.
struct Issuer {
    answer: watch::Receiver<Result<Vec<SigningKey>, Status>>,
    asked: mpsc::UnboundedSender<Instant>,
}

#[tonic::async_trait]
impl AuthService for Issuer {
    async fn list_signing_keys(
        &self,
        _: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        let _ = self.asked.send(Instant::now());
        let signing_keys = self.answer.borrow().clone()?;
        Ok(Response::new(ListSigningKeysResponse { signing_keys }))
    }

    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        Err(Status::unimplemented("register"))
    }

    async fn login(&self, _: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        Err(Status::unimplemented("login"))
    }

    async fn validate_token(
        &self,
        _: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        Err(Status::unimplemented("validate_token"))
    }
}

/// A store that holds what was saved before, tells of each save, and breaks on demand.
struct Store {
    saved: Vec<PublicKey>,
    saves: mpsc::UnboundedSender<Vec<PublicKey>>,
    broken: bool,
}

impl SnapshotStore for Store {
    type Error = &'static str;

    async fn load(&self) -> Result<Vec<PublicKey>, &'static str> {
        if self.broken { Err("broken") } else { Ok(self.saved.clone()) }
    }

    async fn save(&self, keys: &[PublicKey]) -> Result<(), &'static str> {
        let _ = self.saves.send(keys.to_vec());
        if self.broken { Err("broken") } else { Ok(()) }
    }
}

/// An issuer and the verifier that follows it.
struct Pair {
    scene: Scene,
    answer: watch::Sender<Result<Vec<SigningKey>, Status>>,
    asked: mpsc::UnboundedReceiver<Instant>,
    saves: mpsc::UnboundedReceiver<Vec<PublicKey>>,
    follower: JoinHandle<Infallible>,
    /// The issuer's address is taken from the start, and nobody listens there before
    /// [`Pair::start_issuer`].
    socket: Option<(TcpSocket, Issuer)>,
}

impl Pair {
    /// The issuer gives this answer; the verifier's store holds these keys.
    fn new(scene: Scene, answer: Result<Vec<SigningKey>, Status>, saved: Vec<PublicKey>) -> Self {
        Self::with_store(scene, answer, saved, false)
    }

    fn with_store(
        scene: Scene,
        answer: Result<Vec<SigningKey>, Status>,
        saved: Vec<PublicKey>,
        broken: bool,
    ) -> Self {
        let (answer, answers) = watch::channel(answer);
        let (ask, asked) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let follower = tokio::spawn(follow_keys(
            Arc::clone(&scene.verifier),
            shared::trust::Issuer::new(url.parse().unwrap(), None),
            Store { saved, saves: tell, broken },
        ));
        let socket = Some((socket, Issuer { answer: answers, asked: ask }));
        Self { scene, answer, asked, saves: told, follower, socket }
    }

    fn start_issuer(&mut self) {
        let (socket, issuer) = self.socket.take().unwrap();
        let listener: TcpListener = socket.listen(16).unwrap();
        let server = Server::builder().add_service(AuthServiceServer::new(issuer));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    }

    fn verifier(&self) -> &Verifier {
        &self.scene.verifier
    }

    async fn asked(&mut self) -> Instant {
        soon(self.asked.recv()).await.unwrap()
    }

    async fn saved(&mut self) -> Vec<PublicKey> {
        soon(self.saves.recv()).await.unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// A key as its issuer publishes it.
fn published(key: &PublicKey) -> SigningKey {
    SigningKey {
        kid: key.kid().to_owned(),
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        r#use: "sig".to_owned(),
        x: key.x(),
        ..SigningKey::default()
    }
}

/// A token of a key that nobody has published.
fn stranger(scene: &Scene) -> String {
    Forge::new().sign(&scene.claims())
}

#[tokio::test]
async fn published_keys_are_learnt_and_saved() {
    let scene = Scene::untrusting();
    let keys = vec![scene.forge.public(), scene.other.public()];
    let mut pair = Pair::new(scene, Ok(keys.iter().map(published).collect()), vec![]);
    pair.start_issuer();
    assert_eq!(pair.saved().await, keys);
    assert!(pair.verifier().verify(&pair.scene.token()).is_ok());
    let foreign = Err(Rejection::Invalid(Reason::KeyUnknown));
    assert_eq!(pair.verifier().verify(&stranger(&pair.scene)), foreign);
}

#[tokio::test]
async fn saved_keys_verify_while_the_issuer_is_away_and_new_ones_are_learnt_when_it_comes_back() {
    let scene = Scene::untrusting();
    let (old, new) = (scene.forge.public(), scene.other.public());
    let mut pair = Pair::new(scene, Ok(vec![published(&new)]), vec![old]);
    soon(pair.verifier().ready()).await;
    let token = pair.scene.token();
    assert!(pair.verifier().verify(&token).is_ok());
    assert_eq!(pair.verifier().verify(&stranger(&pair.scene)), Err(Rejection::Undecidable));

    pair.start_issuer();
    assert_eq!(pair.saved().await, [new]);
    assert!(pair.verifier().verify(&pair.scene.other.sign(&pair.scene.claims())).is_ok());
    assert!(pair.verifier().verify(&token).is_err(), "its key is not published any more");
}

#[tokio::test]
async fn a_broken_store_keeps_no_key_from_being_learnt() {
    let scene = Scene::untrusting();
    let key = scene.forge.public();
    let mut pair = Pair::with_store(scene, Ok(vec![published(&key)]), vec![], true);
    pair.start_issuer();
    assert_eq!(pair.saved().await, [key]);
    assert!(pair.verifier().verify(&pair.scene.token()).is_ok());
}

/// The issuer's new key signs before the next regular fetch: the first token of it asks for one.
#[tokio::test]
async fn an_unknown_key_is_fetched_at_once() {
    let scene = Scene::untrusting();
    let (old, new) = (scene.forge.public(), scene.other.public());
    let mut pair = Pair::new(scene, Ok(vec![published(&old)]), vec![]);
    pair.start_issuer();
    assert_eq!(pair.saved().await, std::slice::from_ref(&old));
    let first = pair.asked().await;

    pair.scene.clock.advance(Duration::from_secs(11));
    pair.answer.send(Ok(vec![published(&new), published(&old)])).unwrap();
    let token = pair.scene.other.sign(&pair.scene.claims());
    assert_eq!(pair.verifier().verify(&token), Err(Rejection::Undecidable));
    assert_eq!(pair.saved().await, [new, old]);
    assert!(pair.verifier().verify(&token).is_ok());
    assert!(pair.asked().await - first < Duration::from_secs(5), "before the regular fetch");
}

#[tokio::test]
async fn what_is_saved_already_is_not_saved_again() {
    let scene = Scene::untrusting();
    let key = scene.forge.public();
    let mut pair = Pair::new(scene, Ok(vec![published(&key)]), vec![key]);
    // An unknown key makes the second fetch follow upon the first.
    assert_eq!(pair.verifier().verify(&stranger(&pair.scene)), Err(Rejection::Undecidable));
    pair.start_issuer();
    for _ in 0..2 {
        pair.asked().await;
    }
    assert!(pair.saves.try_recv().is_err());
}

#[tokio::test]
async fn a_malformed_answer_is_refused_and_the_old_keys_stay() {
    let scene = Scene::untrusting();
    let good = published(&scene.other.public());
    let foreign = published(&Forge::new().public());
    let short = good.x[..good.x.len() - 2].to_owned();
    let answers: [(&str, Vec<SigningKey>); 11] = [
        ("no key", vec![]),
        ("a kid that is no thumbprint", vec![SigningKey { kid: "key-1".into(), ..good.clone() }]),
        ("the kid of another key", vec![SigningKey { kid: foreign.kid, ..good.clone() }]),
        ("no kid", vec![SigningKey { kid: String::new(), ..good.clone() }]),
        ("another kind", vec![SigningKey { kty: "EC".into(), ..good.clone() }]),
        ("another curve", vec![SigningKey { crv: "Ed448".into(), ..good.clone() }]),
        ("another algorithm", vec![SigningKey { alg: "HS256".into(), ..good.clone() }]),
        ("another use", vec![SigningKey { r#use: "enc".into(), ..good.clone() }]),
        ("padding", vec![SigningKey { x: format!("{}=", good.x), ..good.clone() }]),
        ("31 bytes", vec![SigningKey { x: short, ..good.clone() }]),
        ("a bad key after a good one", vec![good, SigningKey::default()]),
    ];
    let refused = answers.map(|(name, answer)| async move {
        let scene = Scene::untrusting();
        let saved = vec![scene.forge.public()];
        let mut pair = Pair::new(scene, Ok(answer), saved);
        pair.start_issuer();
        pair.asked().await;
        // It asks again only when it is done with the first answer.
        pair.asked().await;
        assert!(pair.verifier().verify(&pair.scene.token()).is_ok(), "{name}");
        let verdict = pair.verifier().verify(&stranger(&pair.scene));
        assert_eq!(verdict, Err(Rejection::Undecidable), "{name}: not a word from the issuer");
        assert!(pair.saves.try_recv().is_err(), "{name}");
    });
    futures_util::future::join_all(refused).await;
}

/// Unknown keys may hurry one fetch; the others keep to their pauses.
#[tokio::test]
async fn a_storm_of_unknown_keys_hurries_no_more_than_one_fetch() {
    let scene = Scene::untrusting();
    let storm: Vec<String> = std::iter::repeat_with(|| format!("\"{}\"", Uuid::new_v4()))
        .map(|kid| scene.with_header(scene.header().with("kid", kid).text()))
        .take(1000)
        .collect();
    let mut pair = Pair::new(scene, Err(Status::unavailable("away")), vec![]);
    pair.start_issuer();
    let mut hurried = 0;
    let mut last = pair.asked().await;
    for pause in [250, 500].map(Duration::from_millis) {
        for token in &storm {
            assert_eq!(pair.verifier().verify(token), Err(Rejection::Undecidable));
        }
        let next = pair.asked().await;
        hurried += usize::from(next - last < pause);
        last = next;
    }
    assert!(hurried <= 1, "{hurried} fetches came early");
}
