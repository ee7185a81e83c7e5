//! The fence: who is erased writes nothing any more, for as long as a token of theirs may be alive.

use std::time::Duration;

use shared::{
    database::Engine,
    erasure::{Eraser, Erasure},
    pb::task::CreateTaskRequest,
    trust::MAX_TOKEN_LIFE,
};
use task_service::{error::Refusal, housekeeping, projects::ProjectChange, tasks::TaskChange};
use uuid::Uuid;

use super::{
    super::{new_project, refusal},
    MONTH, Scene, counts, dump, erasure, fill, left, new_task, on_every_engine, once, sweep,
    task_in,
};

on_every_engine!(
    Scene:
    no_write_is_let_in_of_whatever_kind,
    what_comes_in_one_group_with_the_fence_does_not_outlive_it,
    whoever_watches_is_woken_and_told,
    the_fence_is_never_lowered,
    the_fence_goes_when_no_token_can_be_alive,
    while_an_erasure_is_under_way_its_fence_stays,
    what_looks_after_an_owner_who_is_gone_leaves_no_row,
);

const FENCE: &str = "update owners set fence_time = 1 where owner_id = $1";

async fn no_write_is_let_in_of_whatever_kind<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let project = scene.project(ann, "p").await;
    let (task, gone) =
        (scene.task(ann, task_in(&project, "t")).await, scene.task(ann, new_task("g")).await);
    store.delete_task(ann, None, gone.id, None).await.unwrap();
    let before = once(&scene, ann, CreateTaskRequest::default()).await;
    store.create_task(ann, before.clone(), new_task("once")).await.unwrap();
    scene.by_hand(ann, FENCE).await;
    let rows = dump(&scene, ann).await;

    let rename = || ProjectChange::default();
    let refusals = [
        refusal(store.create_task(ann, before, new_task("once")).await),
        refusal(store.create_project(ann, None, new_project("p")).await),
        refusal(store.update_project(ann, None, project.id, None, rename()).await),
        refusal(store.delete_project(ann, None, project.id, None, true).await),
        refusal(store.create_task(ann, None, new_task("t")).await),
        refusal(store.update_task(ann, None, task.id, None, TaskChange::default()).await),
        refusal(store.delete_task(ann, None, task.id, None).await),
        refusal(store.undelete_task(ann, None, gone.id, None).await),
        refusal(store.update_task(ann, None, Uuid::new_v4(), None, TaskChange::default()).await),
    ];
    assert_eq!(refusals, [Refusal::OwnerErased; 9]);
    let mut after = dump(&scene, ann).await;
    after.insert("owners".to_owned(), rows["owners"].clone());
    assert_eq!(after, rows);
    scene.task(&scene.bob, new_task("bob's")).await;
}

async fn what_comes_in_one_group_with_the_fence_does_not_outlive_it<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    let once = once(&scene, ann, CreateTaskRequest::default()).await;
    let (vault, erasure) = (store.vault(), erasure(&scene, ann));
    let (before, erased, after) = tokio::join!(
        store.create_task(ann, once, new_task("before")),
        vault.erase(&erasure),
        store.create_project(ann, None, new_project("after")),
    );
    before.unwrap();
    assert_eq!(refusal(after), Refusal::OwnerErased);
    assert_eq!(erased.unwrap(), counts(0, 1));
    assert_eq!(left(&scene, ann).await, ["erasures", "owners"]);
}

async fn whoever_watches_is_woken_and_told<DB: Engine>(scene: Scene<DB>) {
    let (store, ann) = (&scene.store, &scene.ann);
    scene.task(ann, new_task("t")).await;
    let mut head = store.head(ann);
    let known = store.changes(ann, None).await.unwrap().position;
    let elsewhere = scene.second_store().await;
    store.vault().erase(&erasure(&scene, ann)).await.unwrap();
    assert!(*head.borrow_and_update() > known.revision);
    for store in [&**store, &elsewhere] {
        for since in [None, Some(known)] {
            assert_eq!(refusal(store.changes(ann, since).await), Refusal::OwnerErased);
        }
    }
    let heads = elsewhere.vault().heads(&[ann.user_id()]).await.unwrap();
    assert!(heads[0].1 > known.revision, "other processes see it when they look");
}

async fn the_fence_is_never_lowered<DB: Engine>(scene: Scene<DB>) {
    let (vault, ann) = (scene.store.vault(), &scene.ann);
    let (early, late) = (erasure(&scene, ann), {
        scene.clock.advance(Duration::from_hours(1));
        erasure(&scene, ann)
    });
    let mut fences = Vec::new();
    for erasure in [&early, &late, &early] {
        vault.erase(erasure).await.unwrap();
        fences.push(dump(&scene, ann).await.remove("owners").unwrap());
    }
    let fence =
        |erasure: &Erasure| format!("fence_time=Some({})", erasure.last_token_time().micros());
    assert!(fences[0][0].ends_with(&fence(&early)), "{fences:?}");
    assert!(fences[1][0].ends_with(&fence(&late)), "{fences:?}");
    assert_eq!(fences[2], fences[1]);
}

async fn the_fence_goes_when_no_token_can_be_alive<DB: Engine>(scene: Scene<DB>) {
    let (vault, ann) = (scene.store.vault(), &scene.ann);
    fill(&scene, ann).await;
    let erasure = erasure(&scene, ann);
    vault.erase(&erasure).await.unwrap();
    vault.confirmed(&erasure).await.unwrap();
    // A clock that is an hour slow is not enough to bring a token back to life.
    let hour = Duration::from_hours(1);
    for (pause, rows) in [(MAX_TOKEN_LIFE, vec!["owners"]), (hour, vec![])] {
        scene.clock.advance(pause);
        sweep(&scene).await;
        assert_eq!(left(&scene, ann).await, rows);
    }
    // Whoever is told of once more, after a restore, is erased once more.
    assert_eq!(vault.erase(&erasure).await.unwrap(), counts(0, 0));
    vault.confirmed(&erasure).await.unwrap();
    sweep(&scene).await;
    assert_eq!(left(&scene, ann).await, <[&str; 0]>::default());
}

async fn while_an_erasure_is_under_way_its_fence_stays<DB: Engine>(scene: Scene<DB>) {
    let (vault, ann) = (scene.store.vault(), &scene.ann);
    let there = fill(&scene, ann).await;
    let erasure = erasure(&scene, ann);
    scene.clock.advance(MAX_TOKEN_LIFE * 3);
    vault.erase(&erasure).await.unwrap();
    sweep(&scene).await;
    assert_eq!(
        refusal(scene.store.create_task(ann, None, new_task("t")).await),
        Refusal::OwnerErased
    );
    assert_eq!(vault.erase(&erasure).await.unwrap(), there);
    vault.confirmed(&erasure).await.unwrap();
    sweep(&scene).await;
    assert_eq!(left(&scene, ann).await, <[&str; 0]>::default());
}

async fn what_looks_after_an_owner_who_is_gone_leaves_no_row<DB: Engine>(scene: Scene<DB>) {
    let ann = &scene.ann;
    let (vault, erasure) = (scene.store.vault(), erasure(&scene, ann));
    // Two processes keep house at once: one finds the owner, and then does not.
    let second = scene.second_store().await.vault();
    for _ in 0..8 {
        vault.erase(&erasure).await.unwrap();
        vault.confirmed(&erasure).await.unwrap();
        scene.clock.advance(MAX_TOKEN_LIFE * 2);
        let sweep = |vault| housekeeping::sweep(vault, MONTH, &scene.clock);
        let (one, other) = tokio::join!(sweep(&vault), sweep(&second));
        one.and(other).unwrap();
        assert_eq!(left(&scene, ann).await, <[&str; 0]>::default());
    }
    scene.by_hand(ann, "insert into unfolded_titles (owner_id, id) values ($1, $1)").await;
    scene.second_store().await;
    assert_eq!(left(&scene, ann).await, <[&str; 0]>::default());
}
