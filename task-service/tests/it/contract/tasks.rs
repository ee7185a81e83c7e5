//! Tasks.

use shared::database::Engine;
use task_service::{
    error::Refusal,
    etag::Etag,
    tasks::{Priority, Status, TaskChange},
};
use uuid::Uuid;

use super::{QUOTAS, Scene, at, description, new_task, on_every_engine, refusal, task_in, title};

on_every_engine!(
    Scene:
    a_task_is_kept_as_it_was_given,
    every_field_can_be_changed_and_emptied,
    complete_time_follows_the_status,
    a_deleted_task_can_be_read_and_not_changed,
    a_missing_task_is_not_found,
    a_project_must_be_there,
    a_stale_etag_changes_nothing,
    the_quota_counts_what_is_there,
);

async fn a_task_is_kept_as_it_was_given<DB: Engine>(scene: Scene<DB>) {
    let project = scene.project(&scene.ann, "p").await;
    let mut new = task_in(&project, "日本語 🦀 '; drop table tasks; -- %_\\");
    new.description = description("{\"a\":[1]}\n\u{feff}\u{200d}👩\u{200d}💻");
    new.status = Status::Completed;
    new.priority = Priority::Urgent;
    new.due_time = Some(shared::clock::Time::from_micros(-1_234_567).unwrap());
    let made = scene.task(&scene.ann, new.clone()).await;
    assert_eq!(made.project_id, new.project_id);
    assert_eq!((&made.title, &made.description), (&new.title, &new.description));
    assert_eq!(
        (made.status, made.priority, made.due_time),
        (new.status, new.priority, new.due_time)
    );
    assert_eq!(made.complete_time, Some(scene.clock.now()));
    assert_eq!(made.delete_time, None);
    assert_eq!(scene.store.get_task(&scene.ann, made.id).await.unwrap(), made);
    assert_eq!(scene.second_store().await.get_task(&scene.ann, made.id).await.unwrap(), made);
}

async fn every_field_can_be_changed_and_emptied<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let project = scene.project(ann, "p").await;
    let made = scene.task(ann, new_task("one")).await;
    let full = TaskChange {
        project_id: Some(Some(project.id)),
        title: Some(title("two")),
        description: Some(description("more")),
        status: Some(Status::InProgress),
        priority: Some(Priority::High),
        due_time: Some(Some(at(7))),
    };
    let now = scene.later();
    let changed = store.update_task(ann, None, made.id, None, full).await.unwrap();
    assert_eq!(changed.project_id, Some(project.id));
    assert_eq!((&changed.title, &changed.description), (&title("two"), &description("more")));
    assert_eq!((changed.status, changed.priority), (Status::InProgress, Priority::High));
    assert_eq!((changed.due_time, changed.update_time), (Some(at(7)), now));
    assert_eq!(changed.create_time, made.create_time);
    assert!(changed.revision > made.revision);
    assert_eq!(store.get_task(ann, made.id).await.unwrap(), changed);

    let nothing = TaskChange::default();
    let same = store.update_task(ann, None, made.id, None, nothing).await.unwrap();
    assert_eq!((same.project_id, same.due_time), (changed.project_id, changed.due_time));
    let empty =
        TaskChange { project_id: Some(None), due_time: Some(None), ..TaskChange::default() };
    store.update_task(ann, None, made.id, None, empty).await.unwrap();
    let emptied = store.get_task(ann, made.id).await.unwrap();
    assert_eq!((emptied.project_id, emptied.due_time), (None, None));
    assert_eq!(emptied.title, title("two"));
}

async fn complete_time_follows_the_status<DB: Engine>(scene: Scene<DB>) {
    let made = scene.task(&scene.ann, new_task("one")).await;
    for (status, completes) in
        [(Status::Completed, true), (Status::Todo, false), (Status::Completed, true)]
    {
        let now = scene.later();
        let change = TaskChange { status: Some(status), ..TaskChange::default() };
        scene.store.update_task(&scene.ann, None, made.id, None, change).await.unwrap();
        let read = scene.store.get_task(&scene.ann, made.id).await.unwrap();
        assert_eq!(read.complete_time, completes.then_some(now));
    }
}

async fn a_deleted_task_can_be_read_and_not_changed<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let made = scene.task(ann, new_task("one")).await;
    let now = scene.later();
    let gone = store.delete_task(ann, None, made.id, None).await.unwrap();
    assert_eq!((gone.delete_time, gone.update_time), (Some(now), now));
    assert_eq!(store.get_task(ann, made.id).await.unwrap(), gone);
    let change = store.update_task(ann, None, made.id, None, TaskChange::default()).await;
    assert_eq!(refusal(change), Refusal::TaskDeleted);
    assert_eq!(refusal(store.delete_task(ann, None, made.id, None).await), Refusal::TaskDeleted);
    assert_eq!(store.get_task(ann, made.id).await.unwrap(), gone);
}

async fn a_missing_task_is_not_found<DB: Engine>(scene: Scene<DB>) {
    let (store, ann, id) = (&scene.store, &scene.ann, Uuid::new_v4());
    assert_eq!(refusal(store.get_task(ann, id).await), Refusal::TaskNotFound);
    let change = store.update_task(ann, None, id, None, TaskChange::default()).await;
    assert_eq!(refusal(change), Refusal::TaskNotFound);
    assert_eq!(refusal(store.delete_task(ann, None, id, None).await), Refusal::TaskNotFound);
}

async fn a_project_must_be_there<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let of_bob = scene.project(&scene.bob, "bob's").await;
    let made = scene.task(ann, new_task("one")).await;
    for project in [of_bob.id, Uuid::new_v4()] {
        let mut new = new_task("two");
        new.project_id = Some(project);
        assert_eq!(refusal(store.create_task(ann, None, new).await), Refusal::ProjectNotFound);
        let into = TaskChange { project_id: Some(Some(project)), ..TaskChange::default() };
        let moved = store.update_task(ann, None, made.id, None, into).await;
        assert_eq!(refusal(moved), Refusal::ProjectNotFound);
    }
    assert_eq!(store.get_task(ann, made.id).await.unwrap(), made);
}

async fn a_stale_etag_changes_nothing<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let made = scene.task(ann, new_task("one")).await;
    let other = scene.task(ann, new_task("other")).await;
    let rename = |text| TaskChange { title: Some(title(text)), ..TaskChange::default() };
    for stale in [made.revision - 1, other.revision, i64::MIN, i64::MAX] {
        let stale = Some(Etag::of(stale));
        let change = store.update_task(ann, None, made.id, stale, rename("two")).await;
        assert_eq!(refusal(change), Refusal::EtagMismatch);
        assert_eq!(
            refusal(store.delete_task(ann, None, made.id, stale).await),
            Refusal::EtagMismatch
        );
    }
    assert_eq!(store.get_task(ann, made.id).await.unwrap(), made);
    let seen = Some(Etag::of(made.revision));
    let changed = store.update_task(ann, None, made.id, seen, rename("two")).await.unwrap();
    store.delete_task(ann, None, made.id, Some(Etag::of(changed.revision))).await.unwrap();
}

async fn the_quota_counts_what_is_there<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let project = scene.project(ann, "p").await;
    let mut last = None;
    for number in 0..QUOTAS.tasks {
        last = Some(scene.task(ann, task_in(&project, &number.to_string())).await);
    }
    let more = || store.create_task(ann, None, new_task("more"));
    assert_eq!(refusal(more().await), Refusal::QuotaExceeded);
    scene.task(&scene.bob, new_task("bob has his own")).await;
    store.delete_task(ann, None, last.unwrap().id, None).await.unwrap();
    more().await.unwrap();
    assert_eq!(refusal(more().await), Refusal::QuotaExceeded);
    store.delete_project(ann, None, project.id, None, true).await.unwrap();
    for number in 1..QUOTAS.tasks {
        scene.task(ann, new_task(&number.to_string())).await;
    }
    assert_eq!(refusal(more().await), Refusal::QuotaExceeded);
}
