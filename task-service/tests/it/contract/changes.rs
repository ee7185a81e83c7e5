//! What has changed since a position: every state, in order, from wherever one goes on.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use shared::{database::Engine, trust::Caller};
use task_service::{
    changes::{Change, Changes, Position},
    error::Refusal,
    housekeeping,
    store::SqlStore,
    tasks::TaskChange,
    text::Description,
};
use uuid::Uuid;

use super::{Scene, new_task, on_every_engine, refusal, task_in, title};

on_every_engine!(
    Scene:
    the_beginning_is_everything_in_the_order_of_its_changes,
    only_the_last_state_is_told,
    a_project_that_is_deleted_takes_its_tasks_along_in_order,
    nothing_is_new_to_whoever_knows_everything,
    a_page_that_is_cut_goes_on_where_it_ends,
    a_position_that_is_not_of_these_data_is_refused,
    what_was_deleted_long_ago_is_purged_and_whoever_has_not_heard_must_begin_anew,
    whoever_began_after_a_deletion_need_not_hear_of_it,
    a_task_is_kept_until_its_time_and_can_come_back_until_then,
    more_than_a_batch_is_purged,
);

pub(super) const MONTH: Duration = Duration::from_hours(720);

/// Every page of what has changed, and where it ends.
async fn all<DB: Engine>(
    store: &SqlStore<DB>,
    by: &Caller,
    mut since: Option<Position>,
) -> (Vec<Change>, Position) {
    let mut all = Vec::new();
    loop {
        let Changes { changes, position, head } = store.changes(by, since).await.unwrap();
        assert!(changes.is_sorted_by(|one, two| one.revision() < two.revision()));
        assert!(changes.iter().all(|it| it.revision() > since.map_or(0, |it| it.revision)));
        assert!(changes.iter().all(|it| it.revision() <= position.revision));
        all.extend(changes);
        if position.revision == head {
            return (all, position);
        }
        since = Some(position);
    }
}

fn at(revision: i64) -> Position {
    Position { revision, beginning: 0 }
}

async fn the_beginning_is_everything_in_the_order_of_its_changes<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let first = scene.task(ann, new_task("first")).await;
    let project = scene.project(ann, "p").await;
    let last = scene.task(ann, task_in(&project, "last")).await;
    scene.task(&scene.bob, new_task("bob's")).await;
    let deleted = store.delete_task(ann, None, first.id, None).await.unwrap();
    let expected = [Change::Project(project), Change::Task(last), Change::Task(deleted.clone())];
    let (changes, end) = all(store, ann, None).await;
    assert_eq!(changes, expected);
    assert_eq!(end, Position { revision: deleted.revision, beginning: deleted.revision });
    for known in 1..expected.len() {
        let since = at(expected[known - 1].revision());
        assert_eq!(all(store, ann, Some(since)).await.0, expected[known..], "after {known}");
    }
}

async fn only_the_last_state_is_told<DB: Engine>(scene: Scene<DB>) {
    let task = scene.task(&scene.ann, new_task("0")).await;
    let (_, start) = all(&scene.store, &scene.ann, None).await;
    let mut last = task.clone();
    for number in 1..4 {
        let change = TaskChange { title: Some(title(&number.to_string())), ..Default::default() };
        let update = scene.store.update_task(&scene.ann, None, task.id, None, change);
        last = update.await.unwrap();
    }
    assert_eq!(all(&scene.store, &scene.ann, Some(start)).await.0, [Change::Task(last)]);
}

async fn a_project_that_is_deleted_takes_its_tasks_along_in_order<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let project = scene.project(ann, "p").await;
    let mut tasks = Vec::new();
    for number in 0..5 {
        scene.clock.advance(Duration::from_micros(1));
        tasks.push(scene.task(ann, task_in(&project, &number.to_string())).await.id);
    }
    let (_, start) = all(store, ann, None).await;
    scene.later();
    store.delete_project(ann, None, project.id, None, true).await.unwrap();
    let (changes, end) = all(store, ann, Some(start)).await;
    let mut told = Vec::new();
    for change in &changes[..5] {
        let Change::Task(task) = change else { panic!("{change:?}") };
        assert_eq!(task.delete_time, Some(scene.clock.now()));
        told.push(task.id);
    }
    assert_eq!(told, tasks);
    let gone = Change::ProjectDeleted { id: project.id, revision: end.revision };
    assert_eq!(changes[5..], [gone]);
}

async fn nothing_is_new_to_whoever_knows_everything<DB: Engine>(scene: Scene<DB>) {
    let nobody = scene.store.changes(&scene.ann, None).await.unwrap();
    let position = Position { revision: 0, beginning: 0 };
    assert_eq!(nobody, Changes { changes: vec![], position, head: 0 });
    scene.task(&scene.ann, new_task("t")).await;
    let (_, end) = all(&scene.store, &scene.ann, None).await;
    let missing = scene.store.delete_task(&scene.ann, None, Uuid::new_v4(), None).await;
    assert_eq!(refusal(missing), Refusal::TaskNotFound);
    assert_eq!(all(&scene.store, &scene.ann, Some(end)).await.0, []);
}

async fn a_page_that_is_cut_goes_on_where_it_ends<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    // More text than a page has, and projects between the tasks.
    let text = Description::parse("é".repeat(10_000)).unwrap();
    let mut expected = Vec::new();
    for number in 0..130 {
        if number % 40 == 0 {
            expected.push(Change::Project(scene.project(ann, "p").await));
        }
        let new = task_service::tasks::NewTask {
            description: text.clone(),
            ..new_task(&number.to_string())
        };
        expected.push(Change::Task(scene.task(ann, new).await));
    }
    let first = store.changes(ann, None).await.unwrap();
    assert!((40..130).contains(&first.changes.len()), "{}", first.changes.len());
    assert!(first.position.revision < first.head);
    assert_eq!(all(store, ann, None).await.0, expected);
    assert_eq!(all(store, ann, Some(at(77))).await.0, expected[77..]);
}

async fn a_position_that_is_not_of_these_data_is_refused<DB: Engine>(scene: Scene<DB>) {
    let task = scene.task(&scene.ann, new_task("t")).await;
    let future = task.revision + 1;
    for position in [
        Position { revision: future, beginning: 0 },
        Position { revision: 0, beginning: future },
        Position { revision: i64::MAX, beginning: i64::MAX },
    ] {
        let refused = scene.store.changes(&scene.ann, Some(position)).await;
        assert_eq!(refusal(refused), Refusal::ResyncRequired, "{position:?}");
    }
}

pub(super) async fn sweep<DB: Engine>(scene: &Scene<DB>) {
    housekeeping::sweep(&scene.store.vault(), MONTH, &scene.clock).await.unwrap();
}

async fn what_was_deleted_long_ago_is_purged_and_whoever_has_not_heard_must_begin_anew<
    DB: Engine,
>(
    scene: Scene<DB>,
) {
    let (store, ann) = (&scene.store, &scene.ann);
    for what in ["task", "project"] {
        let kept = scene.task(ann, new_task("kept")).await;
        let (_, before) = all(store, ann, None).await;
        let (task, project) = (scene.task(ann, new_task("t")).await, scene.project(ann, "p").await);
        if what == "task" {
            store.delete_task(ann, None, task.id, None).await.unwrap();
        } else {
            store.delete_project(ann, None, project.id, None, false).await.unwrap();
        }
        let (_, after) = all(store, ann, None).await;
        sweep(&scene).await;
        all(store, ann, Some(before)).await;
        scene.clock.advance(MONTH);
        sweep(&scene).await;
        let refused = store.changes(ann, Some(before)).await;
        assert_eq!(refusal(refused), Refusal::ResyncRequired, "{what}");
        assert_eq!(all(store, ann, Some(after)).await.0, [], "{what}");
        let anew = all(store, ann, None).await.0;
        assert!(anew.contains(&Change::Task(kept)), "{what}");
        assert!(!anew.iter().any(|it| matches!(it, Change::ProjectDeleted { .. })), "{what}");
    }
}

async fn whoever_began_after_a_deletion_need_not_hear_of_it<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let first = scene.task(ann, new_task("first")).await;
    let gone = scene.task(ann, new_task("gone")).await;
    store.delete_task(ann, None, gone.id, None).await.unwrap();
    let last = scene.task(ann, new_task("last")).await;
    scene.clock.advance(MONTH);
    sweep(&scene).await;
    // In the midst of the beginning: the first is told, and the last is not.
    let midst = Position { revision: first.revision, beginning: last.revision };
    assert_eq!(all(store, ann, Some(midst)).await.0, [Change::Task(last)]);
    let refused = store.changes(ann, Some(at(first.revision))).await;
    assert_eq!(refusal(refused), Refusal::ResyncRequired);
}

async fn a_task_is_kept_until_its_time_and_can_come_back_until_then<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let (one, two) = (scene.task(ann, new_task("1")).await, scene.task(ann, new_task("2")).await);
    store.delete_task(ann, None, one.id, None).await.unwrap();
    scene.later();
    store.delete_task(ann, None, two.id, None).await.unwrap();
    scene.clock.advance(MONTH.saturating_sub(Duration::from_secs(1)));
    sweep(&scene).await;
    assert_eq!(refusal(store.get_task(ann, one.id).await), Refusal::TaskNotFound);
    assert_eq!(refusal(store.undelete_task(ann, None, one.id, None).await), Refusal::TaskNotFound);
    let back = store.undelete_task(ann, None, two.id, None).await.unwrap();
    scene.later();
    sweep(&scene).await;
    assert_eq!(store.get_task(ann, two.id).await.unwrap(), back);
}

async fn more_than_a_batch_is_purged<DB: Engine>(scene: Scene<DB>) {
    let twins: BTreeMap<_, _> = [("ann", &scene.ann), ("bob", &scene.bob)].into();
    for by in twins.values() {
        // Several times the quota: what is deleted does not count.
        for _ in 0..5 {
            let project = scene.project(by, "p").await;
            let fill = (0..250).map(|_| scene.store.create_task(by, None, task_in(&project, "t")));
            for task in join_all(fill).await {
                task.unwrap();
            }
            scene.store.delete_project(by, None, project.id, None, true).await.unwrap();
        }
    }
    let kept = scene.task(&scene.ann, new_task("kept")).await;
    assert_eq!(all(&scene.store, &scene.ann, None).await.0.len(), 1_256);
    scene.clock.advance(MONTH);
    sweep(&scene).await;
    assert_eq!(all(&scene.store, &scene.ann, None).await.0, [Change::Task(kept)]);
    assert_eq!(all(&scene.store, &scene.bob, None).await.0, []);
}
