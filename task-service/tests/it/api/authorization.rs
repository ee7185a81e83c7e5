//! Who is let in.

use std::time::Duration;

use e2e::{AuthServer, Engine, Identity, PASSWORD, Person, TaskServer, on_every_engine, refused};
use shared::pb::{auth::LoginRequest, task::ListTasksRequest};
use tonic::{Code, metadata::AsciiMetadataValue};

use super::Scene;

on_every_engine!(
    without_one_well_formed_authorization_nobody_is_let_in,
    a_token_that_is_not_the_issuers_is_refused,
    a_token_for_other_services_is_refused,
    a_token_of_another_issuer_name_is_refused,
    a_token_ends_also_one_that_was_good_a_moment_ago,
);

async fn refusal(mut person: Person) -> (Code, String) {
    let refused = refused(person.tasks.list_tasks(ListTasksRequest::default()).await);
    (refused.code, refused.reason)
}

fn sending(scene: &Scene, values: &[&str]) -> Person {
    let values = values.iter().map(|value| value.parse::<AsciiMetadataValue>().unwrap());
    Person::new("somebody", scene.server.channel(), Identity(values.collect()))
}

async fn without_one_well_formed_authorization_nobody_is_let_in(on: Engine) {
    let scene = Scene::new(on).await;
    let good = format!("Bearer {}", scene.ann.token);
    assert_eq!(
        refusal(scene.server.anonymous()).await,
        (Code::Unauthenticated, "TOKEN_MISSING".to_owned())
    );
    let token = &scene.ann.token;
    for values in [
        vec![good.as_str(), good.as_str()],
        vec![good.as_str(), "Basic YTpi"],
        vec![""],
        vec!["Bearer"],
        vec!["Bearer "],
        vec![token],
        vec![&format!("Basic {token}")],
        vec![&format!("Bearer  {token}")],
        vec![&format!("Bearer {token} {token}")],
        vec![&format!("Bearer {token},")],
    ] {
        assert_eq!(
            refusal(sending(&scene, &values)).await,
            (Code::Unauthenticated, "TOKEN_INVALID".to_owned()),
            "{values:?}"
        );
    }
    for good in [&good, &format!("bearer {token}"), &format!("BEARER {token}")] {
        let mut somebody = sending(&scene, &[good]);
        somebody.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    }
}

async fn a_token_that_is_not_the_issuers_is_refused(on: Engine) {
    let scene = Scene::new(on).await;
    let (head, signature) = scene.ann.token.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIn0";
    let stranger = AuthServer::start_on(on).await.register("ann").await;
    for token in [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{}.{signature}", payload.replace('A', "B")),
        format!("{head}.{}", "A".repeat(86)),
        "a".repeat(5_000),
        stranger.token,
    ] {
        assert_eq!(
            refusal(scene.server.bearer(&token)).await,
            (Code::Unauthenticated, "TOKEN_INVALID".to_owned()),
            "{token}"
        );
    }
}

async fn a_token_for_other_services_is_refused(on: Engine) {
    let mut scene = Scene::new(on).await;
    let request = LoginRequest {
        login: "ann".to_owned(),
        password: PASSWORD.to_owned(),
        audiences: vec!["auth-service".to_owned()],
        ..LoginRequest::default()
    };
    let mut anonymous = scene.auth.anonymous();
    let tokens = anonymous.auth.login(request).await.unwrap().into_inner().tokens.unwrap();
    assert_eq!(
        refusal(scene.server.bearer(&tokens.access_token)).await,
        (Code::Unauthenticated, "TOKEN_INVALID".to_owned())
    );
    scene.ann.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
}

async fn a_token_of_another_issuer_name_is_refused(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let server = TaskServer::start_with(&auth, [("TASK_ISSUER", "somebody-else")]).await;
    let ann = server.register(&auth, "ann").await;
    assert_eq!(refusal(ann).await, (Code::Unauthenticated, "TOKEN_INVALID".to_owned()));
}

async fn a_token_ends_also_one_that_was_good_a_moment_ago(on: Engine) {
    let mut scene = Scene::new(on).await;
    scene.auth.clock.advance(Duration::from_secs(15 * 60 + 4));
    scene.ann.tasks.list_tasks(ListTasksRequest::default()).await.unwrap();
    scene.auth.clock.advance(Duration::from_secs(1));
    assert_eq!(refusal(scene.ann).await, (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()));
}
