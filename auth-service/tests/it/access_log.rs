//! What the log tells of each call.

use e2e::{
    Identity, Person,
    load::with_id,
    program::{Running, calls},
};
use shared::pb::auth::{GetCurrentUserRequest, ListSigningKeysRequest, RegisterRequest};
use tempfile::TempDir;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::program::PROGRAM;

async fn start(directory: &TempDir, settings: &[(&str, &str)]) -> (Running, Person) {
    let running = PROGRAM.start(directory.path(), settings).await;
    running.healthy().await;
    let somebody = running.somebody(Identity::default());
    (running, somebody)
}

/// A good call, one that is refused, a bad one, and one for the health.
async fn call_each(running: &Running, somebody: &mut Person) {
    let id = |id: &'static str| id.parse().unwrap();
    somebody.auth.list_signing_keys(with_id(ListSigningKeysRequest {}, id("good"))).await.unwrap();
    let request = with_id(GetCurrentUserRequest {}, id("refused"));
    let refused = somebody.users.get_current_user(request).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let request = with_id(RegisterRequest::default(), id("bad"));
    let bad = somebody.auth.register(request).await;
    assert_eq!(bad.unwrap_err().code(), Code::InvalidArgument);
    let request = with_id(HealthCheckRequest::default(), id("health"));
    HealthClient::new(running.channel()).check(request).await.unwrap();
}

#[tokio::test]
async fn each_call_is_one_line_of_json() {
    let directory = TempDir::new().unwrap();
    let settings = [("AUTH_LOG_FORMAT", "json"), ("RUST_LOG", "info,access=debug")];
    let (running, mut somebody) = start(&directory, &settings).await;
    call_each(&running, &mut somebody).await;
    let (said, _) = running.end().await;
    let mut calls = calls(&said);
    calls.retain(|call| ["good", "refused", "bad", "health"].contains(&call.id.as_str()));
    let told: Vec<_> = calls
        .iter()
        .map(|call| (call.id.as_str(), call.level.as_str(), call.rpc.as_str(), call.code.as_str()))
        .collect();
    let auth = |rpc: &str| format!("/taskmanager.auth.v1.{rpc}");
    let [keys, user, register] =
        ["AuthService/ListSigningKeys", "UserService/GetCurrentUser", "AuthService/Register"]
            .map(auth);
    let expected = [
        ("good", "INFO", keys.as_str(), "OK"),
        ("refused", "INFO", user.as_str(), "Unauthenticated"),
        ("bad", "INFO", register.as_str(), "InvalidArgument"),
        ("health", "DEBUG", "/grpc.health.v1.Health/Check", "OK"),
    ];
    assert_eq!(told, expected, "{said}");
    for call in calls {
        assert!(call.peer.ip().is_loopback() && call.ms >= 0.0, "{call:?}");
    }
}

#[tokio::test]
async fn each_call_is_one_line_of_text_and_questions_for_health_are_not_told() {
    let directory = TempDir::new().unwrap();
    let (running, mut somebody) = start(&directory, &[]).await;
    call_each(&running, &mut somebody).await;
    let (said, _) = running.end().await;
    let line = |id: &str| {
        let id = format!("id=\"{id}\"");
        let lines: Vec<_> = said.lines().filter(|line| line.contains(&id)).collect();
        lines.into_iter().filter(|line| line.contains(" access: ")).collect::<Vec<_>>()
    };
    for (id, code) in [("good", "OK"), ("refused", "Unauthenticated"), ("bad", "InvalidArgument")] {
        let code = format!("code=\"{code}\"");
        assert_eq!(line(id).len(), 1, "{id} in {said}");
        assert!(
            line(id).iter().all(|line| line.contains(&code) && line.contains("peer=127.0.0.1"))
        );
    }
    assert!(line("health").is_empty() && !said.contains("grpc.health.v1"), "{said}");
}
