//! Whom an issuer says to forget, on its way over a real channel into a service.

mod notes;

mod failures;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use shared::{
    clock::{Clock, Time},
    erasure::{Erasure, follow_erasures},
    pb::auth::{
        DeletedUser, WatchErasuresResponse, auth_service_server::AuthServiceServer,
        trust_service_server::TrustServiceServer,
    },
    trust::{Credential, Head, Issuer as IssuerAt, TrustSource},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Status, transport::Server};
use uuid::Uuid;

use crate::{
    follow_trust::issuer::{Asked, Confirmed, Issuer, Watched},
    support::{ANN, NOW, news, soon},
};
use notes::{Notes, Step};

const BOB: Uuid = Uuid::from_u128(2);

/// An issuer, and a service that follows it.
struct Pair {
    asked: mpsc::UnboundedReceiver<Asked>,
    watched: mpsc::UnboundedReceiver<Watched>,
    confirmed: mpsc::UnboundedReceiver<Confirmed>,
    notes: Notes,
    steps: mpsc::UnboundedReceiver<Step>,
    source: TrustSource,
    follower: JoinHandle<Infallible>,
}

impl Pair {
    async fn start() -> Self {
        let (ask, asked) = mpsc::unbounded_channel();
        let (watch, watched) = mpsc::unbounded_channel();
        let (confirm, confirmed) = mpsc::unbounded_channel();
        let issuer = Issuer {
            token: watch::channel(Ok(Time::from_seconds(NOW + 900))).1,
            asked: ask,
            opened: mpsc::unbounded_channel().0,
            watched: watch,
            confirmed: confirm,
        };
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder()
            .add_service(AuthServiceServer::new(issuer.clone()))
            .add_service(TrustServiceServer::new(issuer));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let credential = Credential::new("notes", "hunter2".into());
        let source = TrustSource::new(IssuerAt::new(url.parse().unwrap(), None), credential);
        let (notes, steps) = Notes::new();
        let follower = follow(&source, &notes);
        Self { asked, watched, confirmed, notes, steps, source, follower }
    }

    /// The service ends, wherever it is, and begins anew.
    async fn restart(&mut self) {
        self.follower.abort();
        assert!((&mut self.follower).await.unwrap_err().is_cancelled());
        self.follower = follow(&self.source, &self.notes);
    }

    async fn watched(&mut self) -> Watched {
        soon(self.watched.recv()).await.unwrap()
    }

    async fn confirmed(&mut self) -> Confirmed {
        soon(self.confirmed.recv()).await.unwrap()
    }

    /// What the service does next.
    async fn step(&mut self) -> Step {
        soon(self.steps.recv()).await.unwrap()
    }

    /// The service erases this user, and nothing is left.
    async fn erases(&mut self, user: Uuid, sequence: i64) {
        assert_eq!(self.step().await, Step::Erased(erasure(user, sequence)));
        assert_eq!(self.step().await, Step::Purged);
    }

    /// The service erases this user, confirms that and keeps the cursor.
    async fn does(&mut self, user: Uuid, sequence: i64) {
        self.erases(user, sequence).await;
        self.confirms(user, sequence).await;
    }

    /// The service confirms that this user is erased, and keeps the cursor.
    async fn confirms(&mut self, user: Uuid, sequence: i64) {
        let confirmed = self.confirmed().await;
        assert_eq!(confirmed.request.user_id, user.to_string());
        confirmed.answer.send(Ok(())).unwrap();
        assert_eq!(self.step().await, Step::Kept(head(sequence)));
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

fn follow(source: &TrustSource, notes: &Notes) -> JoinHandle<Infallible> {
    let clock = Clock::manual(Time::from_seconds(NOW));
    tokio::spawn(follow_erasures(source.clone(), notes.clone(), clock))
}

fn head(sequence: i64) -> Head {
    news(sequence).head.unwrap()
}

/// A user who was deleted at this place in the sequence.
fn erasure(user_id: Uuid, sequence: i64) -> Erasure {
    Erasure { user_id, delete_time: Time::from_seconds(NOW), cursor: head(sequence) }
}

/// How the issuer tells of that.
fn told(user_id: Uuid, sequence: i64) -> WatchErasuresResponse {
    let delete_time = Some(Time::from_seconds(NOW).into());
    WatchErasuresResponse {
        deleted_user: Some(DeletedUser { user_id: user_id.to_string(), delete_time }),
        cursor: Some(head(sequence).into()),
    }
}

#[tokio::test]
async fn each_is_erased_then_confirmed_then_kept() {
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    let asked = soon(pair.asked.recv()).await.unwrap();
    assert_eq!((asked.service.as_str(), asked.secret.as_str()), ("notes", "hunter2"));
    assert_eq!(stream.cursor, None);
    assert!(stream.authorization.starts_with("Bearer "));
    stream.send(WatchErasuresResponse::default());
    stream.send(told(ANN, 3));
    pair.erases(ANN, 3).await;
    let confirmed = pair.confirmed().await;
    assert_eq!(confirmed.request.user_id, ANN.to_string());
    assert_eq!(confirmed.request.deleted_counts, [("notes".to_owned(), 7)].into());
    assert_eq!(confirmed.authorization, stream.authorization);
    tokio::task::yield_now().await;
    assert!(pair.steps.try_recv().is_err(), "the issuer does not know it yet");
    confirmed.answer.send(Ok(())).unwrap();
    assert_eq!(pair.step().await, Step::Kept(head(3)));
    stream.send(told(BOB, 5));
    pair.does(BOB, 5).await;
    let authorization = stream.authorization.clone();
    drop(stream);
    let next = pair.watched().await;
    assert_eq!((next.cursor, next.authorization), (Some(head(5)), authorization));
}

#[tokio::test]
async fn those_who_wait_are_purged_together() {
    const USERS: i64 = 100;
    let id = |user: i64| Uuid::from_u128(u128::try_from(user).unwrap());
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    for user in 1..=USERS {
        stream.send(told(id(user), user));
    }
    let (mut erased, mut purged, mut kept, mut times) = (0, 0, 0, 0);
    while kept < USERS {
        tokio::select! {
            biased;
            step = soon(pair.steps.recv()) => match step.unwrap() {
                Step::Erased(it) => {
                    erased += 1;
                    assert_eq!(it, erasure(id(erased), erased));
                }
                Step::Purged => (purged, times) = (erased, times + 1),
                Step::Kept(it) => {
                    kept += 1;
                    assert_eq!(it, head(kept));
                }
                Step::Failed(_) => unreachable!("nothing is broken"),
            },
            confirmed = soon(pair.confirmed.recv()) => {
                let confirmed = confirmed.unwrap();
                assert_eq!(confirmed.request.user_id, id(kept + 1).to_string());
                assert!(kept < purged, "only what is in no file any more is confirmed");
                confirmed.answer.send(Ok(())).unwrap();
            }
        }
    }
    assert!(times < USERS / 2, "{times}");
}

#[tokio::test]
async fn nobody_waits_for_the_erasure_of_another_that_takes_long() {
    let mut pair = Pair::start().await;
    pair.notes.hang_on(BOB);
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    stream.send(told(BOB, 5));
    pair.does(ANN, 3).await;
    pair.notes.go_on();
    pair.does(BOB, 5).await;
}

#[tokio::test]
async fn after_a_restart_it_goes_on_from_what_was_kept() {
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    pair.does(ANN, 3).await;
    stream.send(told(BOB, 5));
    pair.erases(BOB, 5).await;
    let unanswered = pair.confirmed().await;
    pair.restart().await;
    drop(unanswered);
    let stream = pair.watched().await;
    assert_eq!(stream.cursor, Some(head(3)), "who was not kept comes again");
    stream.send(told(BOB, 5));
    pair.does(BOB, 5).await;
}

#[tokio::test]
async fn a_cursor_of_another_epoch_is_kept_as_any_other() {
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    stream.send(told(ANN, 300));
    pair.does(ANN, 300).await;
    let other = Head { epoch: Uuid::from_u128(9), sequence: 1 };
    stream.send(WatchErasuresResponse { cursor: Some(other.into()), ..told(ANN, 0) });
    assert_eq!(pair.step().await, Step::Erased(Erasure { cursor: other, ..erasure(ANN, 0) }));
    assert_eq!(pair.step().await, Step::Purged);
    pair.confirmed().await.answer.send(Ok(())).unwrap();
    assert_eq!(pair.step().await, Step::Kept(other));
    drop(stream);
    assert_eq!(pair.watched().await.cursor, Some(other));
}

#[test]
fn a_token_may_be_alive_for_a_day_and_an_hour() {
    assert_eq!(erasure(ANN, 1).last_token_time(), Time::from_seconds(NOW + 25 * 3_600));
}
