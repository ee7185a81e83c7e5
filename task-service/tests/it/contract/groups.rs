//! Many writes at once: they share transactions, and each gets what it would get alone.

use std::sync::Arc;

use shared::database::Engine;
use task_service::{
    error::{Error, Refusal},
    etag::Etag,
    tasks::{TaskChange, TaskFilter},
};
use tokio::task::JoinSet;

use super::{ALL, QUOTAS, Scene, new_project, new_task, on_every_engine, refusal, task_in, title};

on_every_engine!(
    Scene:
    writes_at_once_get_their_own_answers,
    a_quota_holds_against_writes_at_once,
    of_equal_etags_at_once_one_wins,
    no_task_ends_in_a_project_that_is_gone,
    two_processes_share_one_database,
);

async fn writes_at_once_get_their_own_answers<DB: Engine>(scene: Scene<DB>) {
    let mut writes = JoinSet::new();
    for number in 0..128 {
        let store = Arc::clone(&scene.store);
        let caller = if number % 2 == 0 { scene.ann.clone() } else { scene.bob.clone() };
        writes.spawn(async move {
            let task =
                store.create_task(&caller, None, new_task(&number.to_string())).await.unwrap();
            assert_eq!(task.title, title(&number.to_string()));
            assert_eq!(store.get_task(&caller, task.id).await.unwrap(), task, "its own write");
            (number % 2, task.revision)
        });
    }
    let mut revisions = writes.join_all().await;
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 128, "no revision is given twice to an owner");
}

async fn a_quota_holds_against_writes_at_once<DB: Engine>(scene: Scene<DB>) {
    let mut writes = JoinSet::new();
    for number in 0..64 {
        let (store, ann) = (Arc::clone(&scene.store), scene.ann.clone());
        writes.spawn(async move {
            match store.create_project(&ann, None, new_project(&number.to_string())).await {
                Ok(_) => 1,
                Err(Error::Refused(Refusal::QuotaExceeded)) => 0,
                Err(error) => panic!("{error}"),
            }
        });
    }
    assert_eq!(writes.join_all().await.into_iter().sum::<i64>(), QUOTAS.projects);
    let there = scene.store.list_projects(&scene.ann, &ALL).await.unwrap().rows.len();
    assert_eq!(there, usize::try_from(QUOTAS.projects).unwrap());
}

async fn of_equal_etags_at_once_one_wins<DB: Engine>(scene: Scene<DB>) {
    let task = scene.task(&scene.ann, new_task("one")).await;
    let seen = Some(Etag::of(task.revision));
    let mut writes = JoinSet::new();
    for number in 0..32 {
        let (store, ann, id) = (Arc::clone(&scene.store), scene.ann.clone(), task.id);
        writes.spawn(async move {
            let change =
                TaskChange { title: Some(title(&number.to_string())), ..TaskChange::default() };
            match store.update_task(&ann, None, id, seen, change).await {
                Ok(task) => Some(task),
                other => {
                    assert_eq!(refusal(other), Refusal::EtagMismatch);
                    None
                }
            }
        });
    }
    let winners: Vec<_> = writes.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(scene.store.get_task(&scene.ann, task.id).await.unwrap(), winners[0]);
}

async fn no_task_ends_in_a_project_that_is_gone<DB: Engine>(scene: Scene<DB>) {
    for round in 0..8 {
        let project = scene.project(&scene.ann, "p").await;
        let mut writes = JoinSet::new();
        for number in 0..16 {
            let (store, ann, project) =
                (Arc::clone(&scene.store), scene.ann.clone(), project.clone());
            writes.spawn(async move {
                if number == round {
                    let force = round % 2 == 0;
                    drop(store.delete_project(&ann, None, project.id, None, force).await);
                } else {
                    drop(store.create_task(&ann, None, task_in(&project, "t")).await);
                }
            });
        }
        writes.join_all().await;
        let filter = TaskFilter { project_id: Some(project.id), ..TaskFilter::default() };
        let tasks = scene.store.list_tasks(&scene.ann, &filter, &ALL).await.unwrap().rows;
        match scene.store.get_project(&scene.ann, project.id).await {
            Ok(_) => {
                drop(scene.store.delete_project(&scene.ann, None, project.id, None, true).await);
            }
            Err(_) => assert_eq!(tasks, [], "round {round}"),
        }
    }
}

async fn two_processes_share_one_database<DB: Engine>(scene: Scene<DB>) {
    let second = Arc::new(scene.second_store().await);
    let mut writes = JoinSet::new();
    for number in 0..64 {
        let store = Arc::clone(if number % 2 == 0 { &scene.store } else { &second });
        let caller = if number % 3 == 0 { scene.ann.clone() } else { scene.bob.clone() };
        writes.spawn(async move {
            let task =
                store.create_task(&caller, None, new_task(&number.to_string())).await.unwrap();
            (caller.user_id(), task.revision)
        });
    }
    let mut revisions = writes.join_all().await;
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 64, "no revision is given twice to an owner");
}
