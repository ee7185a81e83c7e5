//! `UserService.UpdateCurrentUser`: whose a name is, before, during and after a change.

use e2e::{AuthServer, Engine, PASSWORD, Person, on_every_engine, refused};
use shared::pb::auth::{RegisterRequest, UpdateCurrentUserRequest, User};
use tonic::Code;

use super::{
    account, credentials, invalid, login, logs_in, me, register, tokens,
    update_current_user::update,
};

on_every_engine!(
    a_name_or_address_of_somebody_else_is_taken_in_any_case,
    a_new_name_logs_in_and_the_old_one_is_free_again,
    a_name_may_change_its_case,
    a_name_may_not_be_what_the_password_is_made_of,
    of_changes_at_the_same_moment_no_two_get_one_name,
);

fn named(username: &str) -> User {
    User { username: username.to_owned(), ..User::default() }
}

fn addressed(email: &str) -> User {
    User { email: email.to_owned(), ..User::default() }
}

fn rename(username: &str) -> UpdateCurrentUserRequest {
    update(&named(username), &["username"], PASSWORD)
}

async fn a_name_or_address_of_somebody_else_is_taken_in_any_case(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    let both = User { email: "BOB@example.com".to_owned(), ..named("Bob") };
    let half = User { email: "Bob@example.com".to_owned(), ..named("free") };
    for (user, paths, reason) in [
        (named("bob"), ["username"].as_slice(), "USERNAME_TAKEN"),
        (named("BOB"), &["username"], "USERNAME_TAKEN"),
        (addressed("bob@example.com"), &["email"], "EMAIL_TAKEN"),
        (addressed("boB@EXAMPLE.com"), &["email"], "EMAIL_TAKEN"),
        (both, &["username", "email"], "USERNAME_TAKEN"),
        (half, &["*"], "EMAIL_TAKEN"),
    ] {
        let request = update(&user, paths, PASSWORD);
        let refusal = refused(ann.users.update_current_user(request).await);
        assert_eq!(refusal.kind(), (Code::AlreadyExists, reason), "{user:?}");
    }
    assert_eq!(me(&mut ann).await, ann.user);
    assert_eq!(me(&mut bob).await, bob.user);
    assert!(logs_in(&mut ann, "ann", PASSWORD).await && logs_in(&mut ann, "bob", PASSWORD).await);
    assert!(!logs_in(&mut ann, "free", PASSWORD).await);
    register(&mut ann, account("free")).await;
}

async fn a_new_name_logs_in_and_the_old_one_is_free_again(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let user = User { email: "Annabel@example.org".to_owned(), ..named("Annabel") };
    ann.users.update_current_user(update(&user, &["username", "email"], PASSWORD)).await.unwrap();
    let mut anonymous = server.anonymous();
    for (name, good) in [
        ("annabel", true),
        ("annabel@example.org", true),
        ("ann", false),
        ("ann@example.com", false),
    ] {
        assert_eq!(logs_in(&mut anonymous, name, PASSWORD).await, good, "{name}");
    }
    let second = register(&mut anonymous, account("ann")).await;
    assert_ne!(second.id, ann.user.id);
    assert_eq!(me(&mut ann).await.username, "Annabel");
}

async fn a_name_may_change_its_case(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let user = User { email: "ANN@Example.com".to_owned(), ..named("ANN") };
    ann.users.update_current_user(update(&user, &["username", "email"], PASSWORD)).await.unwrap();
    let changed = me(&mut ann).await;
    assert_eq!((changed.username.as_str(), changed.email.as_str()), ("ANN", "ANN@Example.com"));
    for name in ["ann", "ann@example.com"] {
        assert!(logs_in(&mut ann, name, PASSWORD).await);
    }
}

async fn a_name_may_not_be_what_the_password_is_made_of(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let password = "Quizzaciously-77";
    let mut anonymous = server.anonymous();
    let request = RegisterRequest { password: password.to_owned(), ..account("ann") };
    register(&mut anonymous, request).await;
    let token = tokens(&mut anonymous, credentials("ann", password)).await.access_token;
    let mut ann = server.bearer(&token);
    let user = User { email: "quizzaciously@example.com".to_owned(), ..named("quizzaciously") };
    let answer = ann.users.update_current_user(update(&user, &["*"], password)).await;
    assert_eq!(invalid(answer), ["user.username", "user.email"]);
    assert_eq!(me(&mut ann).await.username, "ann");
}

async fn rename_at_once(
    (one, to): (&mut Person, &str),
    (other, other_to): (&mut Person, &str),
) -> [bool; 2] {
    let answers = tokio::join!(
        one.users.update_current_user(rename(to)),
        other.users.update_current_user(rename(other_to)),
    );
    [answers.0, answers.1].map(|answer| match answer {
        Ok(_) => true,
        refusal => {
            let kind = refused(refusal);
            assert_eq!(kind.kind(), (Code::AlreadyExists, "USERNAME_TAKEN"));
            false
        }
    })
}

async fn of_changes_at_the_same_moment_no_two_get_one_name(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    let swapped = rename_at_once((&mut ann, "bob"), (&mut bob, "ann")).await;
    assert_eq!(swapped, [false, false], "neither name is free before the other is given up");

    let [first, second] = rename_at_once((&mut ann, "carl"), (&mut bob, "Carl")).await;
    assert!(first ^ second, "{first} {second}");
    for (person, user) in [(&mut ann, first), (&mut bob, second)] {
        let now = me(person).await;
        assert_eq!(now.username.eq_ignore_ascii_case("carl"), user);
        let answer = login(person, &now.username, PASSWORD).await.unwrap().into_inner();
        let token = answer.tokens.unwrap().access_token;
        assert_eq!(me(&mut server.bearer(&token)).await, now, "the name is its owner's");
    }
}
