//! The tokens of a login, kept fresh by a client.

use std::time::Duration;

use e2e::{
    AuthServer, TaskServer, clock, until,
    wire::{State, Wire},
};
use secrecy::ExposeSecret;
use shared::{
    client::{Client, Session},
    clock::Clock,
    pb::{
        auth::{
            ChangePasswordRequest, LogoutRequest, RevokeOtherSessionsRequest,
            auth_service_client::AuthServiceClient, user_service_client::UserServiceClient,
        },
        task::{ListTasksRequest, task_service_client::TaskServiceClient},
    },
    status::refusal,
};
use tokio::{sync::watch, task::JoinSet};
use tonic::{Code, Response, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::client::{client, handled, log_in};

/// How long an access token lives.
const TTL: (&str, &str) = ("AUTH_ACCESS_TOKEN_TTL", "100s");
/// After that an access token is refreshed, and services still take it.
const SOON: Duration = Duration::from_secs(80);
/// After that no service takes it any more.
const OVER: Duration = Duration::from_secs(106);

/// The pair, and Ann, whose tokens are refreshed by way of a wire.
struct Scene {
    auth: AuthServer,
    task: TaskServer,
    wire: Wire,
    session: Session,
    ann: Client,
}

impl Scene {
    async fn new() -> Self {
        Self::with(None, &[]).await
    }

    /// The same with a clock of her own, and tokens for these services.
    async fn with(own: Option<Clock>, audiences: &[&str]) -> Self {
        let auth = AuthServer::start_with([TTL]).await;
        let task = TaskServer::start(&auth).await;
        auth.register("ann").await;
        let wire = Wire::to(&auth.url()).await;
        let clock = own.unwrap_or_else(|| auth.clock.clone());
        let session = log_in(&auth, wire.channel(), clock, audiences).await;
        Self { auth, task, wire, ann: client(session.clone()), session }
    }

    async fn list(&self) -> Result<(), Status> {
        list(self.ann.clone(), self.task.channel()).await
    }

    /// Sixteen lists at once.
    async fn lists(&self) {
        let lists: JoinSet<_> =
            (0..16).map(|_| list(self.ann.clone(), self.task.channel())).collect();
        for answer in lists.join_all().await {
            answer.expect("nobody notices");
        }
    }

    /// How many refreshes were answered like this.
    async fn refreshed(&self, code: &str) -> u32 {
        count(self.auth.metric(&handled("auth.v1.AuthService", "RefreshToken", code)).await)
    }

    /// How many lists were answered like this.
    async fn listed(&self, code: &str) -> u32 {
        count(self.task.metric(&handled("task.v1.TaskService", "ListTasks", code)).await)
    }

    async fn until_refreshed(&self, times: u32) {
        until("it is refreshed", async || self.refreshed("OK").await == times).await;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it counts calls")]
fn count(metric: f64) -> u32 {
    metric as u32
}

async fn list(ann: Client, task: Channel) -> Result<(), Status> {
    let tasks = TaskServiceClient::new(task);
    ann.read(&tasks, TaskServiceClient::list_tasks, ListTasksRequest::default()).await.map(drop)
}

/// Why a call is refused, for want of a good token or a password.
fn reason(answer: Result<(), Status>) -> String {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    status.get_details_error_info().expect("an ErrorInfo").reason
}

#[tokio::test]
async fn a_token_that_has_expired_is_refreshed_once_for_all_calls() {
    let scene = Scene::new().await;
    for times in [1, 2] {
        scene.auth.clock.advance(OVER);
        scene.lists().await;
        assert_eq!(scene.refreshed("OK").await, times);
    }
    assert_eq!(scene.listed("Unauthenticated").await, 0, "nobody had to be told");
}

#[tokio::test]
async fn a_token_that_is_refused_as_expired_is_refreshed_once_for_all_calls() {
    // By a clock that stands still no token ever ends.
    let scene = Scene::with(Some(clock()), &[]).await;
    for times in [1, 2] {
        scene.auth.clock.advance(OVER);
        scene.lists().await;
        assert_eq!(scene.refreshed("OK").await, times);
    }
    assert!(scene.listed("Unauthenticated").await >= 2);
}

#[tokio::test]
async fn a_clock_that_is_ahead_refreshes_nothing_that_services_take() {
    let ahead = clock();
    ahead.advance(Duration::from_hours(1));
    let scene = Scene::with(Some(ahead), &[]).await;
    scene.lists().await;
    assert_eq!(scene.refreshed("OK").await, 0);
}

#[tokio::test]
async fn a_token_is_refreshed_before_it_ends_and_nobody_waits_for_it() {
    let scene = Scene::new().await;
    scene.wire.set(State::Silent);
    scene.auth.clock.advance(SOON);
    scene.lists().await;
    scene.list().await.unwrap();
    scene.wire.set(State::Whole);
    scene.until_refreshed(1).await;
    // The first token would not be taken any more.
    scene.auth.clock.advance(SOON / 2);
    scene.lists().await;
    assert_eq!(scene.refreshed("OK").await, 1);
}

#[tokio::test]
async fn a_refresh_whose_answer_is_lost_is_repeated_with_the_same_token() {
    let scene = Scene::new().await;
    let lose = async |times| {
        scene.wire.set(State::OneWay);
        scene.auth.clock.advance(OVER);
        let lose = async {
            scene.until_refreshed(times).await;
            scene.wire.break_off().await;
        };
        tokio::join!(lose, scene.list()).1.unwrap();
        assert_eq!(scene.refreshed("OK").await, times + 1);
    };
    lose(1).await;
    lose(3).await;
    assert_eq!(scene.refreshed("Unauthenticated").await, 0);
}

#[tokio::test]
async fn a_refresh_that_gets_no_answer_is_repeated() {
    let scene = Scene::new().await;
    scene.wire.set(State::OneWay);
    scene.auth.clock.advance(OVER);
    let heal = async {
        scene.until_refreshed(2).await;
        scene.wire.set(State::Whole);
    };
    tokio::join!(heal, scene.list()).1.unwrap();
    assert_eq!(scene.refreshed("Unauthenticated").await, 0);
}

#[tokio::test]
async fn a_refresh_is_seen_through_when_nobody_waits_for_it_any_more() {
    let scene = Scene::new().await;
    scene.wire.set(State::OneWay);
    scene.auth.clock.advance(OVER);
    let refreshed = async {
        tokio::select! {
            answer = scene.list() => panic!("there can be no answer: {answer:?}"),
            () = scene.until_refreshed(1) => {}
        }
    };
    refreshed.await;
    scene.wire.break_off().await;
    scene.until_refreshed(2).await;
    // Now it would be too late to ask with the first token again.
    scene.auth.clock.advance(OVER);
    scene.list().await.unwrap();
    assert!(scene.session.over().is_none());
}

#[tokio::test]
async fn an_outage_says_nothing_about_a_token() {
    let scene = Scene::new().await;
    scene.wire.set(State::Cut);
    scene.auth.clock.advance(OVER);
    let ann = scene.ann.within(Duration::from_millis(300));
    let answer = list(ann, scene.task.channel()).await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(scene.session.over().is_none());
    scene.wire.set(State::Whole);
    scene.list().await.unwrap();
}

#[tokio::test]
async fn a_refresh_that_fails_otherwise_ends_no_session() {
    let scene = Scene::new().await;
    scene.auth.clock.advance(OVER);
    scene.wire.lead_to(&scene.task.url());
    assert_eq!(scene.list().await.unwrap_err().code(), Code::Unimplemented);
    assert!(scene.session.over().is_none());
    scene.wire.lead_to(&scene.auth.url());
    scene.wire.break_off().await;
    scene.list().await.unwrap();
}

#[tokio::test]
async fn a_session_that_has_ended_asks_for_a_new_login() {
    let scene = Scene::new().await;
    let refresh_token = scene.session.refresh_token().expose_secret().to_owned();
    let mut auth = AuthServiceClient::new(scene.auth.channel());
    auth.logout(LogoutRequest { refresh_token }).await.unwrap();
    let mut lists = 0;
    until("task-service knows", async || {
        lists += 1;
        scene.list().await.is_err()
    })
    .await;
    let over = scene.session.over().expect("it is over");
    assert_eq!(over.code(), Code::Unauthenticated);
    assert_eq!(reason(scene.list().await), "TOKEN_INVALID", "what the refresh was told");
    assert_eq!(scene.refreshed("Unauthenticated").await, 1);
    assert_eq!(scene.listed("OK").await + scene.listed("Unauthenticated").await, lists);
}

#[tokio::test]
async fn a_token_that_is_invalid_is_replaced_once_when_it_is_new() {
    let scene = Scene::with(None, &["auth-service"]).await;
    for _ in 0..3 {
        assert_eq!(reason(scene.list().await), "TOKEN_INVALID");
        assert_eq!(scene.refreshed("OK").await, 1);
    }
    assert_eq!(scene.listed("Unauthenticated").await, 4);
    assert!(scene.session.over().is_none());

    let scene = Scene::with(None, &["auth-service"]).await;
    scene.auth.clock.advance(Duration::from_secs(61));
    assert_eq!(reason(scene.list().await), "TOKEN_INVALID");
    assert_eq!(scene.refreshed("OK").await, 0, "it is not new any more");
}

#[tokio::test]
async fn a_service_that_refuses_every_token_is_asked_twice() {
    let scene = Scene::new().await;
    let refuses = async |asked: &mut watch::Sender<u32>, _| {
        asked.send_modify(|times| *times += 1);
        Err::<Response<()>, _>(refusal(Code::Unauthenticated, "TOKEN_EXPIRED", "it has expired"))
    };
    for times in [1, 2] {
        let service = watch::Sender::new(0);
        let answer = scene.ann.read(&service, refuses, ListTasksRequest::default()).await;
        assert_eq!(reason(answer), "TOKEN_EXPIRED");
        assert_eq!((*service.borrow(), scene.refreshed("OK").await), (2, times));
    }
}

#[tokio::test]
async fn a_wrong_password_is_no_matter_of_tokens() {
    let scene = Scene::new().await;
    let users = UserServiceClient::new(scene.auth.channel());
    let request = ChangePasswordRequest {
        current_password: "another one than it is".to_owned(),
        new_password: "a plain cow eats staples".to_owned(),
    };
    let change = UserServiceClient::change_password;
    let answer = scene.ann.call(&users, change, request).await.map(drop);
    assert_eq!(reason(answer), "INVALID_CREDENTIALS");
    assert_eq!(scene.refreshed("OK").await, 0);
}

#[tokio::test]
async fn what_is_sent_once_is_sent_again_when_its_token_was_refused() {
    let scene = Scene::with(Some(clock()), &[]).await;
    scene.auth.clock.advance(OVER);
    let users = UserServiceClient::new(scene.auth.channel());
    let revoke = UserServiceClient::revoke_other_sessions;
    scene.ann.call(&users, revoke, RevokeOtherSessionsRequest {}).await.unwrap();
    assert_eq!(scene.refreshed("OK").await, 1);
}

#[tokio::test]
async fn no_token_is_ever_shown() {
    let scene = Scene::new().await;
    let token = scene.session.refresh_token();
    let shown = format!("{:?} {:?} {token:?}", scene.session, scene.ann);
    assert!(!shown.contains(token.expose_secret()) && !shown.contains("Bearer"), "{shown}");
}
