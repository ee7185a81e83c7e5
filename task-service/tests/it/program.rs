//! The program itself: what it says, what it leaves behind, and how it ends.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use e2e::{
    AuthServer, Identity, SERVICE_SECRET, add_service,
    program::{Program, Running, mode, stderr, stdout},
};
use shared::pb::task::{CreateTaskRequest, ListTasksRequest, Task};
use tonic::Code;

use crate::api::{create_task, titled, titles};

pub(crate) const PROGRAM: Program =
    Program { file: env!("CARGO_BIN_EXE_task-service"), settings: &[("TASK_ADDR", "127.0.0.1:0")] };

#[tokio::test]
async fn every_fault_of_the_configuration_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "TASK_MISSPELT=1\nTASK_MAX_CALLS=0\n").unwrap();
    let settings = [
        ("TASK_ADDR", "0.0.0.0:50052"),
        ("TASK_TLS_KEY", "key.pem"),
        ("TASK_CALL_TIMEOUT", "30"),
        ("TASK_LOG_FORMAT", "xml"),
        ("TASK_DATABASE_URL", "mysql://ann:hunter2@db/task"),
        ("TASK_AUTH_URL", "http://auth.example.com"),
        ("TASK_TASK_QUOTA", "many"),
    ];
    for arguments in [[].as_slice(), &["serve"], &["migrate"]] {
        let output = PROGRAM.run(directory.path(), arguments, &settings).await;
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        let mut names: Vec<&str> =
            said.lines().map(|line| line.split(' ').next().unwrap()).collect();
        names.sort_unstable();
        let expected = [
            "TASK_ADDR",
            "TASK_AUTH_URL",
            "TASK_CALL_TIMEOUT",
            "TASK_DATABASE_URL",
            "TASK_LOG_FORMAT",
            "TASK_MAX_CALLS",
            "TASK_MISSPELT",
            "TASK_TASK_QUOTA",
            "TASK_TLS_CERT",
        ];
        assert_eq!(names, expected, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(stdout(&output), [""; 0]);
    }
    assert!(!directory.path().join("data").exists());
}

/// What a program proves to this auth-service that it is task-service with.
pub(crate) async fn registered(auth: &AuthServer) -> (&'static str, &'static str) {
    add_service(&auth.config(), "task-service").await;
    ("TASK_SERVICE_SECRET", SERVICE_SECRET)
}

/// The program, ready for the tokens of this auth-service.
async fn trusting(auth: &AuthServer, directory: &Path) -> Running {
    let (url, secret) = (auth.url(), registered(auth).await);
    let settings = [("TASK_AUTH_URL", url.as_str()), ("RUST_LOG", "trace"), secret];
    let running = PROGRAM.start(directory, &settings).await;
    running.healthy().await;
    running
}

/// Leaves the secret where `services add` does, beside the database.
async fn keep_secret(auth: &AuthServer, path: &Path) {
    let (_, secret) = registered(auth).await;
    fs::DirBuilder::new().mode(0o700).create(path.parent().unwrap()).unwrap();
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    writeln!(file, "{secret}").unwrap();
}

#[tokio::test]
async fn without_a_configuration_it_serves_and_keeps_what_it_is_told() {
    let auth = AuthServer::start_now().await;
    let token = auth.register("ann").await.token;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    keep_secret(&auth, &data.join("task.secret")).await;
    let url = auth.url();
    let settings = [("TASK_AUTH_URL", url.as_str())];
    let running = PROGRAM.start(directory.path(), &settings).await;
    running.healthy().await;
    create_task(&mut running.somebody(Identity::bearer(&token)), titled("kept")).await;
    assert_eq!(mode(&data), 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(data.join("task.db").exists());
    let (said, code) = running.end().await;
    assert_eq!(code, Some(0), "{said}");

    // What it trusts, it knows from before.
    let _place = auth.stop().await;
    let running = PROGRAM.start(directory.path(), &settings).await;
    running.healthy().await;
    assert_eq!(titles(&mut running.somebody(Identity::bearer(&token))).await, ["kept"]);
    assert_eq!(running.end().await.1, Some(0));
}

#[tokio::test]
async fn the_subcommands_do_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = PROGRAM.run(directory.path(), &["migrate"], &[]).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    assert_eq!(mode(&directory.path().join("data/task.db")), 0o600);
    let wrong = PROGRAM.run(directory.path(), &["nonsense"], &[]).await;
    assert_eq!(wrong.status.code(), Some(2));

    // Whose tokens it trusts, it can not hear of: it serves and is not ready.
    let lost = [("TASK_AUTH_URL", "http://127.0.0.1:1")];
    let unready = PROGRAM.start(directory.path(), &lost).await;
    let auth = AuthServer::start_now().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let ready = trusting(&auth, elsewhere.path()).await;
    for (running, code, text) in [(&unready, 1, "is not ready"), (&ready, 0, "")] {
        let addr = running.addr.to_string();
        let settings = [("TASK_ADDR", addr.as_str())];
        let output = PROGRAM.run(directory.path(), &["healthcheck"], &settings).await;
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(text), "{}", stderr(&output));
    }
    let addr = ready.addr.to_string();
    assert_eq!(ready.end().await.1, Some(0));
    let settings = [("TASK_ADDR", addr.as_str())];
    let output = PROGRAM.run(directory.path(), &["healthcheck"], &settings).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("does not answer"), "{}", stderr(&output));
}

#[tokio::test]
async fn what_it_can_not_start_with_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("foreign.db");
    fs::write(&file, "no database at all, but a text that is long enough to be one ".repeat(20))
        .unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, addr) =
        (format!("sqlite://{}", file.display()), taken.local_addr().unwrap().to_string());
    let cases = [
        (("TASK_DATABASE_URL", url.as_str()), "database"),
        (("TASK_ADDR", addr.as_str()), addr.as_str()),
    ];
    for (setting, named) in cases {
        let settings = [("TASK_ADDR", "127.0.0.1:0"), ("RUST_LOG", "warn"), setting];
        let output = PROGRAM.run(directory.path(), &["serve"], &settings).await;
        let said = stderr(&output);
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(named), "{said}");
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept.starts_with("no database at all"), "it is left as it was");
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let auth = AuthServer::start_now().await;
    let token = auth.register("annabel").await.token;
    let directory = tempfile::tempdir().unwrap();
    let running = trusting(&auth, directory.path()).await;
    let mut ann = running.somebody(Identity::bearer(&token));
    let private = Task { description: "a diagnosis".to_owned(), ..titled("a rendezvous") };
    create_task(&mut ann, private.clone()).await;
    let tampered = format!("{token}x");
    let mut eve = running.somebody(Identity::bearer(&tampered));
    let request = CreateTaskRequest { task: Some(private), ..Default::default() };
    let refused = e2e::refused(eve.tasks.create_task(request).await);
    assert_eq!(refused.code, Code::Unauthenticated);
    let request = ListTasksRequest { page_size: 1, ..ListTasksRequest::default() };
    ann.tasks.list_tasks(request).await.unwrap();
    let (said, _) = running.end().await;

    assert!(said.contains("a token is refused"), "it says what it does: {said}");
    let parts = token.split('.').skip(1);
    for secret in
        [&token, "a diagnosis", "a rendezvous", "annabel", SERVICE_SECRET].into_iter().chain(parts)
    {
        assert!(!said.contains(secret), "{secret}");
    }
}
