//! Tokens across both services: verified without auth-service, through restarts and new keys.

use std::time::Duration;

use e2e::{AuthServer, Engine, TaskServer, on_every_engine, refused};
use shared::pb::{
    auth::{ListSigningKeysRequest, SigningKey, SigningKeyState},
    task::ListTasksRequest,
};
use tonic::Code;

on_every_engine!(
    task_service_works_and_starts_while_auth_service_is_dead,
    an_unknown_key_can_not_be_decided_upon_while_auth_service_is_dead,
    a_new_key_is_published_before_it_signs_and_the_old_one_goes_on_verifying,
);

async fn task_service_works_and_starts_while_auth_service_is_dead(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let task = TaskServer::start(&auth).await;
    let mut ann = task.register(&auth, "ann").await;
    let data = auth.stop().await;
    ann.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();

    let task = task.restart().await;
    let mut ann = ann.at(task.channel());
    ann.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    drop(data);
}

async fn an_unknown_key_can_not_be_decided_upon_while_auth_service_is_dead(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let task = TaskServer::start(&auth).await;
    task.register(&auth, "ann").await;
    let stranger = AuthServer::start_on(on).await.register("eve").await;
    let clock = auth.clock.clone();
    let fresh =
        refused(stranger.at(task.channel()).tasks.list_tasks(ListTasksRequest::default()).await);
    assert_eq!(fresh.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));

    let data = auth.stop().await;
    clock.advance(Duration::from_secs(11));
    let stale =
        refused(stranger.at(task.channel()).tasks.list_tasks(ListTasksRequest::default()).await);
    assert_eq!(stale.kind(), (Code::Unavailable, "TRUST_UNAVAILABLE"));
    assert!(stale.retry.is_some());
    drop(data);
}

async fn a_new_key_is_published_before_it_signs_and_the_old_one_goes_on_verifying(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let task = TaskServer::start(&auth).await;
    let mut ann = task.register(&auth, "ann").await;
    auth.operate("keys rotate").await.unwrap();
    // A server takes over at once what another process has made before its start.
    let auth = auth.restart_with([]).await;
    let states = |auth: &AuthServer| {
        let mut client = auth.anonymous().auth;
        async move {
            let keys = client.list_signing_keys(ListSigningKeysRequest {}).await.unwrap();
            keys.into_inner().signing_keys.iter().map(SigningKey::state).collect::<Vec<_>>()
        }
    };
    assert_eq!(states(&auth).await, [SigningKeyState::Active, SigningKeyState::Pending]);

    auth.clock.advance(Duration::from_mins(1));
    let auth = auth.restart_with([]).await;
    assert_eq!(states(&auth).await, [SigningKeyState::Retiring, SigningKeyState::Active]);
    let task = TaskServer::start(&auth).await;
    let mut bob = task.register(&auth, "bob").await;
    bob.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    ann = ann.at(task.channel());
    ann.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_ne!(header(&ann.token), header(&bob.token));
}
