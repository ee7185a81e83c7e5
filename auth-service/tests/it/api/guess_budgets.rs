//! Which calls and which servers share the guesses at an account's password.

use std::time::Duration;

use e2e::{AuthServer, Engine, PASSWORD, Person, clock, on_every_engine, refused, until};
use shared::pb::auth::{ChangePasswordRequest, UpdateCurrentUserRequest, User};

use super::{
    account, credentials,
    guesses::{Answer, answer, enter, guess, guess_at_once, keys},
    start,
    update_current_user::update,
};

on_every_engine!(
    whatever_asks_for_the_password_counts,
    right_passwords_of_one_account_are_limited_too,
    who_asks_for_names_is_limited_as_who_registers,
    servers_on_one_database_count_together,
    a_restart_forgets_no_guess,
    what_makes_no_difference_any_more_is_deleted,
);

const NEW: &str = "something else altogether";
const WRONG: &str = "not the password";

async fn change(ann: &mut Person, current: &str) -> Answer {
    let (current_password, new_password) = (current.to_owned(), NEW.to_owned());
    let request = ChangePasswordRequest { current_password, new_password };
    answer(ann.users.change_password(request).await)
}

fn renaming(password: &str) -> UpdateCurrentUserRequest {
    let user = User { username: "annabel".to_owned(), ..User::default() };
    update(&user, &["username"], password)
}

async fn rename(ann: &mut Person, password: &str) -> Answer {
    answer(ann.users.update_current_user(renaming(password)).await)
}

async fn whatever_asks_for_the_password_counts(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    for _ in 0..3 {
        assert_eq!(change(&mut ann, WRONG).await, Answer::Wrong);
        assert_eq!(rename(&mut ann, WRONG).await, Answer::Wrong);
        assert_eq!(guess(&mut ann, "ann", 1).await, [Answer::Wrong]);
    }
    assert_eq!(rename(&mut ann, PASSWORD).await, Answer::Right, "which gives back the nine");
    for _ in 0..5 {
        assert_eq!(change(&mut ann, WRONG).await, Answer::Wrong);
        assert_eq!(rename(&mut ann, WRONG).await, Answer::Wrong);
    }
    for password in [PASSWORD, WRONG] {
        assert_eq!(change(&mut ann, password).await, Answer::Later(60));
        assert_eq!(rename(&mut ann, password).await, Answer::Later(60));
    }
    assert_eq!(enter(&mut ann, "annabel").await, Answer::Later(60));
    let picture = User { image_url: "https://example.org/a.png".to_owned(), ..User::default() };
    ann.users.update_current_user(update(&picture, &["image_url"], "")).await.unwrap();

    server.clock.advance(Duration::from_mins(1));
    assert_eq!(change(&mut ann, PASSWORD).await, Answer::Right);
    for _ in 0..10 {
        assert_eq!(change(&mut ann, WRONG).await, Answer::Wrong);
    }
    assert_eq!(rename(&mut ann, NEW).await, Answer::Later(60));
}

async fn right_passwords_of_one_account_are_limited_too(on: Engine) {
    let server = start(on, [("AUTH_LOGIN_LIMIT", "4/1h")]).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    assert_eq!(enter(&mut ann, "ann").await, Answer::Right);
    assert_eq!(guess(&mut ann, "ann", 5).await, [Answer::Wrong; 5], "these do not count here");
    assert_eq!(rename(&mut ann, PASSWORD).await, Answer::Right);
    assert_eq!(change(&mut ann, PASSWORD).await, Answer::Right);
    for _ in 0..2 {
        assert_eq!(enter(&mut ann, "annabel").await, Answer::Later(900));
        assert_eq!(guess(&mut ann, "annabel", 1).await, [Answer::Later(900)], "right or wrong");
        assert_eq!(rename(&mut ann, NEW).await, Answer::Later(900));
    }
    assert_eq!(enter(&mut bob, "bob").await, Answer::Right);
    server.clock.advance(Duration::from_mins(15));
    let login = credentials("annabel", NEW);
    assert_eq!(answer(ann.auth.login(login).await), Answer::Right);
}

async fn who_asks_for_names_is_limited_as_who_registers(on: Engine) {
    let server = start(on, [("AUTH_REGISTER_LIMIT", "4/1h")]).await;
    let (mut ann, _bob) = (server.register("ann").await, server.register("bob").await);
    let name = User { username: "bob".to_owned(), ..User::default() };
    for _ in 0..2 {
        let answer = ann.users.update_current_user(update(&name, &["username"], PASSWORD)).await;
        assert_eq!(refused(answer).reason, "USERNAME_TAKEN");
    }
    assert_eq!(rename(&mut ann, PASSWORD).await, Answer::Later(900));
    let answer = ann.auth.register(account("eve")).await;
    assert_eq!(refused(answer).reason, "TOO_MANY_ATTEMPTS");
    assert_eq!(change(&mut ann, PASSWORD).await, Answer::Right);
}

async fn servers_on_one_database_count_together(on: Engine) {
    let (clock, place) = (clock(), on.place("auth").await);
    let one = AuthServer::start_at(place.clone(), clock.clone(), []).await;
    let two = AuthServer::start_at(place, clock, []).await;
    let (mut here, mut there) = (one.register("ann").await, two.anonymous());
    assert_eq!(guess_at_once(&[&one, &two], "ann", 120).await, 10);
    assert_eq!(enter(&mut here, "ann").await, Answer::Later(60));
    assert_eq!(enter(&mut there, "ann").await, Answer::Later(60));
    one.clock.advance(Duration::from_mins(1));
    assert_eq!(enter(&mut there, "ann").await, Answer::Right);
    assert_eq!(guess(&mut here, "ann", 5).await, [Answer::Wrong; 5]);
    assert_eq!(guess(&mut there, "ann", 5).await, [Answer::Wrong; 5]);
    assert_eq!(enter(&mut here, "ann").await, Answer::Later(60));
}

async fn a_restart_forgets_no_guess(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    assert_eq!(guess_at_once(&[&server], "ann", 9).await, 9);
    let server = server.restart_with([]).await;
    let mut ann = server.anonymous();
    assert_eq!(guess(&mut ann, "ann", 2).await, [Answer::Wrong, Answer::Later(60)]);
    // A lower limit holds at once, a higher one too.
    let server = server.restart_with([("AUTH_GUESS_LIMIT", "5/1m")]).await;
    assert_eq!(enter(&mut server.anonymous(), "ann").await, Answer::Later(12));
    let server = server.restart_with([("AUTH_GUESS_LIMIT", "20/20m")]).await;
    assert_eq!(guess_at_once(&[&server], "ann", 20).await, 10);
}

async fn what_makes_no_difference_any_more_is_deleted(on: Engine) {
    let mut server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    guess(&mut ann, "ann", 1).await;
    guess(&mut ann, "nobody", 1).await;
    assert!(keys(&server).await.len() > 5);
    // After an hour all that is left is where ann is known.
    for (hours, left) in [(1, 1), (90 * 24, 0)] {
        server.clock.advance(Duration::from_hours(hours));
        server = server.restart_with([]).await;
        until("it is deleted", async || keys(&server).await.len() == left).await;
    }
}
