//! `AuthService.GetErasure`.

use std::time::Duration;

use e2e::{AuthServer, Engine, on_every_engine, refused};
use prost_types::Timestamp;
use shared::pb::auth::{Erasure, ErasureConfirmation, ErasureState};
use tonic::Code;
use uuid::Uuid;

use super::{
    erasing::{
        CONFIRMED, PENDING, REMOVED, acknowledge, ask, complete, confirmed_here, deleted, erasure,
        services, state, token_with_scope,
    },
    invalid, service_token, session,
};

on_every_engine!(
    it_is_complete_when_every_service_has_confirmed,
    without_other_services_it_is_complete_by_itself,
    a_service_that_is_removed_is_not_waited_for,
    a_service_that_loses_the_scope_is_not_waited_for,
    a_service_that_comes_later_has_no_part,
    nobody_finds_what_is_not_there,
);

const SECOND: Duration = Duration::from_secs(1);

fn time(server: &AuthServer) -> Timestamp {
    server.clock.now().into()
}

async fn it_is_complete_when_every_service_has_confirmed(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (notes, tasks) =
        (service_token(&server, "notes").await, service_token(&server, "tasks").await);
    token_with_scope(&server, "watcher", "trust.watch").await;
    let mut ann = server.register("ann").await;
    session(&server, "ann").await;
    let begun = deleted(&mut ann).await;
    let begin_time = time(&server);
    let pending = confirmed_here(&server, &begun.id).await;
    assert_eq!(services(&pending), ["auth-service", "notes", "tasks"]);
    assert_eq!((pending.state(), pending.complete_time), (ErasureState::Pending, None));
    assert_eq!(["notes", "tasks"].map(|name| state(&pending, name)), [PENDING; 2]);

    server.clock.advance(SECOND);
    let first_time = time(&server);
    acknowledge(&server, &tasks, &ann.user.id, &[("tasks", 12), ("projects", 0)]).await.unwrap();
    let one_left = erasure(&server, &begun.id).await;
    assert_eq!((one_left.state(), one_left.complete_time), (ErasureState::Pending, None));
    server.clock.advance(SECOND);
    acknowledge(&server, &notes, &ann.user.id, &[]).await.unwrap();
    let part =
        |service: &str, confirm_time: Timestamp, counts: &[(&str, i64)]| ErasureConfirmation {
            service: service.to_owned(),
            state: CONFIRMED.into(),
            confirm_time: Some(confirm_time),
            deleted_counts: counts.iter().map(|(kind, it)| ((*kind).to_owned(), *it)).collect(),
        };
    let expected = Erasure {
        id: begun.id.clone(),
        state: ErasureState::Complete.into(),
        create_time: Some(begin_time),
        complete_time: Some(time(&server)),
        confirmations: vec![
            part("auth-service", begin_time, &[("accounts", 1), ("sessions", 2)]),
            part("notes", time(&server), &[]),
            part("tasks", first_time, &[("tasks", 12), ("projects", 0)]),
        ],
    };
    assert_eq!(erasure(&server, &begun.id).await, expected);
    server.clock.advance(SECOND);
    let server = server.restart_with([]).await;
    assert_eq!(erasure(&server, &begun.id).await, expected, "complete once and for ever");
}

async fn without_other_services_it_is_complete_by_itself(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let begun = deleted(&mut server.register("ann").await).await;
    let complete = complete(&server, &begun.id).await;
    assert_eq!(services(&complete), ["auth-service"]);
    assert_eq!(complete.complete_time, Some(time(&server)));
}

async fn a_service_that_is_removed_is_not_waited_for(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let notes = service_token(&server, "notes").await;
    service_token(&server, "tasks").await;
    let mut ann = server.register("ann").await;
    let id = deleted(&mut ann).await.id;
    acknowledge(&server, &notes, &ann.user.id, &[("notes", 3)]).await.unwrap();
    confirmed_here(&server, &id).await;
    let confirm_time = time(&server);
    server.clock.advance(SECOND);
    server.operate("services remove tasks").await.unwrap();
    let done = erasure(&server, &id).await;
    assert_eq!((done.state(), done.complete_time), (ErasureState::Complete, Some(time(&server))));
    let removed = &done.confirmations[2];
    assert_eq!((removed.state(), removed.confirm_time), (REMOVED, None));
    assert!(removed.deleted_counts.is_empty());

    // Who has confirmed stays so when it is removed.
    server.clock.advance(SECOND);
    server.operate("services remove notes").await.unwrap();
    let after = erasure(&server, &id).await;
    assert_eq!(
        (state(&after, "notes"), after.confirmations[1].confirm_time),
        (CONFIRMED, Some(confirm_time))
    );
    assert_eq!(after, done);
}

async fn a_service_that_loses_the_scope_is_not_waited_for(on: Engine) {
    let server = AuthServer::start_on(on).await;
    service_token(&server, "tasks").await;
    let mut ann = server.register("ann").await;
    let id = deleted(&mut ann).await.id;
    token_with_scope(&server, "tasks", "erasure.confirm").await;
    assert_eq!(state(&confirmed_here(&server, &id).await, "tasks"), PENDING, "it has it still");
    token_with_scope(&server, "tasks", "trust.watch").await;
    let done = erasure(&server, &id).await;
    assert_eq!((done.state(), state(&done, "tasks")), (ErasureState::Complete, REMOVED));
    let mut bob = server.register("bob").await;
    let next = deleted(&mut bob).await.id;
    assert_eq!(services(&complete(&server, &next).await), ["auth-service"]);
}

async fn a_service_that_comes_later_has_no_part(on: Engine) {
    let server = AuthServer::start_on(on).await;
    token_with_scope(&server, "early", "trust.watch").await;
    let mut ann = server.register("ann").await;
    let id = deleted(&mut ann).await.id;
    complete(&server, &id).await;
    let late = service_token(&server, "late").await;
    token_with_scope(&server, "early", "erasure.confirm").await;
    assert_eq!(services(&erasure(&server, &id).await), ["auth-service"]);
    acknowledge(&server, &late, &ann.user.id, &[("tasks", 1)]).await.unwrap();
    assert_eq!(services(&erasure(&server, &id).await), ["auth-service"], "nobody waits for it");
    let mut bob = server.register("bob").await;
    let next = deleted(&mut bob).await.id;
    let next = erasure(&server, &next).await;
    assert_eq!(services(&next), ["auth-service", "early", "late"]);
}

async fn nobody_finds_what_is_not_there(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let id = deleted(&mut ann).await.id;
    for nothing in [Uuid::new_v4(), Uuid::nil(), ann.user.id.parse().unwrap()] {
        let refusal = refused(ask(&server, &nothing.to_string()).await);
        assert_eq!(refusal.kind(), (Code::NotFound, "ERASURE_NOT_FOUND"), "{nothing}");
    }
    for malformed in ["", "x", &id[1..], &format!("{id} "), "' or '1'='1"] {
        assert_eq!(invalid(ask(&server, malformed).await), ["id"], "{malformed}");
    }
    assert_eq!(erasure(&server, &id.to_uppercase()).await.id, id);
}
