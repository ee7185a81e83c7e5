//! `UserService.UpdateCurrentUser`: what the mask names, and what it may not.

use std::time::Duration;

use e2e::{AuthServer, Engine, PASSWORD, Person, clock, on_every_engine, refused};
use prost::Message;
use prost_types::FieldMask;
use shared::pb::auth::{UpdateCurrentUserRequest, User};
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

use super::{bad_emails, bad_image_urls, bad_usernames, invalid, me};

on_every_engine!(
    the_mask_says_what_changes,
    no_mask_means_what_is_filled_and_a_star_everything,
    every_violation_is_reported_and_nothing_changes,
    a_name_and_an_address_need_the_password_and_a_picture_does_not,
    a_change_that_is_repeated_is_made_once,
    of_the_same_change_at_the_same_moment_one_is_made,
    everybody_has_their_own_request_ids,
);

pub(super) fn update(user: &User, paths: &[&str], password: &str) -> UpdateCurrentUserRequest {
    UpdateCurrentUserRequest {
        user: Some(user.clone()),
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        current_password: password.to_owned(),
        ..Default::default()
    }
}

/// New values for every field, also those that can not be changed.
fn other() -> User {
    User {
        id: "01890000-0000-7000-8000-000000000000".to_owned(),
        username: "Other".to_owned(),
        email: "Other@Example.org".to_owned(),
        image_url: "https://example.org/ü.png".to_owned(),
        create_time: None,
        update_time: None,
    }
}

/// The same with this id.
fn once(request: UpdateCurrentUserRequest, request_id: &str) -> UpdateCurrentUserRequest {
    UpdateCurrentUserRequest { request_id: request_id.to_owned(), ..request }
}

/// Changes the caller, and shows the whole answer.
async fn changed(person: &mut Person, request: UpdateCurrentUserRequest) -> Vec<u8> {
    person.users.update_current_user(request).await.unwrap().into_inner().encode_to_vec()
}

async fn the_mask_says_what_changes(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let mut bob = server.register("bob").await;
    let mut expected = ann.user.clone();
    for path in ["username", "email", "image_url"] {
        match path {
            "username" => expected.username = other().username,
            "email" => expected.email = other().email,
            _ => expected.image_url = other().image_url,
        }
        server.clock.advance(Duration::from_secs(1));
        expected.update_time = Some(server.clock.now().into());
        let request = update(&other(), &[path], PASSWORD);
        let answer = ann.users.update_current_user(request.clone()).await.unwrap();
        assert_eq!(answer.into_inner().user.as_ref(), Some(&expected), "{path}");
        assert_eq!(me(&mut ann).await, expected, "{path}");

        server.clock.advance(Duration::from_secs(1));
        let answer = ann.users.update_current_user(request).await.unwrap();
        assert_eq!(answer.into_inner().user.as_ref(), Some(&expected), "once more changes nothing");
    }
    let cleared = update(&User::default(), &["image_url"], "");
    let cleared = ann.users.update_current_user(cleared).await.unwrap().into_inner().user.unwrap();
    assert_eq!(cleared.image_url, "");
    assert_eq!((cleared.username, cleared.email), (expected.username, expected.email));
    assert_eq!(me(&mut bob).await, bob.user, "bob's account is bob's");
}

async fn no_mask_means_what_is_filled_and_a_star_everything(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let picture = User { image_url: other().image_url, ..User::default() };
    let request = UpdateCurrentUserRequest { user: Some(picture), ..Default::default() };
    let user = ann.users.update_current_user(request).await.unwrap().into_inner().user.unwrap();
    assert_eq!((user.username.as_str(), user.image_url), ("ann", other().image_url));

    let mut whole = other();
    whole.image_url = String::new();
    let user = ann.users.update_current_user(update(&whole, &["*"], PASSWORD)).await;
    let user = user.unwrap().into_inner().user.unwrap();
    assert_eq!((user.username, user.email), (other().username, other().email));
    assert_eq!((user.image_url.as_str(), user.id), ("", ann.user.id));
}

async fn every_violation_is_reported_and_nothing_changes(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    for (index, username) in bad_usernames().into_iter().enumerate() {
        let email = bad_emails()[index % bad_emails().len()].clone();
        let image_url = bad_image_urls()[index % bad_image_urls().len()].clone();
        let bad = User { username, email, image_url, ..User::default() };
        let password = if index % 2 == 0 { String::new() } else { "é".repeat(257) };
        let answer = ann.users.update_current_user(update(&bad, &["*"], &password)).await;
        let fields = ["user.username", "user.email", "user.image_url", "current_password"];
        assert_eq!(invalid(answer), fields);
    }
    let fixed = ["id", "create_time", "update_time"];
    let unknown =
        ["password", "password_hash", "", "Username", "user.username", "email ", "\0", "**"];
    for path in fixed.into_iter().chain(unknown) {
        let request = update(&other(), &["image_url", path], PASSWORD);
        let answer = ann.users.update_current_user(request).await;
        assert_eq!(invalid(answer), ["update_mask"], "{path:?}");
    }
    let paths: Vec<String> = (0..100).map(|number| format!("field_{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let answer = ann.users.update_current_user(update(&other(), &paths, PASSWORD)).await;
    assert_eq!(invalid(answer).len(), 20, "no more are reported");
    let nothing = UpdateCurrentUserRequest::default();
    assert_eq!(invalid(ann.users.update_current_user(nothing).await), ["update_mask"]);
    for request_id in ["x", "00000000-0000-0000-0000-000000000000", &"0".repeat(100_000)] {
        let bad = once(update(&other(), &["*"], ""), request_id);
        let fields = ["current_password", "request_id"];
        assert_eq!(invalid(ann.users.update_current_user(bad).await), fields);
    }
    assert_eq!(me(&mut ann).await, ann.user);
}

async fn a_name_and_an_address_need_the_password_and_a_picture_does_not(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    for path in ["username", "email", "*"] {
        let missing = ann.users.update_current_user(update(&other(), &[path], "")).await;
        assert_eq!(invalid(missing), ["current_password"], "{path}");
        let wrong = update(&other(), &[path], "not the password");
        let wrong = refused(ann.users.update_current_user(wrong).await);
        assert_eq!(wrong.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"), "{path}");
    }
    assert_eq!(me(&mut ann).await, ann.user);
    ann.users.update_current_user(update(&other(), &["image_url"], "")).await.unwrap();
    let ignored = update(&User::default(), &["image_url"], "not the password");
    ann.users.update_current_user(ignored).await.unwrap();
}

async fn a_change_that_is_repeated_is_made_once(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let (id, request) = (Uuid::new_v4().to_string(), update(&other(), &["*"], PASSWORD));
    let first = changed(&mut ann, once(request.clone(), &id)).await;
    server.clock.advance(Duration::from_secs(1));
    let picture = User { image_url: "https://example.org/later".to_owned(), ..other() };
    changed(&mut ann, update(&picture, &["image_url"], "")).await;
    let now = me(&mut ann).await;

    assert_eq!(changed(&mut ann, once(request.clone(), &id)).await, first);
    let wrong = once(update(&other(), &["*"], "not the password"), &id);
    let wrong = refused(ann.users.update_current_user(wrong).await);
    assert_eq!(wrong.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    for another in [
        update(&other(), &["username", "email", "image_url"], PASSWORD),
        update(&other(), &["image_url"], ""),
        update(&User { username: "third".to_owned(), ..other() }, &["*"], PASSWORD),
    ] {
        let reused = refused(ann.users.update_current_user(once(another, &id)).await);
        assert_eq!(reused.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    }
    assert_eq!(me(&mut ann).await, now, "nothing more is changed");

    let server = server.restart_with([]).await;
    let mut ann = server.bearer(&ann.token);
    assert_eq!(changed(&mut ann, once(request, &id)).await, first);
    assert_eq!(me(&mut ann).await, now);
}

async fn of_the_same_change_at_the_same_moment_one_is_made(on: Engine) {
    let (place, clock) = (on.place("auth").await, clock());
    let first = AuthServer::start_at(place.clone(), clock.clone(), []).await;
    let second = AuthServer::start_at(place, clock, []).await;
    let ann = first.register("ann").await;
    let request = once(update(&other(), &["image_url"], ""), &Uuid::new_v4().to_string());
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let server = if number % 2 == 0 { &first } else { &second };
        let (mut ann, request) = (ann.at(server.channel()), request.clone());
        let clock = first.clock.clone();
        calls.spawn(async move {
            clock.advance(Duration::from_millis(1));
            changed(&mut ann, request).await
        });
    }
    let mut answers = calls.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

async fn everybody_has_their_own_request_ids(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    let request = once(update(&other(), &["image_url"], ""), &Uuid::new_v4().to_string());
    let of_ann = changed(&mut ann, request.clone()).await;
    let of_bob = changed(&mut bob, request.clone()).await;
    assert_ne!(of_ann, of_bob);
    assert_eq!(changed(&mut ann, request.clone()).await, of_ann);
    assert_eq!(changed(&mut bob, request).await, of_bob);
}
