//! A verifier that does not hear of its issuer: how long it goes on, what it says then, and that it
//! misses nothing in the end.

use std::time::Duration;

use e2e::{
    AuthServer, Engine, Person, TaskServer, on_every_engine, refused, until,
    wire::{State, Wire},
};
use shared::pb::{
    auth::{LogoutRequest, RevokeOtherSessionsRequest},
    task::ListTasksRequest,
};
use sqlx::{Connection, Executor};
use tonic::Code;

on_every_engine!(
    it_goes_on_as_long_as_it_is_told_also_across_a_restart,
    what_was_revoked_meanwhile_is_refused_once_it_hears_again,
    it_starts_without_the_issuer_only_when_it_knows_something,
    a_restored_database_is_told_from_the_one_before,
);

const LIMIT: Duration = Duration::from_mins(1);
const AWAY: (Code, &str) = (Code::Unavailable, "TRUST_UNAVAILABLE");
const REVOKED: (Code, &str) = (Code::Unauthenticated, "TOKEN_REVOKED");

/// The pair with a wire between them, and somebody with two sessions.
struct Scene {
    auth: AuthServer,
    wire: Wire,
    task: TaskServer,
    phone: Person,
    laptop: Person,
}

impl Scene {
    async fn new(on: Engine) -> Self {
        let auth = AuthServer::start_on(on).await;
        let wire = Wire::to(&auth.url()).await;
        let task = TaskServer::start_with(&auth, settings(&wire.url())).await;
        let phone = auth.register("ann").await;
        let laptop = phone.again(auth.channel()).await;
        let scene = Self { auth, wire, task, phone, laptop };
        scene.says(&scene.phone, None).await;
        scene.says(&scene.laptop, None).await;
        scene
    }

    /// What task-service says to this token: nothing against it, or this.
    async fn says(&self, person: &Person, expected: Option<(Code, &str)>) {
        let there = person.at(self.task.channel());
        let answer = there.tasks.clone().list_tasks(ListTasksRequest::default()).await;
        match expected {
            None => drop(answer.unwrap()),
            Some(kind) => {
                let refused = refused(answer);
                assert_eq!(refused.kind(), kind);
                assert_eq!(refused.retry.is_some(), kind.0 == Code::Unavailable);
            }
        }
    }

    async fn is_accepted(&self, person: &Person) -> bool {
        let there = person.at(self.task.channel());
        there.tasks.clone().list_tasks(ListTasksRequest::default()).await.is_ok()
    }

    /// Ends the phone's session.
    async fn log_out(&self) {
        let refresh_token = self.phone.refresh_token.clone();
        let mut phone = self.phone.clone();
        phone.auth.logout(LogoutRequest { refresh_token }).await.unwrap();
    }
}

fn settings(url: &str) -> [(&'static str, &str); 2] {
    [("TASK_AUTH_URL", url), ("TASK_TRUST_MAX_STALENESS", "60s")]
}

async fn it_goes_on_as_long_as_it_is_told_also_across_a_restart(on: Engine) {
    let mut scene = Scene::new(on).await;
    scene.wire.set(State::Cut);
    // It keeps in mind every ten seconds that it has heard something.
    scene.auth.clock.advance(LIMIT / 2);
    scene.says(&scene.phone, None).await;
    scene.task = scene.task.restart().await;
    scene.says(&scene.phone, None).await;

    scene.auth.clock.advance(LIMIT / 2 + Duration::from_millis(1));
    scene.says(&scene.phone, Some(AWAY)).await;
    until("it is not ready", async || !scene.task.is_ready().await).await;
    scene.wire.set(State::Whole);
    until("it hears again", async || scene.is_accepted(&scene.phone).await).await;
    until("it is ready", async || scene.task.is_ready().await).await;
}

async fn what_was_revoked_meanwhile_is_refused_once_it_hears_again(on: Engine) {
    for state in [State::Cut, State::Silent, State::OneWay] {
        let mut scene = Scene::new(on).await;
        scene.wire.set(state);
        scene.log_out().await;
        // The price of going on: nobody could tell it.
        scene.says(&scene.phone, None).await;
        scene.says(&scene.laptop, None).await;
        scene.wire.set(State::Whole);
        until("it hears again", async || !scene.is_accepted(&scene.phone).await).await;
        scene.says(&scene.phone, Some(REVOKED)).await;
        scene.says(&scene.laptop, None).await;

        // It has kept that, too.
        until("it is kept", async || {
            scene.wire.set(State::Cut);
            scene.task = restarted(&scene).await;
            !scene.is_accepted(&scene.phone).await
        })
        .await;
        scene.says(&scene.phone, Some(REVOKED)).await;
        scene.says(&scene.laptop, None).await;
    }
}

/// Another task-service on the same database, in place of the first.
async fn restarted(scene: &Scene) -> TaskServer {
    let place = scene.task.place.clone();
    TaskServer::start_at(&scene.auth, place, settings(&scene.wire.url())).await
}

async fn it_starts_without_the_issuer_only_when_it_knows_something(on: Engine) {
    let mut scene = Scene::new(on).await;
    scene.wire.set(State::Cut);
    let place = on.place("empty").await;
    scene.task = TaskServer::launch(&scene.auth, place, settings(&scene.wire.url())).await;
    assert!(!scene.task.is_ready().await);
    scene.says(&scene.phone, Some(AWAY)).await;
    scene.wire.set(State::Whole);
    until("it is ready", async || scene.task.is_ready().await).await;
    scene.says(&scene.phone, None).await;

    // What has been damaged is not trusted: it is as if there were nothing, until it is fetched anew.
    scene.log_out().await;
    until("it has heard of it", async || !scene.is_accepted(&scene.phone).await).await;
    until("it is damaged", async || damage(&scene.task.place.url).await).await;
    scene.wire.set(State::Cut);
    let place = scene.task.place.clone();
    scene.task = TaskServer::launch(&scene.auth, place, settings(&scene.wire.url())).await;
    assert!(!scene.task.is_ready().await);
    scene.says(&scene.laptop, Some(AWAY)).await;
    scene.wire.set(State::Whole);
    until("it is ready", async || scene.task.is_ready().await).await;
    scene.says(&scene.phone, Some(REVOKED)).await;
    scene.says(&scene.laptop, None).await;
}

/// Deletes what was revoked, behind the service's back. The answer is whether there was anything.
async fn damage(url: &str) -> bool {
    let delete = "delete from trust_revocations";
    if url.starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        connection.execute(delete).await.unwrap().rows_affected() > 0
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        connection.execute(delete).await.unwrap().rows_affected() > 0
    }
}

async fn a_restored_database_is_told_from_the_one_before(on: Engine) {
    // On PostgreSQL a backup is no matter of a file; what it does to verifiers is the same.
    if on != Engine::Sqlite {
        return;
    }
    let mut scene = Scene::new(on).await;
    let mut ann = scene.laptop.clone();
    ann.users.revoke_other_sessions(RevokeOtherSessionsRequest {}).await.unwrap();
    until("it hears of it", async || !scene.is_accepted(&scene.phone).await).await;
    let tablet = scene.laptop.again(scene.auth.channel()).await;

    let backup = scene.auth.place.backup().await;
    // After the backup the head goes on, and then back to where it was.
    for _ in 0..3 {
        scene.laptop.again(scene.auth.channel()).await;
        ann.users.revoke_other_sessions(RevokeOtherSessionsRequest {}).await.unwrap();
    }
    until("it hears of it", async || !scene.is_accepted(&tablet).await).await;
    scene.wire.set(State::Cut);
    let (config, clock) = (scene.auth.config(), scene.auth.clock.clone());
    let place = scene.auth.stop().await;
    place.restore(&backup);
    e2e::operate(&config, &clock, "trust reset", "").await.unwrap();
    scene.auth = AuthServer::start_at(place, clock, []).await;
    scene.wire.lead_to(&scene.auth.url());
    scene.wire.set(State::Whole);

    // What was revoked before the backup and after it stays so where that was heard of; and what is
    // revoked from now on is heard of.
    let desk = scene.laptop.again(scene.auth.channel()).await;
    until("it hears again", async || scene.is_accepted(&desk).await).await;
    let mut ann = scene.laptop.at(scene.auth.channel());
    ann.users.revoke_other_sessions(RevokeOtherSessionsRequest {}).await.unwrap();
    until("it hears of it", async || !scene.is_accepted(&desk).await).await;
    scene.says(&scene.phone, Some(REVOKED)).await;
    scene.says(&scene.laptop, None).await;
}
