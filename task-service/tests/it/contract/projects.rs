//! Projects.

use futures_util::future::join_all;
use shared::database::Engine;
use task_service::{error::Refusal, etag::Etag, projects::ProjectChange, tasks::TaskFilter};
use uuid::Uuid;

use super::{
    ALL, QUOTAS, Scene, description, new_project, new_task, on_every_engine, refusal, task_in,
    title,
};

on_every_engine!(
    Scene:
    a_project_is_kept_as_it_was_given,
    a_change_touches_what_it_names,
    a_stale_etag_changes_nothing,
    a_missing_project_is_not_found,
    a_project_with_tasks_stays_unless_forced,
    a_project_with_too_many_tasks_stays_though_forced,
    of_two_forced_deletions_at_once_that_are_too_much_one_is_put_off,
    a_deleted_task_does_not_keep_its_project,
    the_quota_counts_what_is_there,
);

async fn a_project_is_kept_as_it_was_given<DB: Engine>(scene: Scene<DB>) {
    let mut new = new_project("Größe 🦀 '; drop table projects; --");
    new.description = description("line one\r\n\ttwo \"quoted\" \\ {json} $1 \u{202e}");
    let made = scene.store.create_project(&scene.ann, None, new.clone()).await.unwrap();
    assert_eq!((&made.title, &made.description), (&new.title, &new.description));
    assert_eq!((made.create_time, made.update_time), (scene.clock.now(), scene.clock.now()));
    assert_eq!(scene.store.get_project(&scene.ann, made.id).await.unwrap(), made);
    assert_eq!(scene.second_store().await.get_project(&scene.ann, made.id).await.unwrap(), made);
}

async fn a_change_touches_what_it_names<DB: Engine>(scene: Scene<DB>) {
    let made = scene.project(&scene.ann, "one").await;
    let now = scene.later();
    let change = ProjectChange { title: Some(title("two")), description: None };
    let changed =
        scene.store.update_project(&scene.ann, None, made.id, None, change).await.unwrap();
    assert_eq!(changed.title, title("two"));
    assert_eq!((&changed.description, changed.create_time), (&made.description, made.create_time));
    assert_eq!(changed.update_time, now);
    assert!(changed.revision > made.revision);
    assert_eq!(scene.store.get_project(&scene.ann, made.id).await.unwrap(), changed);
}

async fn a_stale_etag_changes_nothing<DB: Engine>(scene: Scene<DB>) {
    let made = scene.project(&scene.ann, "one").await;
    let seen = Some(Etag::of(made.revision));
    let rename = |text| ProjectChange { title: Some(title(text)), description: None };
    let store = &scene.store;
    let changed =
        store.update_project(&scene.ann, None, made.id, seen, rename("two")).await.unwrap();
    let late = store.update_project(&scene.ann, None, made.id, seen, rename("three")).await;
    assert_eq!(refusal(late), Refusal::EtagMismatch);
    let late = store.delete_project(&scene.ann, None, made.id, seen, true).await;
    assert_eq!(refusal(late), Refusal::EtagMismatch);
    assert_eq!(store.get_project(&scene.ann, made.id).await.unwrap(), changed);
    store
        .delete_project(&scene.ann, None, made.id, Some(Etag::of(changed.revision)), false)
        .await
        .unwrap();
}

async fn a_missing_project_is_not_found<DB: Engine>(scene: Scene<DB>) {
    let (store, ann, id) = (&scene.store, &scene.ann, Uuid::new_v4());
    let change = ProjectChange::default;
    assert_eq!(refusal(store.get_project(ann, id).await), Refusal::ProjectNotFound);
    assert_eq!(
        refusal(store.update_project(ann, None, id, None, change()).await),
        Refusal::ProjectNotFound
    );
    assert_eq!(
        refusal(store.delete_project(ann, None, id, None, true).await),
        Refusal::ProjectNotFound
    );
}

async fn a_project_with_tasks_stays_unless_forced<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let project = scene.project(ann, "one").await;
    let inside = [
        scene.task(ann, task_in(&project, "a")).await,
        scene.task(ann, task_in(&project, "b")).await,
    ];
    let outside = scene.task(ann, new_task("c")).await;

    let refused = store.delete_project(ann, None, project.id, None, false).await;
    assert_eq!(refusal(refused), Refusal::ProjectNotEmpty);
    assert_eq!(store.get_task(ann, inside[0].id).await.unwrap(), inside[0]);

    let now = scene.later();
    store.delete_project(ann, None, project.id, None, true).await.unwrap();
    let missing = store.get_project(ann, project.id).await;
    assert_eq!(refusal(missing), Refusal::ProjectNotFound);
    let mut revisions = vec![outside.revision];
    for task in &inside {
        let gone = store.get_task(ann, task.id).await.unwrap();
        assert_eq!((gone.delete_time, gone.update_time), (Some(now), now));
        revisions.push(gone.revision);
    }
    assert_eq!(store.get_task(ann, outside.id).await.unwrap(), outside);
    let next = scene.task(ann, new_task("d")).await;
    revisions.push(next.revision);
    revisions[1..3].sort_unstable();
    assert!(revisions.is_sorted_by(|a, b| a < b), "each change has its own: {revisions:?}");
    let left = store.list_tasks(ann, &TaskFilter::default(), &ALL).await.unwrap().rows;
    assert_eq!(left, [outside, next]);
}

async fn a_project_with_too_many_tasks_stays_though_forced<DB: Engine>(scene: Scene<DB>) {
    let project = scene.project(&scene.ann, "p").await;
    let fill = (0..=QUOTAS.forced_deletion)
        .map(|_| scene.store.create_task(&scene.ann, None, task_in(&project, "t")));
    let tasks = join_all(fill).await;
    let delete = || scene.store.delete_project(&scene.ann, None, project.id, None, true);
    assert_eq!(refusal(delete().await), Refusal::ProjectTooLarge);
    assert_eq!(scene.store.get_project(&scene.ann, project.id).await.unwrap(), project);
    let one = tasks.into_iter().next().unwrap().unwrap();
    assert_eq!(scene.store.get_task(&scene.ann, one.id).await.unwrap(), one);
    scene.store.delete_task(&scene.ann, None, one.id, None).await.unwrap();
    delete().await.unwrap();
}

async fn of_two_forced_deletions_at_once_that_are_too_much_one_is_put_off<DB: Engine>(
    scene: Scene<DB>,
) {
    let projects = [scene.project(&scene.ann, "p").await, scene.project(&scene.ann, "q").await];
    for project in &projects {
        let half = (0..=QUOTAS.forced_deletion / 2)
            .map(|_| scene.store.create_task(&scene.ann, None, task_in(project, "t")));
        assert!(join_all(half).await.iter().all(Result::is_ok));
    }
    let [one, two] = &projects;
    let delete = |id| scene.store.delete_project(&scene.ann, None, id, None, true);
    // Both wait when their group forms.
    let (first, second) = tokio::join!(delete(one.id), delete(two.id));
    first.unwrap();
    assert_eq!(refusal(second), Refusal::TooManyDeletions);
    assert_eq!(scene.store.get_project(&scene.ann, two.id).await.unwrap(), *two);
    delete(two.id).await.unwrap();
}

async fn a_deleted_task_does_not_keep_its_project<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let project = scene.project(ann, "one").await;
    let task = scene.task(ann, task_in(&project, "a")).await;
    store.delete_task(ann, None, task.id, None).await.unwrap();
    store.delete_project(ann, None, project.id, None, false).await.unwrap();
    assert!(store.get_task(ann, task.id).await.unwrap().delete_time.is_some());
}

async fn the_quota_counts_what_is_there<DB: Engine>(scene: Scene<DB>) {
    let mut last = None;
    for number in 0..QUOTAS.projects {
        last = Some(scene.project(&scene.ann, &number.to_string()).await);
    }
    let more = || scene.store.create_project(&scene.ann, None, new_project("more"));
    assert_eq!(refusal(more().await), Refusal::QuotaExceeded);
    scene.project(&scene.bob, "bob has his own").await;
    scene.store.delete_project(&scene.ann, None, last.unwrap().id, None, false).await.unwrap();
    more().await.unwrap();
    assert_eq!(refusal(more().await), Refusal::QuotaExceeded);
}
