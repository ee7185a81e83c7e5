//! Writes on their way through the door, on a SQLite file.

use std::pin::Pin;

use futures_util::{FutureExt, future::join_all};
use shared::database::{
    Database, Door, Migrations, Settings, Slot, Statement, Write, WriteError, Writer, get,
};
use sqlx::{Sqlite, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::support::soon;

const MIGRATIONS: Migrations = Migrations {
    sqlite: &[("one table", "create table taken (value bigint not null check (value >= 0))")],
    postgres: &[],
};
/// What the database refuses.
const FORBIDDEN: i64 = -1;
/// What makes the writer panic.
const PANIC: i64 = -2;

/// Takes a value into the table, and answers with it.
struct Take {
    value: i64,
    slot: Slot<i64>,
}

impl Write for Take {
    fn is_abandoned(&self) -> bool {
        self.slot.is_abandoned()
    }

    fn settle(self, outcome: Result<(), WriteError>) {
        self.slot.settle(outcome);
    }
}

/// Tells of each transaction, with its values, and waits in it until the gate is open.
struct Taker {
    gate: watch::Receiver<bool>,
    begun: mpsc::UnboundedSender<Vec<i64>>,
}

impl Writer<Sqlite> for Taker {
    type Write = Take;

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        group: &mut [Take],
    ) -> Result<(), sqlx::Error> {
        let _ = self.begun.send(group.iter().map(|take| take.value).collect());
        let _ = self.gate.clone().wait_for(|open| *open).await;
        for take in group {
            assert!(take.value != PANIC, "a member that panics");
            let insert = "insert into taken (value) values ($1) returning value";
            let rows = Statement::<Sqlite>::new(insert).bind(take.value).all(connection).await?;
            take.slot.fill(get::<Sqlite, i64>(&rows[0], "value")?);
        }
        Ok(())
    }
}

/// A door to a database of its own. The gate is closed at first.
struct Scene {
    door: Door<Take>,
    database: Database<Sqlite>,
    gate: watch::Sender<bool>,
    begun: mpsc::UnboundedReceiver<Vec<i64>>,
    _directory: TempDir,
}

type Answer = Pin<Box<dyn Future<Output = Result<i64, WriteError>> + Send>>;

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("door.db").display());
        let database = Database::<Sqlite>::open(&Settings::new("test", &url).unwrap(), &MIGRATIONS)
            .await
            .unwrap();
        let (gate, closed) = watch::channel(false);
        let (tell, begun) = mpsc::unbounded_channel();
        let door = Door::open(database.clone(), Taker { gate: closed, begun: tell });
        Self { door, database, gate, begun, _directory: directory }
    }

    /// The same with a write in its transaction, so that others have to wait.
    async fn busy() -> (Self, Answer) {
        let mut scene = Self::new().await;
        let first = scene.queued(0);
        assert_eq!(scene.begun().await, [0]);
        (scene, first)
    }

    /// A write that is handed in when it is polled first.
    fn take(&self, value: i64) -> Answer {
        let door = self.door.clone();
        Box::pin(async move { soon(door.submit(|slot| Take { value, slot })).await })
    }

    /// A write that waits in the queue.
    fn queued(&self, value: i64) -> Answer {
        let mut answer = self.take(value);
        assert!((&mut answer).now_or_never().is_none(), "there is no answer yet");
        answer
    }

    /// The values of the next transaction, once it has begun.
    async fn begun(&mut self) -> Vec<i64> {
        soon(self.begun.recv()).await.unwrap()
    }

    fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// What a reader finds.
    async fn taken(&self) -> Vec<i64> {
        let select = Statement::new("select value from taken order by value");
        let rows = self.database.read(select).await.unwrap();
        rows.iter().map(|row| get::<Sqlite, i64>(row, "value").unwrap()).collect()
    }

    /// Writes on a connection beside the door: it would wait in vain if a transaction were open.
    async fn write_beside(&self) {
        let mut beside = self.database.connect_writer().await.unwrap();
        let insert = Statement::<Sqlite>::new("insert into taken (value) values (1000)");
        insert.all(&mut beside).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_is_visible_once_it_is_answered() {
    let scene = Scene::new().await;
    scene.open_gate();
    for value in 0..10 {
        assert_eq!(scene.take(value).await.unwrap(), value);
        assert_eq!(scene.taken().await, (0..=value).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_write_is_not_answered_before_its_commit() {
    let (scene, mut first) = Scene::busy().await;
    assert!((&mut first).now_or_never().is_none());
    assert!(scene.taken().await.is_empty());
    scene.open_gate();
    assert_eq!(first.await.unwrap(), 0);
    assert_eq!(scene.taken().await, [0]);
}

#[tokio::test]
async fn writes_that_wait_share_a_transaction_and_get_their_own_answers() {
    let (mut scene, first) = Scene::busy().await;
    let answers = (1..64).map(|value| scene.queued(value)).collect::<Vec<_>>();
    scene.open_gate();
    assert_eq!(first.await.unwrap(), 0);
    for (value, answer) in (1..).zip(join_all(answers).await) {
        assert_eq!(answer.unwrap(), value);
    }
    assert_eq!(scene.begun().await, (1..64).collect::<Vec<_>>());
    assert!(scene.begun.try_recv().is_err(), "two transactions for 64 writes");
}

#[tokio::test]
async fn a_group_has_at_most_512_members() {
    let (mut scene, first) = Scene::busy().await;
    let answers = (1..=513).map(|value| scene.queued(value)).collect::<Vec<_>>();
    scene.open_gate();
    first.await.unwrap();
    assert!(join_all(answers).await.iter().all(Result::is_ok));
    assert_eq!((scene.begun().await.len(), scene.begun().await.len()), (512, 1));
}

/// Runs 64 writes as one group, one of them a bad one, and returns the answer to it.
async fn one_bad_among_64(place: i64, bad: i64) -> WriteError {
    let (mut scene, first) = Scene::busy().await;
    let value = |n| if n == place { bad } else { n };
    let answers = (1..=64).map(|n| scene.queued(value(n))).collect::<Vec<_>>();
    scene.open_gate();
    first.await.unwrap();

    let mut fault = None;
    for (n, answer) in (1..).zip(join_all(answers).await) {
        match answer {
            Ok(value) => assert_eq!(value, n),
            Err(error) => {
                assert_eq!(n, place, "{error}");
                fault = Some(error);
            }
        }
    }
    assert_eq!(scene.begun().await.len(), 64, "they were one group");
    let runs = 1 + std::iter::from_fn(|| scene.begun.try_recv().ok()).count();
    assert!(runs <= 1 + 2 * 6, "{runs} runs: halving 64 takes six steps of two");
    let kept: Vec<i64> = (0..=64).filter(|n| *n != place).collect();
    assert_eq!(scene.taken().await, kept, "each is there once, and no other");

    assert_eq!(scene.take(999).await.unwrap(), 999, "the door lives on");
    scene.write_beside().await;
    fault.unwrap()
}

#[tokio::test]
async fn a_write_that_the_database_refuses_hurts_no_other() {
    for place in [1, 33, 64] {
        let fault = one_bad_among_64(place, FORBIDDEN).await;
        assert!(matches!(fault, WriteError::Refused(_)), "{fault}");
    }
}

#[tokio::test]
async fn a_write_that_panics_hurts_no_other() {
    for place in [1, 33, 64] {
        let fault = one_bad_among_64(place, PANIC).await;
        assert!(matches!(fault, WriteError::Panicked), "{fault}");
    }
}

#[tokio::test]
async fn a_group_of_bad_writes_is_refused_one_by_one() {
    let (scene, first) = Scene::busy().await;
    let bad = [FORBIDDEN, PANIC, FORBIDDEN, PANIC];
    let answers = bad.map(|value| scene.queued(value));
    scene.open_gate();
    first.await.unwrap();
    for (value, answer) in bad.into_iter().zip(join_all(answers).await) {
        let fault = answer.unwrap_err();
        let expected = match value {
            PANIC => matches!(fault, WriteError::Panicked),
            _ => matches!(fault, WriteError::Refused(_)),
        };
        assert!(expected, "{value}: {fault}");
    }
    assert_eq!(scene.take(1).await.unwrap(), 1);
    assert_eq!(scene.taken().await, [0, 1]);
}

#[tokio::test]
async fn a_write_whose_caller_left_the_queue_is_not_done() {
    let (mut scene, first) = Scene::busy().await;
    let gone = scene.queued(1);
    let stays = scene.queued(2);
    drop(gone);
    scene.open_gate();
    first.await.unwrap();
    assert_eq!(stays.await.unwrap(), 2);
    assert_eq!(scene.begun().await, [2]);
    assert_eq!(scene.taken().await, [0, 2]);
}

#[tokio::test]
async fn a_write_whose_group_has_begun_is_done_although_its_caller_left() {
    let (scene, first) = Scene::busy().await;
    drop(first);
    scene.open_gate();
    assert_eq!(scene.take(1).await.unwrap(), 1);
    assert_eq!(scene.taken().await, [0, 1]);
}

#[tokio::test]
async fn writes_are_refused_when_the_queue_is_full_and_taken_again_later() {
    let (scene, first) = Scene::busy().await;
    let mut answers = Vec::new();
    let overload = loop {
        assert!(answers.len() < 100_000, "the queue has no end");
        let mut answer = scene.take(1);
        match (&mut answer).now_or_never() {
            None => answers.push(answer),
            Some(refusal) => break refusal.unwrap_err(),
        }
    };
    assert!(matches!(overload, WriteError::Overloaded), "{overload}");

    scene.open_gate();
    first.await.unwrap();
    let waited = answers.len();
    assert!(join_all(answers).await.iter().all(Result::is_ok));
    assert_eq!(scene.taken().await.len(), 1 + waited, "the refused one was not done");
    assert!(scene.take(1).await.is_ok());
}

#[tokio::test]
async fn what_is_queued_is_done_after_the_last_door_is_gone() {
    let (scene, first) = Scene::busy().await;
    let answer = scene.queued(1);
    let Scene { door, database: _database, gate, begun: _begun, _directory } = scene;
    drop(door);
    gate.send_replace(true);
    assert_eq!(first.await.unwrap(), 0);
    assert_eq!(answer.await.unwrap(), 1);
}

/// Callers on many threads, some of which give up at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_come_and_go_leave_the_door_in_order() {
    let scene = Scene::new().await;
    scene.open_gate();
    let callers = (0..64).map(|value| {
        let mut answer = scene.take(value);
        tokio::spawn(async move {
            // Half of them leave right after they have handed their write in.
            if value % 2 == 0 { Some(answer.await) } else { (&mut answer).now_or_never() }
        })
    });
    for (value, answer) in (0..).zip(join_all(callers).await) {
        if let Some(answer) = answer.unwrap() {
            assert_eq!(answer.unwrap(), value);
        }
    }
    assert_eq!(scene.take(64).await.unwrap(), 64);
    let taken = scene.taken().await;
    assert!((0..64).step_by(2).all(|value| taken.contains(&value)));
    scene.write_beside().await;
}
