//! Ownership: the same ids under two owners, and each owner sees and changes their own.

use shared::{
    database::{Database, Engine, Statement},
    trust::Caller,
};
use task_service::{
    error::{Error, Refusal},
    projects::{Project, ProjectChange},
    store::MIGRATIONS,
    tasks::{Task, TaskChange, TaskFilter, TaskOrder},
};

use super::{ALL, Scene, new_project, new_task, on_every_engine, refusal, task_in, title};

on_every_engine!(
    Scene:
    what_is_foreign_is_not_there,
    a_twin_is_never_touched,
    a_broken_twin_is_never_read,
);

async fn what_is_foreign_is_not_there<DB: Engine>(scene: Scene<DB>) {
    let (store, bob) = (&scene.store, &scene.bob);
    let project = scene.project(&scene.ann, "ann's").await;
    let task = scene.task(&scene.ann, task_in(&project, "ann's")).await;

    assert_eq!(refusal(store.get_project(bob, project.id).await), Refusal::ProjectNotFound);
    let change = store.update_project(bob, None, project.id, None, ProjectChange::default()).await;
    assert_eq!(refusal(change), Refusal::ProjectNotFound);
    let deletion = store.delete_project(bob, None, project.id, None, true).await;
    assert_eq!(refusal(deletion), Refusal::ProjectNotFound);
    assert_eq!(store.list_projects(bob, &ALL).await.unwrap().rows, []);

    assert_eq!(refusal(store.get_task(bob, task.id).await), Refusal::TaskNotFound);
    let change = store.update_task(bob, None, task.id, None, TaskChange::default()).await;
    assert_eq!(refusal(change), Refusal::TaskNotFound);
    assert_eq!(refusal(store.delete_task(bob, None, task.id, None).await), Refusal::TaskNotFound);
    for filter in filters(&project) {
        assert_eq!(store.list_tasks(bob, &filter, &ALL).await.unwrap().rows, []);
    }

    assert_eq!(store.get_project(&scene.ann, project.id).await.unwrap(), project);
    assert_eq!(store.get_task(&scene.ann, task.id).await.unwrap(), task);
}

fn filters(project: &Project) -> Vec<TaskFilter> {
    let orders =
        [TaskOrder::CreateTime, TaskOrder::UpdateTime, TaskOrder::DueTime, TaskOrder::Priority];
    let filter = |project_id, order| TaskFilter { project_id, order, ..TaskFilter::default() };
    orders
        .into_iter()
        .flat_map(|order| [filter(None, order), filter(Some(project.id), order)])
        .collect()
}

/// Everything that an owner has.
async fn everything<DB: Engine>(scene: &Scene<DB>, caller: &Caller) -> (Vec<Project>, Vec<Task>) {
    let projects = scene.store.list_projects(caller, &ALL).await.unwrap().rows;
    let mut tasks = Vec::new();
    let listed = scene.store.list_tasks(caller, &TaskFilter::default(), &ALL).await.unwrap();
    for task in listed.rows {
        let read = scene.store.get_task(caller, task.id).await.unwrap();
        assert_eq!(read, task);
        tasks.push(read);
    }
    (projects, tasks)
}

/// Gives bob a row of the same id for each of ann's, by hand: no call can do that. With the owner
/// missing from any one statement, ann would read or change what is bob's.
async fn a_twin_is_never_touched<DB: Engine>(scene: Scene<DB>) {
    let (store, ann, bob) = (&scene.store, &scene.ann, &scene.bob);
    let (kept, forced) = (scene.project(ann, "ann's").await, scene.project(ann, "ann's").await);
    let empty = scene.store.create_project(ann, None, new_project("ann's")).await.unwrap();
    let inside = scene.task(ann, task_in(&kept, "ann's")).await;
    let mut gone = Vec::new();
    for _ in 0..5 {
        gone.push(scene.task(ann, task_in(&forced, "ann's")).await.id);
    }
    let alone = scene.task(ann, new_task("ann's")).await;
    twin(&scene).await;
    let of_bob = everything(&scene, bob).await;
    assert_eq!((of_bob.0.len(), of_bob.1.len()), (3, 7));
    assert!(of_bob.1.iter().all(|task| task.title == title("bob's")));
    let of_ann = everything(&scene, ann).await;
    assert!(of_ann.0.iter().all(|project| project.title == title("ann's")));
    assert!(of_ann.1.iter().all(|task| task.title == title("ann's")));
    for filter in filters(&kept) {
        for (caller, name) in [(ann, "ann's"), (bob, "bob's")] {
            let tasks = store.list_tasks(caller, &filter, &ALL).await.unwrap().rows;
            assert!(!tasks.is_empty() && tasks.iter().all(|task| task.title == title(name)));
        }
    }

    let rename = TaskChange { title: Some(title("changed")), ..TaskChange::default() };
    store.update_task(ann, None, inside.id, None, rename).await.unwrap();
    let rename = ProjectChange { title: Some(title("changed")), description: None };
    store.update_project(ann, None, kept.id, None, rename).await.unwrap();
    store.delete_task(ann, None, alone.id, None).await.unwrap();
    store.delete_project(ann, None, empty.id, None, false).await.unwrap();
    store.delete_project(ann, None, forced.id, None, true).await.unwrap();
    store.delete_task(ann, None, inside.id, None).await.unwrap();
    store.delete_project(ann, None, kept.id, None, false).await.unwrap();

    assert_eq!(everything(&scene, ann).await, (vec![], vec![]));
    assert_eq!(everything(&scene, bob).await, of_bob);
    let next = scene.task(ann, new_task("next")).await;
    for id in gone {
        let gone = store.get_task(ann, id).await.unwrap();
        assert!(gone.revision < next.revision, "ann's revisions count ann's tasks alone");
    }
}

/// Breaks bob's rows: whatever reads one of them fails.
async fn a_broken_twin_is_never_read<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let project = scene.project(ann, "ann's").await;
    let task = scene.task(ann, task_in(&project, "ann's")).await;
    twin(&scene).await;
    scene
        .by_hand(
            &scene.bob,
            "update projects set create_time = 9223372036854775807 where owner_id = $1",
        )
        .await;
    scene.by_hand(&scene.bob, "update tasks set status = 99 where owner_id = $1").await;
    assert!(matches!(store.get_task(&scene.bob, task.id).await, Err(Error::Lookup(_))));
    assert!(matches!(store.get_project(&scene.bob, project.id).await, Err(Error::Lookup(_))));

    store.update_task(ann, None, task.id, None, TaskChange::default()).await.unwrap();
    store.update_project(ann, None, project.id, None, ProjectChange::default()).await.unwrap();
    scene.task(ann, task_in(&project, "another")).await;
    store.delete_task(ann, None, task.id, None).await.unwrap();
    assert_eq!(everything(&scene, ann).await.1.len(), 1);
    store.delete_project(ann, None, project.id, None, true).await.unwrap();
}

/// Gives bob a row of the same id for each of ann's.
pub(super) async fn twin<DB: Engine>(scene: &Scene<DB>) {
    let database = Database::<DB>::open(&scene.settings, &MIGRATIONS).await.unwrap();
    let mut connection = database.connect_writer().await.unwrap();
    for copy in [
        "insert into owners (owner_id, revision, projects, tasks, forgotten_revision)
         select $1, revision, projects, tasks, forgotten_revision from owners where owner_id = $2",
        "insert into projects (owner_id, id, title, description, create_time, update_time, revision)
         select $1, id, 'bob''s', description, create_time, update_time, revision
         from projects where owner_id = $2",
        "insert into tasks (owner_id, id, project_id, title, description, status, priority,
             due_time, complete_time, create_time, update_time, delete_time, revision, title_key,
             deleted)
         select $1, id, project_id, 'bob''s', description, status, priority,
             due_time, complete_time, create_time, update_time, delete_time, revision, 'bob''s',
             deleted
         from tasks where owner_id = $2",
        "insert into deleted_projects (owner_id, id, delete_time, revision)
         select $1, id, delete_time, revision from deleted_projects where owner_id = $2",
        "insert into answers (owner_id, method, request_id, digest, answer, expire_time)
         select $1, method, request_id, digest, answer, expire_time
         from answers where owner_id = $2",
        "insert into unfolded_titles (owner_id, id)
         select $1, id from unfolded_titles where owner_id = $2",
    ] {
        let statement = Statement::<DB>::new(copy).bind(scene.bob.user_id());
        statement.bind(scene.ann.user_id()).all(&mut connection).await.unwrap();
    }
}
