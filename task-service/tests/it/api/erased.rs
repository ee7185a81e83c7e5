//! What becomes of somebody's projects and tasks when the account is deleted: `UserService.DeleteCurrentUser`.

use std::collections::BTreeMap;

use e2e::{AuthServer, Engine, PASSWORD, Person, TaskServer, on_every_engine, refused, until};
use shared::{
    database::{Database, Settings, Statement},
    on_engine,
    pb::{
        auth::{
            DeleteCurrentUserRequest, ErasureConfirmation, ErasureState, GetErasureRequest,
            LogoutRequest,
        },
        task::{
            CreateTaskRequest, DeleteProjectRequest, DeleteTaskRequest, ListTasksRequest, Task,
        },
    },
};
use task_service::store::MIGRATIONS;
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

use super::{Scene, create_project, create_task, titled, titles, watch_tasks::Watch};

on_every_engine!(
    who_is_deleted_is_erased_and_nobody_else,
    an_erasure_waits_for_the_service_however_long_that_is_away,
    a_write_that_waits_while_the_fence_goes_up_is_refused_as_a_revoked_token_is,
);

/// Two projects, one of them deleted, and eight tasks, four of them deleted.
async fn fill(by: &mut Person) {
    for (title, force) in [("kept", false), ("gone", true)] {
        let project_id = create_project(by, title).await.id;
        for number in 0..3 {
            let task = Task { project_id: project_id.clone(), ..titled(&number.to_string()) };
            create_task(by, task).await;
        }
        let delete = DeleteProjectRequest { id: project_id, force, ..Default::default() };
        assert_eq!(by.projects.delete_project(delete).await.is_ok(), force);
    }
    for _ in 0..2 {
        let (task, request_id) = (Some(titled("once")), Uuid::new_v4().to_string());
        by.tasks.create_task(CreateTaskRequest { task, request_id }).await.unwrap();
    }
    let last = create_task(by, titled("last")).await.id;
    let delete = DeleteTaskRequest { id: last, ..Default::default() };
    by.tasks.delete_task(delete).await.unwrap();
}

/// Deletes somebody's account; the answer is the id of the erasure.
async fn delete(auth: &AuthServer, person: &Person) -> String {
    let request = DeleteCurrentUserRequest {
        current_password: PASSWORD.to_owned(),
        ..DeleteCurrentUserRequest::default()
    };
    let mut there = person.at(auth.channel());
    let answer = there.users.delete_current_user(request).await.unwrap().into_inner();
    answer.erasure.unwrap().id
}

/// Whether an erasure is complete, and the part of task-service in it.
async fn progress(auth: &AuthServer, id: &str) -> (bool, ErasureConfirmation) {
    let request = GetErasureRequest { id: id.to_owned() };
    let answer = auth.anonymous().auth.get_erasure(request).await.unwrap().into_inner();
    let erasure = answer.erasure.unwrap();
    let is_complete = erasure.state() == ErasureState::Complete;
    let mut parts = erasure.confirmations.into_iter();
    (is_complete, parts.find(|part| part.service == "task-service").unwrap())
}

/// What task-service says it has deleted, as soon as the erasure is complete.
async fn deleted(auth: &AuthServer, id: &str) -> BTreeMap<String, i64> {
    until("the erasure is complete", async || progress(auth, id).await.0).await;
    progress(auth, id).await.1.deleted_counts
}

fn counts(projects: i64, tasks: i64) -> BTreeMap<String, i64> {
    [("projects", projects), ("tasks", tasks)].map(|(kind, it)| (kind.to_owned(), it)).into()
}

async fn who_is_deleted_is_erased_and_nobody_else(on: Engine) {
    let mut scene = Scene::new(on).await;
    fill(&mut scene.ann).await;
    fill(&mut scene.bob).await;
    let of_bob = titles(&mut scene.bob).await;
    let second = TaskServer::start_at(&scene.auth, scene.server.place(), []).await;
    let mut here = Watch::begin(&mut scene.ann, "", true).await;
    let mut there = Watch::begin(&mut scene.ann.at(second.channel()), "", true).await;
    here.told().await;
    there.told().await;

    let erasure = delete(&scene.auth, &scene.ann).await;
    let revoked = (Code::Unauthenticated, "TOKEN_REVOKED".to_owned());
    assert_eq!([here.end().await, there.end().await], [revoked.clone(), revoked]);
    assert_eq!(deleted(&scene.auth, &erasure).await, counts(1, 9));
    let list = scene.ann.tasks.list_tasks(ListTasksRequest::default()).await;
    assert_eq!(refused(list).kind(), (Code::Unauthenticated, "TOKEN_REVOKED"));
    assert_eq!(titles(&mut scene.bob).await, of_bob);
    // Somebody else may have the name.
    let mut other = scene.server.register(&scene.auth, "ann").await;
    create_task(&mut other, titled("new")).await;
    assert_eq!(titles(&mut other).await, ["new"]);
}

async fn an_erasure_waits_for_the_service_however_long_that_is_away(on: Engine) {
    let mut scene = Scene::new(on).await;
    fill(&mut scene.ann).await;
    let place = scene.server.stop().await;
    let mut erasures = Vec::new();
    for person in [&scene.ann, &scene.bob] {
        erasures.push(delete(&scene.auth, person).await);
    }
    for id in &erasures {
        assert!(!progress(&scene.auth, id).await.0);
    }
    let server = TaskServer::start_at(&scene.auth, place, []).await;
    assert_eq!(deleted(&scene.auth, &erasures[0]).await, counts(1, 9));
    assert_eq!(deleted(&scene.auth, &erasures[1]).await, counts(0, 0));
    // It goes on from there.
    let server = server.restart().await;
    let cleo = server.register(&scene.auth, "cleo").await;
    let erasure = delete(&scene.auth, &cleo).await;
    assert_eq!(deleted(&scene.auth, &erasure).await, counts(0, 0));
}

async fn a_write_that_waits_while_the_fence_goes_up_is_refused_as_a_revoked_token_is(on: Engine) {
    let mut scene = Scene::new(on).await;
    create_task(&mut scene.ann, titled("before")).await;
    let mut waiting = JoinSet::new();
    let owner = Uuid::parse_str(&scene.ann.user.id).unwrap();
    let settings = Settings::new("test", &scene.server.place().url).unwrap();
    on_engine!(settings, DB => {
        let database = Database::<DB>::open(&settings, &MIGRATIONS).await.unwrap();
        let mut writer = database.connect_writer().await.unwrap();
        let begin = <DB as shared::database::Engine>::BEGIN;
        Statement::<DB>::new(begin).all(&mut writer).await.unwrap();
        let fence = "update owners set fence_time = 1 where owner_id = $1";
        Statement::<DB>::new(fence).bind(owner).all(&mut writer).await.unwrap();
        // The door has taken some of these in, and the others wait for it.
        until("writes wait", async || {
            let mut tasks = scene.ann.tasks.clone();
            waiting.spawn(async move {
                let task = Some(titled("in flight"));
                tasks.create_task(CreateTaskRequest { task, ..Default::default() }).await
            });
            scene.server.metric("db_write_queue_length").await > 0.0
        })
        .await;
        Statement::<DB>::new("commit").all(&mut writer).await.unwrap();
    });
    let refresh_token = scene.bob.refresh_token.clone();
    scene.auth.anonymous().auth.logout(LogoutRequest { refresh_token }).await.unwrap();
    let tasks = scene.bob.tasks.clone();
    let list = async || tasks.clone().list_tasks(ListTasksRequest::default()).await;
    until("the token is revoked", async || list().await.is_err()).await;
    let revoked = refused(list().await);
    for answer in waiting.join_all().await {
        assert_eq!(refused(answer), revoked);
    }
    assert_eq!(titles(&mut scene.ann).await, ["before"]);
}
