//! Answers that are kept, in a SQLite file.

use std::time::Duration;

use shared::{
    clock::Time,
    database::{Answers, Database, Migrations, Settings, Statement, get},
    fields::Violations,
    once::{Digests, KEPT, Once, Reused},
    pb::auth::{RevokeSessionRequest, UpdateCurrentUserRequest},
};
use sqlx::{Sqlite, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

const MIGRATIONS: Migrations = Migrations {
    sqlite: &[(
        "answers",
        "create table answers (owner_id blob, method text, request_id blob, digest text,
             answer text, expire_time integer, primary key (owner_id, method, request_id))",
    )],
    postgres: &[],
};

const NOW: i64 = 1_700_000_000;

struct Scene {
    database: Database<Sqlite>,
    connection: SqliteConnection,
    _directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("answers.db").display());
        let settings = Settings::new("test", &url).unwrap();
        let database = Database::<Sqlite>::open(&settings, &MIGRATIONS).await.unwrap();
        let connection = database.connect_writer().await.unwrap();
        Self { database, connection, _directory: directory }
    }

    /// What a transaction sees that may be asked for these.
    async fn load(&mut self, asked: &[&Once]) -> Answers {
        Answers::load::<Sqlite>(&mut self.connection, asked.iter().copied()).await.unwrap()
    }

    /// Keeps an answer, and writes it down.
    async fn keep(&mut self, once: &Once, answer: &str) {
        let mut answers = Answers::default();
        answers.keep(once, &answer).unwrap();
        answers.store::<Sqlite>(&mut self.connection, Time::from_seconds(NOW)).await.unwrap();
    }
}

/// The end of a session by this id.
fn once(owner: u128, request_id: u128, session: &str) -> Once {
    let request_id = Uuid::from_u128(request_id).to_string();
    let request = RevokeSessionRequest { id: session.to_owned(), request_id };
    let digests = Digests::new(&[1; 32]);
    digests.once(Uuid::from_u128(owner), &request, &mut Violations::new()).unwrap().unwrap()
}

fn found(answers: &Answers, once: &Once) -> Option<Result<String, Reused>> {
    answers.find(once).unwrap()
}

#[tokio::test]
async fn an_answer_is_found_by_whoever_asks_the_same() {
    let mut scene = Scene::new().await;
    let (first, second) = (once(1, 1, "a"), once(1, 2, "a"));
    assert_eq!(found(&scene.load(&[&first]).await, &first), None);
    scene.keep(&first, "one").await;
    scene.keep(&second, "two's \"answer\" 🦀").await;

    let answers = scene.load(&[&first, &second, &once(1, 3, "a")]).await;
    assert_eq!(found(&answers, &first), Some(Ok("one".to_owned())));
    assert_eq!(found(&answers, &second), Some(Ok("two's \"answer\" 🦀".to_owned())));
    assert_eq!(found(&answers, &once(1, 1, "b")), Some(Err(Reused)), "something else is asked");
    let read = Answers::read(&scene.database, &first).await.unwrap();
    assert_eq!(found(&read, &first), Some(Ok("one".to_owned())));
    assert_eq!(found(&read, &second), None, "that was not asked for");
}

#[tokio::test]
async fn an_id_is_that_of_one_owner_and_one_rpc() {
    let mut scene = Scene::new().await;
    let first = once(1, 1, "a");
    scene.keep(&first, "one").await;
    let request_id = Uuid::from_u128(1).to_string();
    let request = UpdateCurrentUserRequest { request_id, ..Default::default() };
    let other_rpc = Digests::new(&[1; 32])
        .once(Uuid::from_u128(1), &request, &mut Violations::new())
        .unwrap()
        .unwrap();
    for other in [once(2, 1, "a"), once(1, 2, "a"), other_rpc] {
        assert_eq!(found(&scene.load(&[&other]).await, &other), None);
        scene.keep(&other, "other").await;
        assert_eq!(found(&scene.load(&[&other]).await, &other), Some(Ok("other".to_owned())));
    }
    assert_eq!(found(&scene.load(&[&first]).await, &first), Some(Ok("one".to_owned())));
}

#[tokio::test]
async fn within_a_transaction_an_answer_is_found_before_it_is_written_down() {
    let mut scene = Scene::new().await;
    let (old, new) = (once(1, 1, "a"), once(1, 2, "a"));
    scene.keep(&old, "one").await;
    let mut answers = scene.load(&[&old, &new]).await;
    answers.keep(&new, &"two").unwrap();
    assert_eq!(found(&answers, &new), Some(Ok("two".to_owned())));
    assert_eq!(found(&answers, &once(1, 2, "b")), Some(Err(Reused)));
    // What was there before is not written down again, which the key would refuse.
    let later = Time::from_seconds(NOW).plus(Duration::from_secs(1));
    answers.store::<Sqlite>(&mut scene.connection, later).await.unwrap();
    Answers::default().store::<Sqlite>(&mut scene.connection, later).await.unwrap();

    let select = "select expire_time from answers order by expire_time";
    let rows = scene.database.read(Statement::new(select)).await.unwrap();
    let times: Vec<i64> =
        rows.iter().map(|row| get::<Sqlite, _>(row, "expire_time").unwrap()).collect();
    let expected = [Time::from_seconds(NOW), later].map(|time| time.plus(KEPT).micros());
    assert_eq!(times, expected);
}

#[tokio::test]
async fn an_answer_of_another_shape_is_a_fault() {
    let mut scene = Scene::new().await;
    let once = once(1, 1, "a");
    scene.keep(&once, "one").await;
    let answers = scene.load(&[&once]).await;
    let fault = answers.find::<i64>(&once).unwrap_err().to_string();
    assert!(fault.contains("answers.answer"), "{fault}");
}
