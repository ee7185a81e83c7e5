//! What is deleted is in no file any more: on SQLite, whose files are ours.

use std::{fs, path::PathBuf};

use futures_util::future::join_all;
use shared::{
    database::{Database, Sqlite, Statement, get},
    erasure::Eraser,
    pb::task::CreateTaskRequest,
    testing::Forge,
    trust::Caller,
};
use task_service::{
    projects::NewProject,
    store::MIGRATIONS,
    tasks::{NewTask, TaskChange},
};
use uuid::Uuid;

use super::{
    super::{description, title},
    Scene, counts, erasure, new_task, once,
};

/// The file of the database, and the log beside it.
struct Files([PathBuf; 2]);

impl Files {
    fn of(scene: &Scene<Sqlite>) -> Self {
        let path = scene.settings.file().unwrap();
        let log = path.with_extension("db-wal");
        Self([path, log])
    }

    /// How often a text is in them.
    fn count(&self, text: &str) -> usize {
        let count = |path| {
            let bytes = fs::read(path).unwrap();
            bytes.windows(text.len()).filter(|part| *part == text.as_bytes()).count()
        };
        self.0.iter().map(count).sum()
    }

    fn log_length(&self) -> u64 {
        fs::metadata(&self.0[1]).unwrap().len()
    }
}

async fn scene() -> Scene<Sqlite> {
    Scene::open(e2e::Engine::Sqlite.place("test").await).await
}

/// Puts a text of somebody's everywhere, in short and in long; most of it is written over later.
async fn fill(scene: &Scene<Sqlite>, by: &Caller, mark: &str, tasks: usize) {
    let text = |length: usize| mark.chars().cycle().take(length).collect::<String>();
    let new = NewProject { title: title(&text(100)), description: description(&text(10_000)) };
    let project = scene.store.create_project(by, None, new).await.unwrap();
    let writes = (0..tasks).map(async |number| {
        let once = once(scene, by, CreateTaskRequest::default()).await;
        // One has 20,000 bytes of it.
        let long =
            if number == 0 { "é".repeat(9_990) + &text(10) } else { text(number * 97 % 700) };
        let new = NewTask {
            project_id: Some(project.id),
            title: title(&text(number * 31 % 180 + 10)),
            description: description(&long),
            ..new_task("t")
        };
        let task = scene.store.create_task(by, once, new).await.unwrap();
        for length in [number * 41 % 900, 20] {
            let change = TaskChange {
                title: Some(title(&text(length % 170 + 10))),
                description: Some(description(&text(length))),
                ..TaskChange::default()
            };
            scene.store.update_task(by, None, task.id, None, change).await.unwrap();
        }
    });
    join_all(writes).await;
    scene.store.delete_project(by, None, project.id, None, true).await.unwrap();
}

#[tokio::test]
async fn what_is_erased_is_in_no_file() {
    let (scene, forge) = (scene().await, Forge::new());
    let files = Files::of(&scene);
    // Those who go share pages of the file with those who stay.
    let people = [(); 32].map(|()| forge.caller(Uuid::new_v4()));
    let (go, stay) = people.split_at(16);
    for (one, other) in go.iter().zip(stay) {
        fill(&scene, one, "was_here", 40).await;
        fill(&scene, other, "is_there", 40).await;
    }
    assert!(files.count("was_here") > 1_000);
    let there = files.count("is_there");
    for one in go {
        scene.store.vault().erase(&erasure(&scene, one)).await.unwrap();
    }
    scene.store.vault().purge().await.unwrap();
    assert_eq!((files.count("was_here"), files.log_length()), (0, 0));
    assert!((1_000..there).contains(&files.count("is_there")), "the log had it too");
}

#[tokio::test]
async fn it_is_not_done_while_somebody_reads_what_was() {
    let scene = scene().await;
    let files = Files::of(&scene);
    fill(&scene, &scene.ann, "was_here", 4).await;
    let database = Database::<Sqlite>::open(&scene.settings, &MIGRATIONS).await.unwrap();
    let mut backup = database.connect_writer().await.unwrap();
    for sql in ["begin", "select count(*) from tasks"] {
        Statement::<Sqlite>::new(sql).all(&mut backup).await.unwrap();
    }
    // Of bob there is nothing in the file that somebody could read.
    let (vault, of_bob) = (scene.store.vault(), erasure(&scene, &scene.bob));
    assert_eq!(vault.erase(&of_bob).await.unwrap(), counts(0, 0));
    vault.purge().await.unwrap();
    vault.erase(&erasure(&scene, &scene.ann)).await.unwrap();
    vault.purge().await.unwrap_err();
    assert!(files.count("was_here") > 0);
    Statement::<Sqlite>::new("commit").all(&mut backup).await.unwrap();
    vault.purge().await.unwrap();
    assert_eq!((files.count("was_here"), files.log_length()), (0, 0));
}

#[tokio::test]
async fn an_erasure_leaves_no_log_that_others_would_wait_for() {
    let scene = scene().await;
    fill(&scene, &scene.ann, "was_here", 4).await;
    let database = Database::<Sqlite>::open(&scene.settings, &MIGRATIONS).await.unwrap();
    let not_copied = async || {
        let look = Statement::<Sqlite>::new("pragma wal_checkpoint(noop)");
        let rows = database.read(look).await.unwrap();
        let count = |column| get::<Sqlite, i64>(&rows[0], column).unwrap();
        count("log") - count("checkpointed")
    };
    assert!(not_copied().await > 0);
    scene.store.vault().erase(&erasure(&scene, &scene.ann)).await.unwrap();
    assert_eq!(not_copied().await, 0);
}
