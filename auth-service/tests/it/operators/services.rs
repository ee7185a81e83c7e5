//! `services add`, `services list`, `services remove`.

use std::fs;

use e2e::{
    AuthServer, Engine, on_every_engine,
    program::{mode, stderr, stdout},
    refused,
};
use shared::pb::auth::IssueServiceTokenRequest;
use tonic::Code;

use super::fault;
use crate::program::PROGRAM;

on_every_engine!(
    a_secret_is_printed_once_and_never_again,
    a_secret_is_kept_in_a_file_that_is_made_for_its_owner,
    a_secret_that_is_too_short_is_refused,
    what_can_be_no_service_is_refused,
);

/// Whether a service gets a token for this secret.
async fn is_let_in(server: &AuthServer, service: &str, secret: &str) -> bool {
    let (service, secret) = (service.to_owned(), secret.to_owned());
    let request = IssueServiceTokenRequest { service, secret };
    match server.anonymous().auth.issue_service_token(request).await {
        Ok(_) => true,
        refusal => {
            let refused = refused(refusal);
            assert_eq!(refused.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
            false
        }
    }
}

async fn a_secret_is_printed_once_and_never_again(on: Engine) {
    let server = AuthServer::start_on(on).await;
    assert_eq!(server.operate("services list").await.unwrap(), "");
    let secret = server.operate("services add task-service").await.unwrap();
    let secret = secret.strip_suffix('\n').unwrap();
    assert_eq!((secret.len(), secret.lines().count()), (43, 1), "256 bits");
    assert!(is_let_in(&server, "task-service", secret).await);
    let again = fault(server.operate("services add task-service").await);
    assert!(again.contains("remove it first") && !again.contains(secret), "{again}");
    assert!(is_let_in(&server, "task-service", secret).await, "it is as it was");
    let list = server.operate("services list").await.unwrap();
    let now: prost_types::Timestamp = server.clock.now().into();
    assert_eq!(list, format!("task-service trust.watch,erasure.confirm {now}\n"));

    let said = server.operate("services remove task-service").await.unwrap();
    assert_eq!(said, "task-service is removed, its tokens have ended\n");
    assert!(!is_let_in(&server, "task-service", secret).await);
    let gone = fault(server.operate("services remove task-service").await);
    assert_eq!(gone, "there is no such service");
    assert_eq!(server.operate("services list").await.unwrap(), "");
    let other = server.operate("services add task-service").await.unwrap();
    assert_ne!(other.trim(), secret);
    assert!(!is_let_in(&server, "task-service", secret).await);
}

async fn a_secret_is_kept_in_a_file_that_is_made_for_its_owner(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("task-service.secret");
    let add = |name: &str, path: &std::path::Path| {
        format!("services add {name} --secret-file {}", path.display())
    };
    for _ in 0..2 {
        let said = server.operate(&add("task-service", &path)).await.unwrap();
        assert_eq!(said, format!("task-service is registered by {}\n", path.display()));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
    let secret = fs::read_to_string(&path).unwrap();
    assert!(is_let_in(&server, "task-service", secret.trim_end()).await);
    let other = directory.path().join("other.secret");
    let said = fault(server.operate(&add("task-service", &other)).await);
    assert!(said.contains("with another secret"), "{said}");
    assert!(is_let_in(&server, "task-service", secret.trim_end()).await);
    // One secret for two is no fault; a directory that is not there is.
    server.operate(&add("other", &path)).await.unwrap();
    let nowhere = directory.path().join("nowhere/secret");
    let said = fault(server.operate(&add("third", &nowhere)).await);
    assert!(said.contains("nowhere/secret can not be read"), "{said}");
    let list = server.operate("services list").await.unwrap();
    assert_eq!(list.lines().count(), 2);
    assert!(!list.contains(secret.trim_end()), "{list}");
}

async fn a_secret_that_is_too_short_is_refused(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let (short, long) = ("s".repeat(31), "s".repeat(513));
    for bad in ["", "   \n", "short\n", &short, &format!("{short}\r\n"), &long] {
        fs::write(&path, bad).unwrap();
        let line = format!("services add task-service --secret-file {}", path.display());
        let said = fault(server.operate(&line).await);
        assert!(!said.contains("sssss") && said.contains("secret"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), bad, "the file is left as it is");
    }
    assert_eq!(server.operate("services list").await.unwrap(), "");
}

async fn what_can_be_no_service_is_refused(on: Engine) {
    let server = AuthServer::start_on(on).await;
    for (line, because) in [
        ("services add a,b", "a service's name must be"),
        ("services add 01234567-89ab-7def-8123-456789abcdef", "a service's name must be"),
        ("services add a --scope nothing", "there is no scope nothing"),
        ("services add a --scope trust.watch --scope x", "there is no scope x"),
    ] {
        let said = fault(server.operate(line).await);
        assert!(said.contains(because), "{said}");
    }
    assert_eq!(server.operate("services list").await.unwrap(), "");
}

#[tokio::test]
async fn the_program_prints_the_secret_and_logs_none() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("RUST_LOG", "trace")];
    let call = async |arguments: &[&str]| {
        let output = PROGRAM.run(directory.path(), arguments, &settings).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        (stdout(&output), stderr(&output))
    };
    let mut said = call(&["migrate"]).await.1;
    let (printed, log) = call(&["services", "add", "task-service"]).await;
    said += &log;
    let [secret] = printed.try_into().unwrap();
    let file = directory.path().join("other.secret");
    let path = file.to_str().unwrap();
    let (printed, log) = call(&["services", "add", "other", "--secret-file", path]).await;
    assert_eq!(printed, [format!("other is registered by {path}")]);
    said += &log;
    for arguments in [["services", "list"].as_slice(), &["keys", "rotate"], &["trust", "reset"]] {
        let (printed, log) = call(arguments).await;
        said = said + &printed.join("\n") + &log;
    }
    let kept = fs::read_to_string(file).unwrap();
    let key = fs::read_to_string(directory.path().join("data/auth.key")).unwrap();
    for secret in [secret.as_str(), kept.trim_end(), key.trim_end()] {
        assert!(secret.len() >= 32 && !said.contains(secret));
    }

    // Nothing on standard input is no password.
    let arguments = ["users", "set-password", "ann"];
    let output = PROGRAM.run(directory.path(), &arguments, &[("RUST_LOG", "warn")]).await;
    assert_eq!((output.status.code(), stdout(&output).len()), (Some(1), 0));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("there is no such user"), "{}", stderr(&output));
}
