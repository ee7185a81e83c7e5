//! `TrustService.AcknowledgeErasure`.

use std::time::Duration;

use e2e::{AuthServer, Engine, Person, on_every_engine, refused};
use shared::pb::auth::ErasureState;
use tonic::Code;
use uuid::Uuid;

use super::{
    erasing::{
        CONFIRMED, PENDING, REMOVED, acknowledge, complete, confirmed_here, deleted, erasure,
        state, token_with_scope,
    },
    invalid, service_token,
};

on_every_engine!(
    only_the_first_confirmation_counts,
    a_service_confirms_for_itself_alone,
    a_service_that_was_removed_stays_so,
    who_has_not_been_deleted_can_not_be_confirmed,
    counts_have_limits,
    it_takes_a_service_with_the_scope,
);

/// A server with one user who is deleted; and the id of the erasure.
async fn start(on: Engine, services: &[&str]) -> (AuthServer, Person, String) {
    let server = AuthServer::start_on(on).await;
    for service in services {
        service_token(&server, service).await;
    }
    let mut ann = server.register("ann").await;
    let id = deleted(&mut ann).await.id;
    confirmed_here(&server, &id).await;
    (server, ann, id)
}

async fn only_the_first_confirmation_counts(on: Engine) {
    let (server, ann, id) = start(on, &["tasks"]).await;
    let token = service_token(&server, "tasks").await;
    acknowledge(&server, &token, &ann.user.id, &[("tasks", 12)]).await.unwrap();
    let first = erasure(&server, &id).await;
    assert_eq!(first.state(), ErasureState::Complete);
    server.clock.advance(Duration::from_secs(1));
    for counts in [[("tasks", 12)].as_slice(), &[("tasks", 0), ("projects", 1)], &[]] {
        acknowledge(&server, &token, &ann.user.id, counts).await.unwrap();
        assert_eq!(erasure(&server, &id).await, first);
    }
    acknowledge(&server, &token, &ann.user.id.to_uppercase(), &[]).await.unwrap();
}

async fn a_service_confirms_for_itself_alone(on: Engine) {
    let (server, ann, id) = start(on, &["notes", "tasks"]).await;
    let notes = service_token(&server, "notes").await;
    let nobody_asks = service_token(&server, "later").await;
    acknowledge(&server, &nobody_asks, &ann.user.id, &[("notes", 9)]).await.unwrap();
    assert_eq!(erasure(&server, &id).await.state(), ErasureState::Pending);
    for _ in 0..2 {
        acknowledge(&server, &notes, &ann.user.id, &[("notes", 3)]).await.unwrap();
        let now = erasure(&server, &id).await;
        assert_eq!(["notes", "tasks"].map(|name| state(&now, name)), [CONFIRMED, PENDING]);
        assert_eq!(now.confirmations[1].deleted_counts, [("notes".to_owned(), 3)].into());
        assert_eq!(now.state(), ErasureState::Pending);
    }
}

async fn a_service_that_was_removed_stays_so(on: Engine) {
    let (server, ann, id) = start(on, &["tasks"]).await;
    server.clock.advance(Duration::from_secs(1));
    server.operate("services remove tasks").await.unwrap();
    let complete = complete(&server, &id).await;
    assert_eq!(state(&complete, "tasks"), REMOVED);
    server.clock.advance(Duration::from_secs(1));
    let token = service_token(&server, "tasks").await;
    assert_eq!(erasure(&server, &id).await, complete, "it is not asked again");
    acknowledge(&server, &token, &ann.user.id, &[("tasks", 12)]).await.unwrap();
    assert_eq!(erasure(&server, &id).await, complete, "nobody knows whether it is the same");
}

async fn who_has_not_been_deleted_can_not_be_confirmed(on: Engine) {
    let (server, _, id) = start(on, &["tasks"]).await;
    let token = service_token(&server, "tasks").await;
    let bob = server.register("bob").await;
    // The id of an erasure is not that of a user.
    for nobody in [&bob.user.id, &Uuid::new_v4().to_string(), &Uuid::nil().to_string(), &id] {
        let refusal = refused(acknowledge(&server, &token, nobody, &[]).await);
        assert_eq!(refusal.kind(), (Code::NotFound, "ERASURE_NOT_FOUND"), "{nobody}");
    }
    for malformed in ["", "x", "' or '1'='1"] {
        let answer = acknowledge(&server, &token, malformed, &[]).await;
        assert_eq!(invalid(answer), ["user_id"], "{malformed}");
    }
    assert_eq!(state(&erasure(&server, &id).await, "tasks"), PENDING);
    assert_eq!(super::me(&mut server.bearer(&bob.token)).await, bob.user);
}

async fn counts_have_limits(on: Engine) {
    let (server, ann, id) = start(on, &["tasks"]).await;
    let token = service_token(&server, "tasks").await;
    let kinds: Vec<String> = (0..33).map(|kind| format!("kind_{kind}")).collect();
    let kinds: Vec<(&str, i64)> = kinds.iter().map(|kind| (kind.as_str(), i64::MAX)).collect();
    let (longest, long) = ("k".repeat(64), "k".repeat(65));
    for bad in [&kinds[..], &[("tasks", -1)], &[("Tasks", 1)], &[("", 1)], &[(long.as_str(), 1)]] {
        let answer = acknowledge(&server, &token, &ann.user.id, bad).await;
        assert_eq!(invalid(answer), ["deleted_counts"], "{bad:?}");
    }
    let answer = acknowledge(&server, &token, "x", &[("tasks", -1)]).await;
    assert_eq!(invalid(answer), ["user_id", "deleted_counts"]);
    assert_eq!(state(&erasure(&server, &id).await, "tasks"), PENDING);
    let most: Vec<_> = kinds[..31].iter().copied().chain([(longest.as_str(), 0)]).collect();
    acknowledge(&server, &token, &ann.user.id, &most).await.unwrap();
    let counts = &erasure(&server, &id).await.confirmations[1].deleted_counts;
    assert_eq!(counts.len(), 32);
    assert!(most.iter().all(|(kind, count)| counts.get(*kind) == Some(count)));
}

async fn it_takes_a_service_with_the_scope(on: Engine) {
    let (server, ann, id) = start(on, &["tasks"]).await;
    let bob = server.register("bob").await;
    let user = refused(acknowledge(&server, &bob.token, &ann.user.id, &[]).await);
    assert_eq!(user.kind(), (Code::PermissionDenied, "SERVICE_TOKEN_REQUIRED"));
    let watcher = token_with_scope(&server, "watcher", "trust.watch").await;
    let other = refused(acknowledge(&server, &watcher, &ann.user.id, &[]).await);
    assert_eq!(other.kind(), (Code::PermissionDenied, "SCOPE_MISSING"));
    let eraser = token_with_scope(&server, "tasks", "erasure.confirm").await;
    acknowledge(&server, &eraser, &ann.user.id, &[]).await.unwrap();
    assert_eq!(erasure(&server, &id).await.state(), ErasureState::Complete);
}
