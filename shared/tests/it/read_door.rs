//! Lookups on their way through the read door, on a SQLite file.

use std::{collections::BTreeSet, pin::Pin};

use futures_util::{FutureExt, future::join_all};
use shared::database::{
    Database, Lookup, LookupError, Migrations, ReadDoor, Settings, Statement, get,
};
use sqlx::{Sqlite, sqlite::SqliteRow};
use tempfile::TempDir;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::block_in_place,
};

use crate::support::soon;

const MIGRATIONS: Migrations = Migrations {
    sqlite: &[("one table", "create table named (id bigint primary key, name text not null)")],
    postgres: &[],
};
/// The name of a row that can not be read.
const DAMAGED: &str = "damaged";
/// A key that makes the code of a lookup panic.
const PANIC: i64 = -1;

/// Looks names up. It tells of each statement, with its keys, and begins it when the gate is open.
struct Names {
    gate: watch::Receiver<bool>,
    begun: mpsc::UnboundedSender<Vec<i64>>,
}

impl Names {
    fn begin(&self, keys: Vec<i64>) {
        let panics = keys.contains(&PANIC);
        let _ = self.begun.send(keys);
        let mut gate = self.gate.clone();
        let opened = gate.wait_for(|open| *open);
        drop(block_in_place(|| Handle::current().block_on(opened)));
        assert!(!panics, "a lookup that panics");
    }
}

impl Lookup<Sqlite> for Names {
    type Key = i64;
    type Found = String;

    fn select_one(&self, key: &i64) -> Statement<Sqlite> {
        self.begin(vec![*key]);
        Statement::new("select id, name from named where id = $1").bind(*key)
    }

    fn select(&self, keys: &BTreeSet<i64>) -> Result<Statement<Sqlite>, sqlx::Error> {
        let keys: Vec<i64> = keys.iter().copied().collect();
        self.begin(keys.clone());
        let select =
            "select named.id, name from json_each($1) cross join named where named.id = value";
        Ok(Statement::new(select).bind(format!("{keys:?}")))
    }

    fn key(&self, row: &SqliteRow) -> Result<i64, sqlx::Error> {
        get::<Sqlite, _>(row, "id")
    }

    fn found(&self, row: &SqliteRow) -> Result<String, sqlx::Error> {
        let name: String = get::<Sqlite, _>(row, "name")?;
        if name == DAMAGED { Err(sqlx::Error::RowNotFound) } else { Ok(name) }
    }
}

/// A door to a table of its own, with the rows 0 to 999, each named after its number.
struct Scene {
    door: ReadDoor<i64, String>,
    database: Database<Sqlite>,
    gate: watch::Sender<bool>,
    begun: mpsc::UnboundedReceiver<Vec<i64>>,
    _directory: TempDir,
}

type Answer = Pin<Box<dyn Future<Output = Result<Option<String>, LookupError>> + Send>>;

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("names.db").display());
        let settings = Settings::new("test", &url).unwrap();
        let database = Database::<Sqlite>::open(&settings, &MIGRATIONS).await.unwrap();
        let (gate, opened) = watch::channel(true);
        let (tell, begun) = mpsc::unbounded_channel();
        let names = Names { gate: opened, begun: tell };
        let door = ReadDoor::open(database.clone(), names);
        let scene = Self { door, database, gate, begun, _directory: directory };
        scene
            .write(
                "insert into named with recursive n (id) as (select 0 union all select id + 1 from n where id < 999)
                 select id, cast(id as text) from n",
            )
            .await;
        scene
    }

    async fn write(&self, sql: &'static str) {
        let mut writer = self.database.connect_writer().await.unwrap();
        Statement::<Sqlite>::new(sql).all(&mut writer).await.unwrap();
    }

    /// A lookup that is handed in when it is polled first.
    fn find(&self, key: i64) -> Answer {
        let door = self.door.clone();
        Box::pin(async move { soon(door.find(key)).await })
    }

    /// A lookup that waits in the queue.
    fn queued(&self, key: i64) -> Answer {
        let mut answer = self.find(key);
        assert!((&mut answer).now_or_never().is_none(), "there is no answer yet");
        answer
    }

    /// Lets no statement begin until the gate is open.
    fn close_gate(&self) {
        self.gate.send_replace(false);
    }

    fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// The same with a lookup that is about to begin, so that others have to wait.
    async fn busy() -> (Self, Answer) {
        let mut scene = Self::new().await;
        let first = scene.occupy().await;
        (scene, first)
    }

    /// Closes the gate, and has a lookup wait there.
    async fn occupy(&mut self) -> Answer {
        self.close_gate();
        let first = self.queued(0);
        assert_eq!(self.begun().await, [0]);
        first
    }

    /// The keys of the next statement, once it is about to begin.
    async fn begun(&mut self) -> Vec<i64> {
        soon(self.begun.recv()).await.unwrap()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a lookup answers")]
fn name(key: i64) -> Option<String> {
    Some(key.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_finds_its_row_or_nothing() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.find(7).await.unwrap(), name(7));
    assert_eq!(scene.find(1_000).await.unwrap(), None);
    assert_eq!([scene.begun().await, scene.begun().await], [[7], [1_000]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_that_wait_share_a_statement_and_get_their_own_answers() {
    let (mut scene, first) = Scene::busy().await;
    let keys = (950..1_013).rev().chain([960, 960]);
    let answers: Vec<_> = keys.clone().map(|key| scene.queued(key)).collect();
    scene.open_gate();
    assert_eq!(first.await.unwrap(), name(0));
    for (key, answer) in keys.zip(join_all(answers).await) {
        assert_eq!(answer.unwrap(), name(key).filter(|_| key < 1_000));
    }
    assert_eq!(scene.begun().await, (950..1_013).collect::<Vec<_>>(), "each key once");
    assert!(scene.begun.try_recv().is_err(), "two statements for all of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_has_at_most_256_keys() {
    let (mut scene, first) = Scene::busy().await;
    let answers: Vec<_> = (0..257).map(|key| scene.queued(key)).collect();
    scene.open_gate();
    first.await.unwrap();
    for (key, answer) in (0..).zip(join_all(answers).await) {
        assert_eq!(answer.unwrap(), name(key));
    }
    assert_eq!((scene.begun().await.len(), scene.begun().await.len()), (256, 1));
}

/// Whoever has written and then reads finds it, although a statement with the same key is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_joins_no_statement_that_has_begun() {
    let (mut scene, first) = Scene::busy().await;
    scene.write("update named set name = 'new' where id = 0").await;
    let second = scene.queued(0);
    scene.open_gate();
    first.await.unwrap();
    assert_eq!(second.await.unwrap().as_deref(), Some("new"));
    assert_eq!(scene.begun().await, [0], "a statement of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_is_not_looked_up() {
    let (mut scene, first) = Scene::busy().await;
    let (gone, stays) = (scene.queued(1), scene.queued(2));
    drop(gone);
    scene.open_gate();
    assert_eq!(first.await.unwrap(), name(0));
    assert_eq!(stays.await.unwrap(), name(2));
    assert_eq!(scene.begun().await, [2]);

    let first = scene.occupy().await;
    let gone: Vec<_> = (3..9).map(|key| scene.queued(key)).collect();
    drop((first, gone));
    scene.open_gate();
    assert_eq!(scene.find(9).await.unwrap(), name(9), "those who left are in nobody's way");
    assert_eq!(scene.begun().await, [9], "and cost no statement");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_damaged_or_a_panic_hurts_nobody_else() {
    let mut scene = Scene::new().await;
    scene.write("update named set name = 'damaged' where id = 5").await;
    let first = scene.occupy().await;
    let answers: Vec<_> = (1..10).map(|key| scene.queued(key)).collect();
    scene.open_gate();
    first.await.unwrap();
    for (key, answer) in (1..).zip(join_all(answers).await) {
        match answer {
            Ok(found) => assert_eq!(found, name(key)),
            Err(LookupError::Failed(error)) if key == 5 => {
                assert!(matches!(*error, sqlx::Error::RowNotFound), "{error}");
            }
            Err(error) => panic!("{key}: {error}"),
        }
    }
    assert_eq!(scene.begun().await, (1..10).collect::<Vec<_>>());
    scene.close_gate();
    let panics = scene.queued(PANIC);
    assert_eq!(scene.begun().await, [PANIC]);
    let behind = scene.queued(7);
    scene.open_gate();
    assert!(matches!(panics.await, Err(LookupError::Panicked)));
    assert_eq!(
        behind.await.unwrap(),
        name(7),
        "whoever waits behind it is not told that it is away"
    );
    assert_eq!(scene.find(5).await.unwrap_err().to_string(), sqlx::Error::RowNotFound.to_string());
    assert_eq!(scene.find(6).await.unwrap(), name(6), "the door lives on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_are_refused_when_the_queue_is_full_and_taken_again_later() {
    let (scene, first) = Scene::busy().await;
    let mut answers = Vec::new();
    let overload = loop {
        assert!(answers.len() < 100_000, "the queue has no end");
        let mut answer = scene.find(1);
        match (&mut answer).now_or_never() {
            None => answers.push(answer),
            Some(refusal) => break refusal.unwrap_err(),
        }
    };
    assert!(matches!(overload, LookupError::Overloaded), "{overload}");
    scene.open_gate();
    first.await.unwrap();
    assert!(join_all(answers).await.into_iter().all(|answer| answer.unwrap() == name(1)));
    assert_eq!(scene.find(2).await.unwrap(), name(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_is_answered_after_the_last_door_is_gone() {
    let (scene, first) = Scene::busy().await;
    let answer = scene.queued(1);
    let Scene { door, database: _database, gate, begun: _begun, _directory } = scene;
    drop(door);
    gate.send_replace(true);
    assert_eq!(first.await.unwrap(), name(0));
    assert_eq!(answer.await.unwrap(), name(1));
}
