//! Databases that the program can not use: it says so in one line, and ends.

use std::{fs, path::Path, time::Duration};

use e2e::{Engine, on_every_engine, on_postgres, postgres::Server, program::stderr};
use shared::{
    database::{self, Database, Settings, Statement},
    on_engine,
};
use tokio::time::timeout;

use crate::program::{PROGRAM, SECRET};

/// How long the program may take to find out.
const BOUND: Duration = Duration::from_secs(10);

on_every_engine!(a_database_of_a_newer_version_is_left_alone);
on_postgres!(
    a_server_that_is_not_there_is_told_at_once,
    a_server_that_does_not_answer_is_not_waited_for,
);

/// Runs each command on this database, and returns what it says before it ends with code 1.
async fn refusals(url: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("AUTH_DATABASE_URL", url),
        ("AUTH_SECRET_KEY", SECRET),
        ("AUTH_ADDR", "127.0.0.1:0"),
        ("RUST_LOG", "warn"),
    ];
    let mut refusals = Vec::new();
    for arguments in [["serve"].as_slice(), &["migrate"], &["keys", "list"], &["keys", "rotate"]] {
        let output = PROGRAM.run(directory.path(), arguments, &settings);
        let output = timeout(BOUND, output).await.expect("it finds out in time");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        refusals.push(said);
    }
    refusals
}

async fn assert_refused(url: &str, because: &str) {
    for refusal in refusals(url).await {
        assert!(refusal.contains(because), "{refusal}");
    }
}

/// Puts a migration on record that no version of this software has.
async fn migrate_further<DB: database::Engine>(settings: &Settings) {
    let migrations = auth_service::store::MIGRATIONS;
    let database = Database::<DB>::open(settings, &migrations).await.unwrap();
    let mut connection = database.connect_writer().await.unwrap();
    let sql = "insert into _sqlx_migrations
                   (version, description, success, checksum, execution_time)
               select 999, description, success, checksum, execution_time from _sqlx_migrations
               where version = 1";
    Statement::<DB>::new(sql).all(&mut connection).await.unwrap();
}

async fn a_database_of_a_newer_version_is_left_alone(on: Engine) {
    let place = on.place("auth").await;
    let settings = Settings::new("test", &place.url).unwrap();
    on_engine!(settings, DB => migrate_further::<DB>(&settings).await);
    assert_refused(&place.url, "a newer version").await;
}

async fn a_server_that_is_not_there_is_told_at_once() {
    let said = "the database auth at 127.0.0.1:1 does not open: ";
    for said in [said, "refused"] {
        assert_refused("postgres://ann:hunter2@127.0.0.1:1/auth", said).await;
    }
    assert_refused("postgres://ann:hunter2@%2Fnowhere/auth", "No such file").await;
    let server = Server::start().await;
    let place = server.place().await;
    let (before, _) = place.url.rsplit_once('/').unwrap();
    assert_refused(&format!("{before}/nowhere"), "\"nowhere\" does not exist").await;
}

async fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = Server::start().await;
    let place = server.place().await;
    server.freeze();
    assert_refused(&place.url, "no answer in time").await;
}

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let garbage = b"hunter2, and no database at all ".repeat(1_000);
    fs::write(&path, &garbage).unwrap();
    assert_refused(&url(&path), "not a database").await;
    assert_eq!(fs::read(&path).unwrap(), garbage);
}

#[tokio::test]
async fn a_database_that_is_cut_short_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let settings = Settings::new("test", &url(&path)).unwrap();
    let migrations = auth_service::store::MIGRATIONS;
    Database::<database::Sqlite>::open(&settings, &migrations).await.unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [100, 4_096, 5_000, whole.len() - 4_096] {
        fs::write(&path, &whole[..length]).unwrap();
        for suffix in ["-wal", "-shm"] {
            let beside = directory.path().join(format!("auth.db{suffix}"));
            assert!(!beside.exists() || fs::remove_file(beside).is_ok());
        }
        assert_refused(&url(&path), "malformed").await;
    }
}
