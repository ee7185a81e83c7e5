//! Writes that are asked for again: each is done once, and answered as the first time.

use std::{sync::Arc, time::Duration};

use shared::{
    database::Engine,
    fields::Violations,
    once::{KEPT, Once, Repeatable},
    pb::task::{
        CreateProjectRequest, CreateTaskRequest, DeleteProjectRequest, DeleteTaskRequest,
        UndeleteTaskRequest, UpdateProjectRequest, UpdateTaskRequest,
    },
    trust::Caller,
};
use task_service::{
    error::Refusal,
    etag::Etag,
    housekeeping,
    projects::ProjectChange,
    tasks::{TaskChange, TaskFilter},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{ALL, Scene, new_project, new_task, on_every_engine, refusal, task_in, title};

on_every_engine!(
    Scene:
    every_write_is_done_once_and_answered_alike,
    another_request_with_the_same_id_is_refused_and_changes_nothing,
    an_id_is_of_its_owner_and_of_its_rpc,
    of_sixty_four_at_once_one_is_done,
    a_refusal_is_not_kept,
    an_answer_is_as_it_was_whatever_has_become_of_it,
    an_answer_outlives_the_process,
    an_answer_is_forgotten_after_a_day,
    an_answer_that_is_damaged_is_an_error,
);

/// What this request is, once, for this caller.
pub(super) async fn once<DB: Engine, M: Repeatable>(
    scene: &Scene<DB>,
    by: &Caller,
    mut request: M,
) -> Option<Once> {
    if request.request_id_mut().is_empty() {
        *request.request_id_mut() = Uuid::new_v4().to_string();
    }
    let keys = scene.store.vault().keys().await.unwrap();
    keys.once(by, &request, &mut Violations::new()).unwrap()
}

fn create(id: Uuid, title: &str) -> CreateTaskRequest {
    let task = Some(crate::api::titled(title));
    CreateTaskRequest { task, request_id: id.to_string() }
}

/// How many tasks and projects somebody has.
async fn counts<DB: Engine>(scene: &Scene<DB>, by: &Caller) -> (usize, usize) {
    let tasks = scene.store.list_tasks(by, &TaskFilter::default(), &ALL).await.unwrap();
    (tasks.rows.len(), scene.store.list_projects(by, &ALL).await.unwrap().rows.len())
}

async fn every_write_is_done_once_and_answered_alike<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    macro_rules! twice {
        ($request:ty, |$once:ident| $call:expr) => {{
            let once = once(&scene, ann, <$request>::default()).await;
            let $once = once.clone();
            let first = $call.await.unwrap();
            scene.later();
            let $once = once;
            assert_eq!($call.await.unwrap(), first, stringify!($request));
            first
        }};
    }
    let project =
        twice!(CreateProjectRequest, |it| store.create_project(ann, it, new_project("p")));
    let change = ProjectChange { title: Some(title("q")), ..ProjectChange::default() };
    let seen = Some(Etag::of(project.revision));
    twice!(UpdateProjectRequest, |it| store.update_project(
        ann,
        it,
        project.id,
        seen,
        change.clone()
    ));
    let task = twice!(CreateTaskRequest, |it| store.create_task(ann, it, task_in(&project, "t")));
    let change = TaskChange { title: Some(title("u")), ..TaskChange::default() };
    let seen = Some(Etag::of(task.revision));
    twice!(UpdateTaskRequest, |it| store.update_task(ann, it, task.id, seen, change.clone()));
    twice!(DeleteTaskRequest, |it| store.delete_task(ann, it, task.id, None));
    let back = twice!(UndeleteTaskRequest, |it| store.undelete_task(ann, it, task.id, None));
    assert_eq!(counts(&scene, ann).await, (1, 1));
    assert_eq!(store.get_task(ann, task.id).await.unwrap(), back);
    twice!(DeleteProjectRequest, |it| store.delete_project(ann, it, project.id, None, true));
    assert_eq!(counts(&scene, ann).await, (0, 0));
}

async fn another_request_with_the_same_id_is_refused_and_changes_nothing<DB: Engine>(
    scene: Scene<DB>,
) {
    let id = Uuid::new_v4();
    let first = once(&scene, &scene.ann, create(id, "one")).await;
    let task = scene.store.create_task(&scene.ann, first.clone(), new_task("one")).await.unwrap();
    let other = once(&scene, &scene.ann, create(id, "two")).await;
    let refused = scene.store.create_task(&scene.ann, other, new_task("two")).await;
    assert_eq!(refusal(refused), Refusal::RequestIdReused);
    assert_eq!(counts(&scene, &scene.ann).await, (1, 0));
    let again = scene.store.create_task(&scene.ann, first, new_task("one")).await;
    assert_eq!(again.unwrap(), task, "the first is still known");
}

async fn an_id_is_of_its_owner_and_of_its_rpc<DB: Engine>(scene: Scene<DB>) {
    let id = Uuid::new_v4();
    let mut made = Vec::new();
    for (by, name) in [(&scene.ann, "ann's"), (&scene.bob, "bob's")] {
        let once = once(&scene, by, create(id, name)).await;
        made.push(scene.store.create_task(by, once, new_task(name)).await.unwrap());
    }
    assert_ne!(made[0].id, made[1].id);
    let request = DeleteTaskRequest { request_id: id.to_string(), ..Default::default() };
    let delete = once(&scene, &scene.ann, request).await;
    scene.store.delete_task(&scene.ann, delete, made[0].id, None).await.unwrap();
    assert_eq!(counts(&scene, &scene.ann).await, (0, 0));
    assert_eq!(counts(&scene, &scene.bob).await, (1, 0));
}

async fn of_sixty_four_at_once_one_is_done<DB: Engine>(scene: Scene<DB>) {
    let project = scene.project(&scene.ann, "p").await;
    let second = Arc::new(scene.second_store().await);
    let create = once(&scene, &scene.ann, create(Uuid::new_v4(), "t")).await;
    let delete = once(&scene, &scene.ann, DeleteProjectRequest::default()).await;
    let mut writes = JoinSet::new();
    for number in 0..64 {
        let store = Arc::clone(if number % 2 == 0 { &scene.store } else { &second });
        let (ann, create, delete) = (scene.ann.clone(), create.clone(), delete.clone());
        let id = project.id;
        writes.spawn(async move {
            let task = store.create_task(&ann, create, new_task("t")).await.unwrap();
            store.delete_project(&ann, delete, id, None, false).await.unwrap();
            task
        });
    }
    let answers = writes.join_all().await;
    assert!(answers.iter().all(|task| *task == answers[0]));
    assert_eq!(counts(&scene, &scene.ann).await, (1, 0));
}

async fn a_refusal_is_not_kept<DB: Engine>(scene: Scene<DB>) {
    let project = scene.project(&scene.ann, "p").await;
    let task = scene.task(&scene.ann, task_in(&project, "t")).await;
    let delete = once(&scene, &scene.ann, DeleteProjectRequest::default()).await;
    let delete = || scene.store.delete_project(&scene.ann, delete.clone(), project.id, None, false);
    assert_eq!(refusal(delete().await), Refusal::ProjectNotEmpty);
    scene.store.delete_task(&scene.ann, None, task.id, None).await.unwrap();
    delete().await.unwrap();
    delete().await.unwrap();
}

async fn an_answer_is_as_it_was_whatever_has_become_of_it<DB: Engine>(scene: Scene<DB>) {
    let create = once(&scene, &scene.ann, create(Uuid::new_v4(), "t")).await;
    let create = || scene.store.create_task(&scene.ann, create.clone(), new_task("t"));
    let task = create().await.unwrap();
    scene.later();
    let change = TaskChange { title: Some(title("changed")), ..TaskChange::default() };
    scene.store.update_task(&scene.ann, None, task.id, None, change).await.unwrap();
    assert_eq!(create().await.unwrap(), task);
    scene.store.delete_task(&scene.ann, None, task.id, None).await.unwrap();
    assert_eq!(create().await.unwrap(), task);
    assert_eq!(counts(&scene, &scene.ann).await, (0, 0));
}

async fn an_answer_outlives_the_process<DB: Engine>(scene: Scene<DB>) {
    let create = once(&scene, &scene.ann, create(Uuid::new_v4(), "t")).await;
    let task = scene.store.create_task(&scene.ann, create.clone(), new_task("t")).await.unwrap();
    let next = scene.second_store().await;
    assert_eq!(next.create_task(&scene.ann, create, new_task("t")).await.unwrap(), task);
}

async fn an_answer_is_forgotten_after_a_day<DB: Engine>(scene: Scene<DB>) {
    let month = Duration::from_hours(720);
    let create = once(&scene, &scene.ann, create(Uuid::new_v4(), "t")).await;
    let create = || scene.store.create_task(&scene.ann, create.clone(), new_task("t"));
    let task = create().await.unwrap();
    for (advance, is_known) in
        [(KEPT.saturating_sub(Duration::from_secs(1)), true), (Duration::from_secs(1), false)]
    {
        scene.clock.advance(advance);
        housekeeping::sweep(&scene.store.vault(), month, &scene.clock).await.unwrap();
        assert_eq!(create().await.unwrap() == task, is_known);
    }
    assert_eq!(counts(&scene, &scene.ann).await, (2, 0));
}

async fn an_answer_that_is_damaged_is_an_error<DB: Engine>(scene: Scene<DB>) {
    let create = once(&scene, &scene.ann, create(Uuid::new_v4(), "t")).await;
    let create = || scene.store.create_task(&scene.ann, create.clone(), new_task("t"));
    create().await.unwrap();
    scene
        .by_hand(&scene.ann, "update answers set answer = '{\"task\": 1}' where owner_id = $1")
        .await;
    let error = create().await.unwrap_err().to_string();
    assert!(error.contains("answers"), "{error}");
    assert_eq!(counts(&scene, &scene.ann).await, (1, 0));
}
