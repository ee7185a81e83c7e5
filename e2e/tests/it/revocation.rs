//! Whatever ends a session or a key ends its tokens everywhere, by one path; and nothing else ends.

use std::time::Duration;

use auth_service::revocations::Cause;
use e2e::{
    AuthServer, Engine, Identity, PASSWORD, Person, SERVICE_SECRET, TaskServer, on_every_engine,
    refused, until,
};
use shared::pb::{
    auth::{
        ChangePasswordRequest, DeleteCurrentUserRequest, GetCurrentUserRequest,
        IssueServiceTokenRequest, LogoutRequest, RefreshTokenRequest, RevokeOtherSessionsRequest,
        RevokeSessionRequest, Tokens, ValidateTokenRequest, WatchTrustRequest,
        trust_service_client::TrustServiceClient,
    },
    task::ListTasksRequest,
};
use tonic::{Code, service::interceptor::InterceptedService};

on_every_engine!(
    each_cause_ends_what_it_should_and_nothing_else,
    what_one_replica_revokes_all_refuse,
);

const REVOKED: (Code, &str) = (Code::Unauthenticated, "TOKEN_REVOKED");

/// The pair, and somebody with two sessions; and somebody else.
struct Scene {
    auth: AuthServer,
    task: TaskServer,
    phone: Person,
    laptop: Person,
    bob: Person,
}

impl Scene {
    async fn new(on: Engine) -> Self {
        let auth = AuthServer::start_on(on).await;
        let task = TaskServer::start(&auth).await;
        let phone = auth.register("ann").await;
        // One of them is the older one.
        auth.clock.advance(Duration::from_secs(1));
        let laptop = phone.again(auth.channel()).await;
        let bob = auth.register("bob").await;
        let scene = Self { auth, task, phone, laptop, bob };
        for person in [&scene.phone, &scene.laptop, &scene.bob] {
            assert!(scene.accepts(person).await);
        }
        scene
    }

    /// Whether task-service takes the token. One that it does not take has been revoked.
    async fn accepts(&self, person: &Person) -> bool {
        let there = person.at(self.task.channel());
        match there.tasks.clone().list_tasks(ListTasksRequest::default()).await {
            Ok(_) => true,
            answer => {
                assert_eq!(refused(answer).kind(), REVOKED);
                false
            }
        }
    }

    /// The token is refused at both services, and its session goes on no more.
    async fn has_ended(&self, person: &Person) {
        until("task-service has heard of it", async || !self.accepts(person).await).await;
        until("auth-service has heard of it", async || {
            let request = ValidateTokenRequest { access_token: person.token.clone() };
            let answer = self.auth.anonymous().auth.validate_token(request).await.unwrap();
            !answer.into_inner().active
        })
        .await;
        let mut there = person.at(self.auth.channel());
        let answer = there.users.get_current_user(GetCurrentUserRequest {}).await;
        assert_eq!(refused(answer).kind(), REVOKED);
    }

    /// The session and its token are as they were.
    async fn goes_on(&self, person: &Person) {
        assert!(self.accepts(person).await);
        let mut there = person.at(self.auth.channel());
        there.users.get_current_user(GetCurrentUserRequest {}).await.unwrap();
        let request = RefreshTokenRequest {
            refresh_token: person.refresh_token.clone(),
            ..RefreshTokenRequest::default()
        };
        there.auth.refresh_token(request).await.unwrap();
    }

    async fn refresh(&self, refresh_token: &str) -> Option<Tokens> {
        let refresh_token = refresh_token.to_owned();
        let request = RefreshTokenRequest { refresh_token, ..RefreshTokenRequest::default() };
        let answer = self.auth.anonymous().auth.refresh_token(request).await;
        answer.ok().and_then(|answer| answer.into_inner().tokens)
    }

    /// Has this cause end the phone's session, and more if that is its way.
    async fn strike(&self, cause: Cause) {
        let mut laptop = self.laptop.clone();
        match cause {
            Cause::Logout => {
                let refresh_token = self.phone.refresh_token.clone();
                laptop.auth.logout(LogoutRequest { refresh_token }).await.unwrap();
            }
            Cause::Session => {
                let request =
                    RevokeSessionRequest { id: session(&self.phone), ..Default::default() };
                laptop.users.revoke_session(request).await.unwrap();
            }
            Cause::OtherSessions => {
                let request = RevokeOtherSessionsRequest {};
                let answer = laptop.users.revoke_other_sessions(request).await.unwrap();
                assert_eq!(answer.into_inner().revoked_count, 1);
            }
            Cause::PasswordChange => {
                let request = ChangePasswordRequest {
                    current_password: PASSWORD.to_owned(),
                    new_password: "another horse on the roof".to_owned(),
                };
                laptop.users.change_password(request).await.unwrap();
            }
            Cause::SetPassword => {
                let line = "users set-password ann";
                self.auth.operate_with(line, "another horse on the roof\n").await.unwrap();
            }
            Cause::RefreshReuse => {
                let first = &self.phone.refresh_token;
                let second = self.refresh(first).await.unwrap().refresh_token;
                assert!(self.refresh(&second).await.is_some());
                assert!(self.refresh(first).await.is_none());
            }
            Cause::TooManySessions => {
                for _ in 0..99 {
                    self.phone.again(self.auth.channel()).await;
                }
            }
            Cause::Disable => drop(self.auth.operate("users disable ann").await.unwrap()),
            Cause::UserDelete => {
                let current_password = PASSWORD.to_owned();
                let request = DeleteCurrentUserRequest { current_password, ..Default::default() };
                laptop.users.delete_current_user(request).await.unwrap();
            }
            Cause::KeyRevoke => {
                let list = self.auth.operate("keys list").await.unwrap();
                let kid = list.split(' ').next().unwrap();
                self.auth.operate(&format!("keys revoke {kid}")).await.unwrap();
            }
            Cause::ServiceRemove => {
                drop(self.auth.operate("services remove another").await.unwrap());
            }
        }
    }
}

/// What a token says of its session.
fn session(person: &Person) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = URL_SAFE_NO_PAD.decode(person.token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    claims["sid"].as_str().unwrap().to_owned()
}

async fn each_cause_ends_what_it_should_and_nothing_else(on: Engine) {
    for cause in Cause::ALL {
        if cause == Cause::ServiceRemove {
            a_removed_service_is_refused(&Scene::new(on).await).await;
            continue;
        }
        let scene = Scene::new(on).await;
        scene.strike(cause).await;
        scene.has_ended(&scene.phone).await;
        match cause {
            Cause::Logout
            | Cause::Session
            | Cause::OtherSessions
            | Cause::PasswordChange
            | Cause::RefreshReuse
            | Cause::TooManySessions
            | Cause::ServiceRemove => scene.goes_on(&scene.laptop).await,
            Cause::SetPassword | Cause::Disable | Cause::UserDelete | Cause::KeyRevoke => {
                scene.has_ended(&scene.laptop).await;
            }
        }
        if cause == Cause::KeyRevoke {
            scene.has_ended(&scene.bob).await;
        } else {
            scene.goes_on(&scene.bob).await;
        }
    }
}

async fn a_removed_service_is_refused(scene: &Scene) {
    e2e::add_service(&scene.auth.config(), "another").await;
    let (service, secret) = ("another".to_owned(), SERVICE_SECRET.to_owned());
    let request = IssueServiceTokenRequest { service, secret };
    let answer = scene.auth.anonymous().auth.issue_service_token(request).await.unwrap();
    let identity = Identity::bearer(&answer.into_inner().access_token);
    let channel = InterceptedService::new(scene.auth.channel(), identity);
    let mut client = TrustServiceClient::new(channel);
    let mut stream = client.watch_trust(WatchTrustRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    scene.strike(Cause::ServiceRemove).await;
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(refused::<()>(Err(status)).kind(), REVOKED);
    let answer = client.watch_trust(WatchTrustRequest::default()).await;
    assert_eq!(answer.map(|_| ()).map_err(|status| status.code()), Err(Code::Unauthenticated));
    scene.goes_on(&scene.phone).await;
}

async fn what_one_replica_revokes_all_refuse(on: Engine) {
    let first = Scene::new(on).await;
    let second = AuthServer::start_at(first.auth.place.clone(), first.auth.clock.clone(), []).await;
    let task = TaskServer::start(&second).await;
    let mut there = first.phone.at(task.channel());
    there.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    first.strike(Cause::Session).await;
    until("the other task-service has heard of it", async || {
        match there.tasks.list_tasks(ListTasksRequest::default()).await {
            Ok(_) => false,
            answer => {
                assert_eq!(refused(answer).kind(), REVOKED);
                true
            }
        }
    })
    .await;
    first.has_ended(&first.phone).await;
    first.goes_on(&first.laptop).await;
}
