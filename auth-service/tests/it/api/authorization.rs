//! Who is let in.

use std::time::Duration;

use e2e::{AuthServer, Engine, Identity, PASSWORD, Person, on_every_engine, refused};
use shared::{
    pb::auth::{
        ChangePasswordRequest, GetCurrentUserRequest, LoginRequest, UpdateCurrentUserRequest,
    },
    testing::Forge,
};
use tonic::{Code, metadata::AsciiMetadataValue};
use uuid::Uuid;

use super::{credentials, login, me, tokens};

on_every_engine!(
    without_one_well_formed_authorization_nobody_is_let_in,
    a_token_for_other_services_is_refused,
    a_token_that_is_not_the_issuers_is_refused,
    a_token_ends,
    who_logs_in_needs_no_token_and_a_bad_one_does_no_harm,
);

/// What every RPC of `UserService` answers to somebody who is not let in.
async fn reason(person: &mut Person) -> String {
    let get = refused(person.users.get_current_user(GetCurrentUserRequest {}).await);
    let update = UpdateCurrentUserRequest::default();
    let update = refused(person.users.update_current_user(update).await);
    let change = ChangePasswordRequest::default();
    let change = refused(person.users.change_password(change).await);
    assert_eq!((&get, &get), (&update, &change), "one answer, whatever is asked");
    assert_eq!(get.code, Code::Unauthenticated);
    get.reason
}

fn sending(server: &AuthServer, values: &[&str]) -> Person {
    let values = values.iter().map(|value| value.parse::<AsciiMetadataValue>().unwrap());
    Person::new("somebody", server.channel(), Identity(values.collect()))
}

async fn without_one_well_formed_authorization_nobody_is_let_in(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let token = server.register("ann").await.token;
    assert_eq!(reason(&mut server.anonymous()).await, "TOKEN_MISSING");
    let good = format!("Bearer {token}");
    for values in [
        vec![good.as_str(), good.as_str()],
        vec![good.as_str(), "Basic YTpi"],
        vec![""],
        vec!["Bearer"],
        vec!["Bearer "],
        vec![&token],
        vec![&format!("Basic {token}")],
        vec![&format!("Bearer  {token}")],
        vec![&format!("Bearer {token},")],
    ] {
        assert_eq!(reason(&mut sending(&server, &values)).await, "TOKEN_INVALID", "{values:?}");
    }
    for good in [&good, &format!("bearer {token}"), &format!("BEARER {token}")] {
        me(&mut sending(&server, &[good])).await;
    }
}

async fn a_token_for_other_services_is_refused(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let audiences = vec!["task-service".to_owned()];
    let request = LoginRequest { audiences, ..credentials("ann", PASSWORD) };
    let narrow = tokens(&mut ann, request).await.access_token;
    assert_eq!(reason(&mut server.bearer(&narrow)).await, "TOKEN_INVALID");
}

async fn a_token_that_is_not_the_issuers_is_refused(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let ann = server.register("ann").await;
    let forge = Forge::new();
    let user = Uuid::parse_str(&ann.user.id).unwrap();
    let (head, signature) = ann.token.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    for bad in [
        forge.sign(&forge.claims(user, "auth-service", server.clock.now())),
        AuthServer::start_on(on).await.register("ann").await.token,
        format!("eyJhbGciOiJub25lIn0.{payload}."),
        format!("{header}.{}.{signature}", payload.replace('A', "B")),
        format!("{head}.{}", "A".repeat(86)),
        "a".repeat(5_000),
    ] {
        assert_eq!(reason(&mut server.bearer(&bad)).await, "TOKEN_INVALID", "{bad}");
    }
}

async fn a_token_ends(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    server.clock.advance(Duration::from_secs(15 * 60 + 4));
    me(&mut ann).await;
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&mut ann).await, "TOKEN_EXPIRED");
}

async fn who_logs_in_needs_no_token_and_a_bad_one_does_no_harm(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    login(&mut sending(&server, &["Bearer rubbish"]), "ann", PASSWORD).await.unwrap();
    login(&mut sending(&server, &["a", "b"]), "ann", PASSWORD).await.unwrap();
}
