//! A user who is deleted, through both services: what goes where, and what happens while one is away.

mod fenced;
mod late;
mod notes;

use e2e::{
    AuthServer, Engine, PASSWORD, Person, Place, TaskServer, add_service, on_every_engine,
    on_postgres, refused, until,
};
use shared::{
    database::{Database, Settings, Statement},
    on_engine,
    pb::{
        auth::{
            DeleteCurrentUserRequest, Erasure, ErasureConfirmation, ErasureConfirmationState,
            ErasureState, GetErasureRequest,
        },
        task::{
            CreateProjectRequest, CreateTaskRequest, DeleteTaskRequest, ListTasksRequest, Project,
            Task, WatchTasksRequest,
        },
    },
};
use tonic::Code;
use uuid::Uuid;

on_every_engine!(
    everything_of_a_user_goes_and_everybody_can_see_that,
    a_service_that_is_away_erases_when_it_is_back,
    a_service_that_never_confirms_is_seen_and_can_be_removed,
);

on_postgres!(servers_on_one_database_erase_together);

const REVOKED: (Code, &str) = (Code::Unauthenticated, "TOKEN_REVOKED");

/// The pair, and two people with something in both.
struct Scene {
    auth: AuthServer,
    task: TaskServer,
    ann: Person,
    bob: Person,
}

impl Scene {
    async fn new(on: Engine) -> Self {
        let auth = AuthServer::start_on(on).await;
        let task = TaskServer::start(&auth).await;
        Self::of(auth, task).await
    }

    async fn of(auth: AuthServer, task: TaskServer) -> Self {
        let [ann, bob] = [task.register(&auth, "ann").await, task.register(&auth, "bob").await];
        for person in [&ann, &bob] {
            fill(person.clone()).await;
        }
        Self { auth, task, ann, bob }
    }
}

async fn erasure(auth: &AuthServer, id: &str) -> Erasure {
    let request = GetErasureRequest { id: id.to_owned() };
    let answer = auth.anonymous().auth.get_erasure(request).await;
    answer.unwrap().into_inner().erasure.unwrap()
}

/// The parts of an erasure, as soon as it is complete.
async fn complete(auth: &AuthServer, id: &str) -> Vec<ErasureConfirmation> {
    let is_complete = async || erasure(auth, id).await.state() == ErasureState::Complete;
    until("the erasure is complete", is_complete).await;
    erasure(auth, id).await.confirmations
}

/// A project with three tasks, one of them deleted.
async fn fill(mut person: Person) {
    let (name, id) = (person.name, || Uuid::new_v4().to_string());
    let project = Some(Project { title: format!("{name}'s home"), ..Project::default() });
    let request = CreateProjectRequest { project, request_id: id() };
    let project = person.projects.create_project(request).await.unwrap().into_inner();
    let project_id = project.project.unwrap().id;
    for number in 0..3 {
        let title = format!("{name}'s task {number}");
        let task = Some(Task { title, project_id: project_id.clone(), ..Task::default() });
        let request = CreateTaskRequest { task, request_id: id() };
        let task = person.tasks.create_task(request).await.unwrap().into_inner().task.unwrap();
        if number == 0 {
            let request = DeleteTaskRequest { id: task.id, ..Default::default() };
            person.tasks.delete_task(request).await.unwrap();
        }
    }
}

/// Deletes somebody; the id of the erasure.
async fn delete(person: &Person, auth: &AuthServer) -> String {
    let id = Uuid::new_v4().to_string();
    let current_password = PASSWORD.to_owned();
    let request = DeleteCurrentUserRequest { current_password, erasure_id: id.clone() };
    let mut there = person.at(auth.channel());
    let answer = there.users.delete_current_user(request).await.unwrap().into_inner();
    let begun = answer.erasure.unwrap();
    assert_eq!((begun.state(), &begun.id), (ErasureState::Pending, &id));
    id
}

async fn tasks(person: &Person) -> Vec<Task> {
    let answer = person.clone().tasks.list_tasks(ListTasksRequest::default()).await;
    answer.unwrap().into_inner().tasks
}

/// The services that have parts in an erasure.
fn names(parts: &[ErasureConfirmation]) -> Vec<&str> {
    parts.iter().map(|part| part.service.as_str()).collect()
}

/// What a service has deleted, by kind.
fn counts(part: &ErasureConfirmation) -> Vec<(&str, i64)> {
    assert_eq!(part.state(), ErasureConfirmationState::Confirmed, "{part:?}");
    part.deleted_counts.iter().map(|(kind, count)| (kind.as_str(), *count)).collect()
}

async fn everything_of_a_user_goes_and_everybody_can_see_that(on: Engine) {
    let scene = Scene::new(on).await;
    let (ann, before) = (&scene.ann, tasks(&scene.bob).await);
    let request = WatchTasksRequest { follow: true, ..Default::default() };
    let mut watch = ann.clone().tasks.watch_tasks(request).await.unwrap().into_inner();
    let id = delete(ann, &scene.auth).await;
    let end = loop {
        match watch.message().await {
            Ok(message) => assert!(message.is_some(), "it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(refused::<()>(Err(end)).kind(), REVOKED);

    let parts = complete(&scene.auth, &id).await;
    assert_eq!(names(&parts), ["auth-service", "task-service"]);
    assert_eq!(counts(&parts[0]), [("accounts", 1), ("sessions", 1)]);
    assert_eq!(counts(&parts[1]), [("projects", 1), ("tasks", 3)]);
    let task = Some(Task { title: "late".to_owned(), ..Task::default() });
    let request = CreateTaskRequest { task, ..Default::default() };
    assert_eq!(refused(ann.clone().tasks.create_task(request).await).kind(), REVOKED);
    assert_eq!(tasks(&scene.bob).await, before);
    if on == Engine::Sqlite {
        for place in [&scene.auth.place, &scene.task.place] {
            let files = place.bytes();
            let holds = |text: &str| files.windows(text.len()).any(|it| it == text.as_bytes());
            assert!(holds("bob") && !holds("ann's") && !holds("ann@example"), "{}", place.url);
        }
    }
    // The name is free: it is somebody else who has it next.
    let other = scene.task.register(&scene.auth, "ann").await;
    assert_ne!(other.user.id, ann.user.id);
    assert_eq!(tasks(&other).await, []);
}

async fn a_service_that_is_away_erases_when_it_is_back(on: Engine) {
    let Scene { auth, task, ann, bob } = Scene::new(on).await;
    let place = task.stop().await;
    let backup = if on == Engine::Sqlite { Some(place.backup().await) } else { None };
    let id = delete(&ann, &auth).await;
    let list = auth.operate("erasures list").await.unwrap();
    assert!(list.starts_with(&id) && list.trim_end().ends_with("task-service"), "{list}");
    let task = TaskServer::start_at(&auth, place, []).await;
    let bob = bob.at(task.channel());
    let scene = Scene { auth, task, ann, bob };
    assert_eq!(counts(&complete(&scene.auth, &id).await[1]), [("projects", 1), ("tasks", 3)]);
    assert_eq!(tasks(&scene.bob).await.len(), 2);
    assert_eq!(scene.auth.operate("erasures list").await.unwrap(), "");

    // Data that are restored from a backup go again.
    if let Some(backup) = backup {
        let place = scene.task.stop().await;
        place.restore(&backup);
        assert_eq!(rows(&place, &scene.ann).await, 4);
        let task = TaskServer::start_at(&scene.auth, place, []).await;
        until("they go", async || rows(&task.place(), &scene.ann).await == 0).await;
        assert_eq!(tasks(&scene.bob.at(task.channel())).await.len(), 2);
    }
}

/// How many projects and tasks somebody has in a database of task-service.
async fn rows(place: &Place, person: &Person) -> usize {
    let settings = Settings::new("test", &place.url).unwrap();
    on_engine!(settings, DB => {
        let database = Database::<DB>::open(&settings, &task_service::store::MIGRATIONS).await;
        let select = "select id from tasks where owner_id = $1
                      union all select id from projects where owner_id = $1";
        let owner: Uuid = person.user.id.parse().unwrap();
        database.unwrap().read(Statement::new(select).bind(owner)).await.unwrap().len()
    })
}

async fn a_service_that_never_confirms_is_seen_and_can_be_removed(on: Engine) {
    let scene = Scene::new(on).await;
    add_service(&scene.auth.config(), "notes").await;
    let id = delete(&scene.ann, &scene.auth).await;
    let missing = async || {
        let parts = erasure(&scene.auth, &id).await.confirmations;
        let is_missing =
            |it: &&ErasureConfirmation| it.state() != ErasureConfirmationState::Confirmed;
        parts.iter().filter(is_missing).map(|it| it.service.clone()).collect::<Vec<_>>()
    };
    until("all others have confirmed", async || missing().await == ["notes"]).await;
    until("it is seen", async || scene.auth.metric("erasures_pending").await >= 1.0).await;
    let list = scene.auth.operate("erasures list").await.unwrap();
    assert!(list.trim_end().ends_with("PENDING notes"), "{list}");

    scene.auth.operate("services remove notes").await.unwrap();
    let parts = complete(&scene.auth, &id).await;
    assert_eq!(names(&parts), ["auth-service", "notes", "task-service"]);
    assert_eq!(parts[1].state(), ErasureConfirmationState::Removed);
    assert_eq!(scene.auth.operate("erasures list").await.unwrap(), "");
    let all = scene.auth.operate("erasures list --all").await.unwrap();
    assert!(all.starts_with(&id) && all.contains(" COMPLETE "), "{all}");
}

async fn servers_on_one_database_erase_together() {
    let scene = Scene::new(Engine::Postgres).await;
    let other = TaskServer::start_at(&scene.auth, scene.task.place(), []).await;
    let id = delete(&scene.ann, &scene.auth).await;
    assert_eq!(counts(&complete(&scene.auth, &id).await[1]), [("projects", 1), ("tasks", 3)]);
    assert_eq!(rows(&scene.task.place(), &scene.ann).await, 0);
    assert_eq!(tasks(&scene.bob.at(other.channel())).await.len(), 2);
}
