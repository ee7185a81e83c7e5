//! Ownership: the same ids under two owners, and each owner sees and changes their own.

use shared::{
    database::{Database, Engine, Statement},
    trust::Caller,
};
use task_service::{
    error::Refusal,
    projects::{Project, ProjectChange},
    store::MIGRATIONS,
    tasks::{Task, TaskChange, TaskFilter, TaskOrder},
};

use super::{Scene, new_project, new_task, on_every_engine, refusal, task_in, title};

on_every_engine!(what_is_foreign_is_not_there, a_twin_is_never_touched);

async fn what_is_foreign_is_not_there<DB: Engine>(scene: Scene<DB>) {
    let (store, bob) = (&scene.store, &scene.bob);
    let project = scene.project(&scene.ann, "ann's").await;
    let task = scene.task(&scene.ann, task_in(&project, "ann's")).await;

    assert_eq!(refusal(store.get_project(bob, project.id).await), Refusal::ProjectNotFound);
    let change = store.update_project(bob, project.id, None, ProjectChange::default()).await;
    assert_eq!(refusal(change), Refusal::ProjectNotFound);
    let deletion = store.delete_project(bob, project.id, None, true).await;
    assert_eq!(refusal(deletion), Refusal::ProjectNotFound);
    assert_eq!(store.list_projects(bob, None, 10).await.unwrap(), []);

    assert_eq!(refusal(store.get_task(bob, task.id).await), Refusal::TaskNotFound);
    let change = store.update_task(bob, task.id, None, TaskChange::default()).await;
    assert_eq!(refusal(change), Refusal::TaskNotFound);
    assert_eq!(refusal(store.delete_task(bob, task.id, None).await), Refusal::TaskNotFound);
    for filter in filters(&project) {
        assert_eq!(store.list_tasks(bob, &filter, None, 10).await.unwrap(), []);
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
    let projects = scene.store.list_projects(caller, None, 100).await.unwrap();
    let mut tasks = Vec::new();
    for task in scene.store.list_tasks(caller, &TaskFilter::default(), None, 100).await.unwrap() {
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
    let empty = scene.store.create_project(ann, new_project("ann's")).await.unwrap();
    let inside = scene.task(ann, task_in(&kept, "ann's")).await;
    scene.task(ann, task_in(&forced, "ann's")).await;
    let alone = scene.task(ann, new_task("ann's")).await;
    twin(&scene).await;
    let of_bob = everything(&scene, bob).await;
    assert_eq!((of_bob.0.len(), of_bob.1.len()), (3, 3));
    assert!(of_bob.1.iter().all(|task| task.title == title("bob's")));
    let of_ann = everything(&scene, ann).await;
    assert!(of_ann.0.iter().all(|project| project.title == title("ann's")));
    assert!(of_ann.1.iter().all(|task| task.title == title("ann's")));
    for filter in filters(&kept) {
        for (caller, name) in [(ann, "ann's"), (bob, "bob's")] {
            let tasks = store.list_tasks(caller, &filter, None, 100).await.unwrap();
            assert!(!tasks.is_empty() && tasks.iter().all(|task| task.title == title(name)));
        }
    }

    let rename = TaskChange { title: Some(title("changed")), ..TaskChange::default() };
    store.update_task(ann, inside.id, None, rename).await.unwrap();
    let rename = ProjectChange { title: Some(title("changed")), description: None };
    store.update_project(ann, kept.id, None, rename).await.unwrap();
    store.delete_task(ann, alone.id, None).await.unwrap();
    store.delete_project(ann, empty.id, None, false).await.unwrap();
    store.delete_project(ann, forced.id, None, true).await.unwrap();
    store.delete_task(ann, inside.id, None).await.unwrap();
    store.delete_project(ann, kept.id, None, false).await.unwrap();

    assert_eq!(everything(&scene, ann).await, (vec![], vec![]));
    assert_eq!(everything(&scene, bob).await, of_bob);
}

async fn twin<DB: Engine>(scene: &Scene<DB>) {
    let database = Database::<DB>::open(&scene.url, &MIGRATIONS).await.unwrap();
    let mut connection = database.connect_writer().await.unwrap();
    for copy in [
        "insert into owners select $1, revision, projects, tasks from owners where owner_id = $2",
        "insert into projects (owner_id, id, title, description, create_time, update_time, revision)
         select $1, id, 'bob''s', description, create_time, update_time, revision
         from projects where owner_id = $2",
        "insert into tasks (owner_id, id, project_id, title, description, status, priority,
             due_time, complete_time, create_time, update_time, delete_time, revision)
         select $1, id, project_id, 'bob''s', description, status, priority,
             due_time, complete_time, create_time, update_time, delete_time, revision
         from tasks where owner_id = $2",
    ] {
        let statement = Statement::<DB>::new(copy).bind(scene.bob.user_id());
        statement.bind(scene.ann.user_id()).all(&mut connection).await.unwrap();
    }
}
