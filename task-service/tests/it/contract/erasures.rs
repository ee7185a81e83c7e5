//! The erasure of an owner: everything of theirs goes, for good, and nothing of anybody else.

mod fence;
mod rows;
mod traces;

use std::sync::Arc;

use futures_util::future::join_all;
use shared::{
    database::{Engine, Sqlite, Statement, WriteError},
    erasure::{Counts, Eraser, Erasure},
    pb::task::CreateTaskRequest,
    trust::{Caller, Head},
};
use task_service::{
    error::{Error, Refusal},
    store::SqlStore,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    Scene,
    changes::{MONTH, sweep},
    isolation::twin,
    new_task, on_every_engine,
    once::once,
    task_in,
};
use rows::{dump, left};

on_every_engine!(
    Scene:
    everything_of_the_owner_goes_and_nothing_of_anybody_else,
    an_erasure_that_is_cut_off_goes_on_and_counts_everything,
    processes_erase_side_by_side_while_their_owner_writes,
    housekeeping_takes_nothing_from_the_count,
    who_has_nothing_is_erased_too,
    the_cursor_is_kept_and_never_goes_back,
);

/// That somebody's account is deleted now.
fn erasure<DB: Engine>(scene: &Scene<DB>, of: &Caller) -> Erasure {
    let cursor = Head { epoch: Uuid::from_u128(7), sequence: 1 };
    Erasure { user_id: of.user_id(), delete_time: scene.clock.now(), cursor }
}

/// How much a user is told of.
fn counts(projects: usize, tasks: usize) -> Counts {
    Counts::from([("projects", projects), ("tasks", tasks)])
}

/// Puts something of somebody into every table.
async fn fill<DB: Engine>(scene: &Scene<DB>, by: &Caller) -> Counts {
    let store = &scene.store;
    let (kept, gone) = (scene.project(by, "kept").await, scene.project(by, "gone").await);
    let tasks = (0..60).map(|_| store.create_task(by, None, task_in(&kept, "t")));
    let tasks = join_all(tasks).await;
    for task in tasks.into_iter().take(5) {
        store.delete_task(by, None, task.unwrap().id, None).await.unwrap();
    }
    scene.task(by, task_in(&gone, "t")).await;
    store.delete_project(by, None, gone.id, None, true).await.unwrap();
    for _ in 0..20 {
        let once = once(scene, by, CreateTaskRequest::default()).await;
        store.create_task(by, once, new_task("once")).await.unwrap();
    }
    let unfolded = "insert into unfolded_titles (owner_id, id)
                    select owner_id, id from tasks where owner_id = $1";
    scene.by_hand(by, unfolded).await;
    counts(1, 81)
}

/// Erases somebody as the service does: whatever is in the way, it comes again.
async fn erase<DB: Engine>(store: &SqlStore<DB>, erasure: &Erasure) -> Counts {
    loop {
        if let Ok(counts) = store.vault().erase(erasure).await {
            return counts;
        }
    }
}

async fn everything_of_the_owner_goes_and_nothing_of_anybody_else<DB: Engine>(scene: Scene<DB>) {
    let there = fill(&scene, &scene.ann).await;
    twin(&scene).await;
    let of_bob = dump(&scene, &scene.bob).await;
    let tables = ["answers", "deleted_projects", "owners", "projects", "tasks", "unfolded_titles"];
    assert_eq!(left(&scene, &scene.bob).await, tables, "all but what the erasure itself fills");

    let (vault, erasure) = (scene.store.vault(), erasure(&scene, &scene.ann));
    assert_eq!(vault.erase(&erasure).await.unwrap(), there);
    assert_eq!(left(&scene, &scene.ann).await, ["erasures", "owners"]);
    assert_eq!(vault.erase(&erasure).await.unwrap(), there, "as often as it is asked for");
    vault.confirmed(&erasure).await.unwrap();
    assert_eq!(left(&scene, &scene.ann).await, ["owners"]);
    let owner = dump(&scene, &scene.ann).await.remove("owners").unwrap();
    assert!(owner[0].contains("projects=Some(0) tasks=Some(0)"), "{owner:?}");
    assert_eq!(dump(&scene, &scene.bob).await, of_bob);
    scene.task(&scene.bob, new_task("bob's")).await;
}

async fn an_erasure_that_is_cut_off_goes_on_and_counts_everything<DB: Engine>(scene: Scene<DB>) {
    let there = fill(&scene, &scene.ann).await;
    // The last task can not be deleted for now.
    let hold = "insert into holds select owner_id, id from tasks where owner_id = $1
                order by id desc limit 1";
    let foreign = "create table holds (holder uuid not null, id uuid not null,
                   foreign key (holder, id) references tasks (owner_id, id))";
    scene.run(Statement::new(foreign)).await;
    scene.by_hand(&scene.ann, hold).await;
    let erasure = erasure(&scene, &scene.ann);
    let cut_off = scene.store.vault().erase(&erasure).await;
    assert!(matches!(cut_off, Err(Error::Write(_))), "{cut_off:?}");
    let midst = dump(&scene, &scene.ann).await;
    assert!((1..81).contains(&midst["tasks"].len()), "{}", midst["tasks"].len());
    assert_eq!(midst["erasures"].len(), 1);

    scene.run(Statement::new("drop table holds")).await;
    let next = scene.second_store().await;
    assert_eq!(next.vault().erase(&erasure).await.unwrap(), there);
    assert_eq!(left(&scene, &scene.ann).await, ["erasures", "owners"]);
}

async fn processes_erase_side_by_side_while_their_owner_writes<DB: Engine>(scene: Scene<DB>) {
    let there = fill(&scene, &scene.ann).await;
    let (second, third) = (scene.second_store().await, scene.second_store().await);
    let erasure = Arc::new(erasure(&scene, &scene.ann));
    let mut writes = JoinSet::new();
    let (third, ann) = (Arc::new(third), scene.ann.clone());
    let project = scene.project(&ann, "another").await;
    let writing = third.create_task(&ann, None, task_in(&project, "first")).await;
    writing.unwrap();
    for _ in 0..8 {
        let (third, ann, project) = (Arc::clone(&third), ann.clone(), project.clone());
        writes.spawn(async move {
            let mut written = 0;
            loop {
                match third.create_task(&ann, None, task_in(&project, "t")).await {
                    Ok(_) => written += 1,
                    Err(Error::Refused(Refusal::OwnerErased)) => return written,
                    // SQLite has one file, and three processes want to write.
                    Err(
                        Error::Refused(Refusal::QuotaExceeded)
                        | Error::Write(WriteError::Unavailable(_)),
                    ) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let (one, other) = tokio::join!(erase(&scene.store, &erasure), erase(&second, &erasure));
    let written: usize = writes.join_all().await.into_iter().sum();
    assert_eq!(one, counts(there["projects"] + 1, there["tasks"] + 1 + written));
    assert_eq!(other, one);
    assert_eq!(left(&scene, &ann).await, ["erasures", "owners"]);
    for store in [&*scene.store, &second] {
        store.vault().confirmed(&erasure).await.unwrap();
    }
    // Whoever comes last finds nothing, and leaves nothing.
    assert_eq!(third.vault().erase(&erasure).await.unwrap(), counts(0, 0));
    assert_eq!(left(&scene, &ann).await, ["owners"]);
}

async fn housekeeping_takes_nothing_from_the_count<DB: Engine>(scene: Scene<DB>) {
    let there = fill(&scene, &scene.ann).await;
    let erasure = erasure(&scene, &scene.ann);
    scene.clock.advance(MONTH);
    scene.by_hand(&scene.ann, "update owners set fence_time = 1 where owner_id = $1").await;
    sweep(&scene).await;
    assert_eq!(scene.store.vault().erase(&erasure).await.unwrap(), there);
}

async fn who_has_nothing_is_erased_too<DB: Engine>(scene: Scene<DB>) {
    let erasure = erasure(&scene, &scene.ann);
    assert_eq!(scene.store.vault().erase(&erasure).await.unwrap(), counts(0, 0));
    assert_eq!(left(&scene, &scene.ann).await, ["owners"]);
}

async fn the_cursor_is_kept_and_never_goes_back<DB: Engine>(scene: Scene<DB>) {
    let (vault, erasure) = (scene.store.vault(), erasure(&scene, &scene.ann));
    assert_eq!(vault.cursor().await.unwrap(), None);
    let (old, new) = (Uuid::from_u128(9), Uuid::from_u128(3));
    for (epoch, sequence, kept) in [(old, 5, 5), (old, 4, 5), (old, 6, 6), (new, 2, 2)] {
        let erasure = Erasure { cursor: Head { epoch, sequence }, ..erasure.clone() };
        vault.confirmed(&erasure).await.unwrap();
        assert_eq!(vault.cursor().await.unwrap(), Some(Head { epoch, sequence: kept }));
    }
    let next = scene.second_store().await.vault();
    assert_eq!(next.cursor().await.unwrap(), Some(Head { epoch: new, sequence: 2 }));
    assert_eq!(left(&scene, &scene.ann).await, <[&str; 0]>::default());
}

/// A row that is not where it was looked for is found all the same. No call can make one.
#[tokio::test]
async fn nothing_is_left_wherever_it_is() {
    let scene = Scene::<Sqlite>::open(e2e::Engine::Sqlite.place("test").await).await;
    fill(&scene, &scene.ann).await;
    let trigger = "create trigger late after delete on tasks when old.title = 'once' begin
        insert or ignore into tasks (owner_id, id, title, description, status, priority, due_time,
            create_time, update_time, delete_time, revision)
        values (old.owner_id, x'0000000000000000000000000000000a', 'late', '', 1, 2, 3, 4, 5, 0, 1000000);
    end";
    scene.run(Statement::new(trigger)).await;
    let erased = scene.store.vault().erase(&erasure(&scene, &scene.ann)).await;
    assert_eq!(erased.unwrap(), counts(1, 82));
    assert_eq!(left(&scene, &scene.ann).await, ["erasures", "owners"]);
}
