//! Users of whose deletion a service hears late, or once more.

use e2e::{
    AuthServer, Engine, Person, TaskServer, on_every_engine, operate, refused,
    rows::{counted, naming},
    until,
    wire::{State, Wire},
};
use shared::pb::{
    auth::{ErasureState, GetErasureRequest},
    task::{CreateTaskRequest, CreateTaskResponse, Task},
};
use tonic::{Code, Response, Status};

use super::{REVOKED, Scene, complete, counts, delete, erasure, fill, tasks};

on_every_engine!(what_is_written_before_a_service_hears_of_the_deletion_goes_too);

/// The pair with a wire between them, and two people with something in both.
async fn wired(on: Engine) -> (Scene, Wire) {
    let auth = AuthServer::start_on(on).await;
    let wire = Wire::to(&auth.url()).await;
    let task = TaskServer::start_with(&auth, [("TASK_AUTH_URL", wire.url().as_str())]).await;
    (Scene::of(auth, task).await, wire)
}

pub(super) async fn create(person: &Person) -> Result<Response<CreateTaskResponse>, Status> {
    let task = Some(Task { title: format!("{}'s last", person.name), ..Task::default() });
    let request = CreateTaskRequest { task, ..Default::default() };
    person.clone().tasks.create_task(request).await
}

async fn what_is_written_before_a_service_hears_of_the_deletion_goes_too(on: Engine) {
    let (scene, wire) = wired(on).await;
    let before = tasks(&scene.bob).await;
    wire.set(State::Cut);
    let id = delete(&scene.ann, &scene.auth).await;
    // The price of going on without auth-service: the token is still taken for good.
    create(&scene.ann).await.unwrap();
    assert_eq!(erasure(&scene.auth, &id).await.state(), ErasureState::Pending);
    wire.set(State::Whole);
    let parts = complete(&scene.auth, &id).await;
    assert_eq!(counts(&parts[1]), [("projects", 1), ("tasks", 4)]);
    assert_eq!(refused(create(&scene.ann).await).kind(), REVOKED);
    let rows = scene.task.place.rows().await;
    assert_eq!(counted(&naming(&rows, &[&scene.ann.user.id])), [("owners", 1)]);
    assert_eq!(tasks(&scene.bob).await, before);
}

// On PostgreSQL a backup is no matter of a file; what it does to services is the same.
#[tokio::test]
async fn after_a_restore_of_auth_service_everybody_is_told_of_again() {
    let (scene, wire) = wired(Engine::Sqlite).await;
    wire.set(State::Cut);
    let id = delete(&scene.ann, &scene.auth).await;
    let backup = scene.auth.place.backup().await;
    wire.set(State::Whole);
    complete(&scene.auth, &id).await;
    let forgotten = delete(&scene.bob, &scene.auth).await;
    complete(&scene.auth, &forgotten).await;

    wire.set(State::Cut);
    let (config, clock) = (scene.auth.config(), scene.auth.clock.clone());
    let place = scene.auth.stop().await;
    place.restore(&backup);
    operate(&config, &clock, "trust reset", "").await.unwrap();
    let auth = AuthServer::start_at(place, clock, []).await;
    wire.lead_to(&auth.url());
    assert_eq!(erasure(&auth, &id).await.state(), ErasureState::Pending);
    wire.set(State::Whole);
    // Who had been deleted before is confirmed once more, although nothing is left of them.
    assert_eq!(counts(&complete(&auth, &id).await[1]), [("projects", 0), ("tasks", 0)]);

    // Who was deleted after the backup has an account again, and nothing else: task-service has not
    // forgotten that.
    let request = GetErasureRequest { id: forgotten };
    let unknown = auth.anonymous().auth.get_erasure(request).await;
    assert_eq!(refused(unknown).kind(), (Code::NotFound, "ERASURE_NOT_FOUND"));
    let bob = scene.bob.again(auth.channel()).await.at(scene.task.channel());
    until("task-service hears again", async || create(&bob).await.is_err()).await;
    assert_eq!(refused(create(&bob).await).kind(), REVOKED);
    assert_eq!(tasks(&bob).await, []);
    let kim = scene.task.register(&auth, "kim").await;
    fill(kim.clone()).await;
    for (person, expected) in [(&bob, [0, 0]), (&kim, [1, 3])] {
        let id = delete(person, &auth).await;
        let [projects, tasks] = expected;
        let parts = complete(&auth, &id).await;
        assert_eq!(counts(&parts[1]), [("projects", projects), ("tasks", tasks)]);
    }
}
