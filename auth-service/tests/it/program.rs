//! The program itself: what it says, what it leaves behind, and how it ends.

use std::{fs, path::Path, process::Command, time::Duration};

use e2e::{
    Identity, PASSWORD,
    program::{Program, mode, stderr, stdout},
    tls::Authority,
};
use tempfile::TempDir;
use tokio::{task::spawn_blocking, time::timeout};

use crate::api::{account, credentials, logs_in, me, register, tokens};

pub(crate) const SECRET: &str = "correct-horse-battery-staple-0001";
const OTHER_SECRET: &str = "another-horse-battery-staple-0002";

/// How long the program may take for anything.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) const PROGRAM: Program = Program {
    file: env!("CARGO_BIN_EXE_auth-service"),
    settings: &[("AUTH_ADDR", "127.0.0.1:0"), ("AUTH_HASH_THREADS", "1")],
};

#[tokio::test]
async fn every_fault_of_the_configuration_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "AUTH_MISSPELT=1\nAUTH_HASH_PASSES=99\n").unwrap();
    let settings = [
        ("AUTH_ADDR", "0.0.0.0:50051"),
        ("AUTH_DATABASE_URL", "mysql://ann:hunter2@db/auth"),
        ("AUTH_SECRET_KEY", "hunter2"),
        ("AUTH_ACCESS_TOKEN_TTL", "25h"),
    ];
    for arguments in [[].as_slice(), &["serve"], &["migrate"], &["keys", "list"]] {
        let output = PROGRAM.run(directory.path(), arguments, &settings).await;
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        let names: Vec<&str> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let expected = [
            "AUTH_ADDR",
            "AUTH_DATABASE_URL",
            "AUTH_SECRET_KEY",
            "AUTH_ACCESS_TOKEN_TTL",
            "AUTH_HASH_PASSES",
            "AUTH_MISSPELT",
        ];
        assert_eq!(names, expected, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(stdout(&output), [""; 0]);
    }
    assert!(!directory.path().join("data").exists());
}

#[tokio::test]
async fn another_secret_key_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let with = |secret| [("AUTH_SECRET_KEY", secret), ("AUTH_ADDR", "127.0.0.1:0")];
    for arguments in [["migrate"].as_slice(), &["keys", "rotate"]] {
        let made = PROGRAM.run(directory.path(), arguments, &with(SECRET)).await;
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    }
    assert!(!directory.path().join("data/auth.key").exists());
    for arguments in [["serve"].as_slice(), &["keys", "rotate"]] {
        let settings = [with(OTHER_SECRET).as_slice(), &[("RUST_LOG", "warn")]].concat();
        let output = PROGRAM.run(directory.path(), arguments, &settings).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("AUTH_SECRET_KEY"), "{said}");
        assert!(!said.contains(SECRET) && !said.contains(OTHER_SECRET), "{said}");
    }
    let file = directory.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let settings = [("AUTH_SECRET_KEY_FILE", file.to_str().unwrap())];
    PROGRAM.start(directory.path(), &settings).await.end().await;
}

#[tokio::test]
async fn a_key_file_that_is_lost_is_not_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let running = PROGRAM.start(directory.path(), &[]).await;
    register(&mut running.somebody(Identity::default()), account("ann")).await;
    running.end().await;
    let file = directory.path().join("data/auth.key");
    fs::remove_file(&file).unwrap();
    let output = PROGRAM.run(directory.path(), &["serve"], &[("AUTH_ADDR", "127.0.0.1:0")]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("data/auth.key"), "{}", stderr(&output));
    assert!(!file.exists());
}

#[tokio::test]
async fn without_a_configuration_it_serves_and_keeps_what_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let running = PROGRAM.start(directory.path(), &[]).await;
    let mut somebody = running.somebody(Identity::default());
    let ann = register(&mut somebody, account("ann")).await;
    let token = tokens(&mut somebody, credentials("ann", PASSWORD)).await.access_token;
    let data = directory.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(data.join("auth.db").exists() && data.join("auth.key").exists());
    let (said, code) = running.end().await;
    assert_eq!(code, Some(0), "{said}");

    let running = PROGRAM.start(directory.path(), &[]).await;
    assert!(logs_in(&mut running.somebody(Identity::default()), "ann", PASSWORD).await);
    assert_eq!(me(&mut running.somebody(Identity::bearer(&token))).await, ann);
    assert_eq!(running.end().await.1, Some(0));
}

#[tokio::test]
async fn the_subcommands_do_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let call = async |arguments: &[&str]| PROGRAM.run(directory.path(), arguments, &[]).await;
    for arguments in [["keys", "list"], ["keys", "rotate"]] {
        let refused = call(&arguments).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("no database data/auth.db"), "{}", stderr(&refused));
        assert!(!directory.path().join("data").exists());
    }
    for _ in 0..2 {
        let output = call(&["migrate"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    assert_eq!(mode(&directory.path().join("data/auth.db")), 0o600);
    let none = call(&["keys", "list"]).await;
    assert_eq!((none.status.code(), stdout(&none)), (Some(0), vec![]));

    let rotated = call(&["keys", "rotate"]).await;
    assert_eq!(rotated.status.code(), Some(0), "{}", stderr(&rotated));
    let (kid, rest) = stdout(&rotated)[0].split_once(' ').map(own).unwrap();
    let time = rest.strip_prefix("signs from ").unwrap();
    let listed = stdout(&call(&["keys", "list"]).await);
    let words: Vec<Vec<&str>> =
        listed.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words.len(), 2, "{listed:?}");
    assert_eq!(words[0][1], "ACTIVE");
    assert_eq!(words[1], [&kid, "PENDING", time]);

    let again = call(&["keys", "rotate"]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains(&kid), "{}", stderr(&again));
    assert_eq!(stdout(&call(&["keys", "list"]).await), listed);
    assert_eq!(call(&["keys", "nonsense"]).await.status.code(), Some(2));
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let directory = TempDir::new().unwrap();
    let settings = [("RUST_LOG", "trace")];
    let running = PROGRAM.start(directory.path(), &settings).await;
    let mut somebody = running.somebody(Identity::default());
    let wrong = "wrong horse eats staples";
    register(&mut somebody, account("annabel")).await;
    let token = tokens(&mut somebody, credentials("annabel", PASSWORD)).await.access_token;
    assert!(!logs_in(&mut somebody, "annabel", wrong).await);
    assert!(!logs_in(&mut somebody, wrong, wrong).await);
    let mut ann = running.somebody(Identity::bearer(&token));
    me(&mut ann).await;
    let tampered = format!("{token}x");
    let answer = running.somebody(Identity::bearer(&tampered)).users;
    let request = shared::pb::auth::GetCurrentUserRequest {};
    e2e::refused({ answer }.get_current_user(request).await);
    let file = fs::read_to_string(directory.path().join("data/auth.key")).unwrap();
    let (said, _) = running.end().await;

    assert!(said.contains("a token is refused"), "it says what it does: {said}");
    let parts = token.split('.').skip(1);
    for secret in
        [PASSWORD, wrong, &token, file.trim(), "$argon2", "annabel@"].into_iter().chain(parts)
    {
        assert!(!said.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_read_holds_nothing_up() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let (cert, key) = authority.issue("localhost");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (cert_path, key_path) = (path(&cert), path(&key));
    let settings = [("AUTH_TLS_CERT", cert_path.as_str()), ("AUTH_TLS_KEY", &key_path)];
    let running = PROGRAM.start(directory.path(), &settings).await;
    fs::remove_file(&cert).unwrap();
    assert!(Command::new("mkfifo").arg(&cert).status().unwrap().success());
    // This succeeds when the program begins to read, which it will for as long as nothing comes.
    let writer = spawn_blocking(move || fs::OpenOptions::new().write(true).open(cert));
    let _writer = timeout(PATIENCE, writer).await.unwrap().unwrap().unwrap();
    let (said, code) = timeout(PATIENCE, running.end()).await.expect("it ends all the same");
    assert_eq!(code, Some(0), "{said}");
}
