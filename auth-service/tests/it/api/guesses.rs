//! Guesses at passwords: how many are looked at, and what the others are told.

use std::time::Duration;

use e2e::{AuthServer, Engine, PASSWORD, Person, Refused, on_every_engine, refused, until};
use shared::{
    database::{self, Database, Settings, Statement, get},
    on_engine,
    pb::auth::{ChangePasswordRequest, LoginRequest},
};
use tokio::task::JoinSet;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::{account, credentials, login, register, start};

on_every_engine!(
    of_many_guesses_at_once_no_more_are_looked_at_than_the_limit_says,
    a_name_that_nobody_has_is_answered_in_the_same_way,
    all_names_of_an_account_share_its_guesses_in_any_case,
    a_success_gives_back_what_the_guesses_before_it_took,
    a_password_that_is_not_looked_at_is_no_guess,
    a_guess_whose_caller_has_gone_is_one,
    nobody_can_tell_from_the_database_who_has_guessed_what,
);

const MINUTE: Duration = Duration::from_mins(1);

/// What comes of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Right,
    Wrong,
    /// It was not looked at, and will not be for so many seconds.
    Later(u64),
}

/// Takes an answer apart. Anything but these three is a failure.
pub(super) fn answer<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Answer {
    if answer.is_ok() {
        return Answer::Right;
    }
    let refusal = refused(answer);
    if refusal.kind() == (Code::Unauthenticated, "INVALID_CREDENTIALS") {
        return Answer::Wrong;
    }
    assert_eq!(refusal.kind(), (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"));
    let wait = refusal.retry.unwrap();
    assert!(wait.as_secs() > 0 && wait.subsec_nanos() == 0);
    let message = format!("too many attempts; the next one may be made in {} s", wait.as_secs());
    assert_eq!(refusal.message, message);
    Answer::Later(wait.as_secs())
}

/// A login that a proxy forwards, or that says so.
pub(super) fn from(address: &str, login: &str, password: &str) -> Request<LoginRequest> {
    let mut request = Request::new(credentials(login, password));
    request.metadata_mut().insert("x-forwarded-for", address.parse().unwrap());
    request
}

/// What comes of each of so many wrong passwords, one after another.
pub(super) async fn guess(person: &mut Person, name: &str, count: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(answer(login(person, name, "not the password").await));
    }
    answers
}

/// What comes of the right password.
pub(super) async fn enter(person: &mut Person, name: &str) -> Answer {
    answer(login(person, name, PASSWORD).await)
}

/// How many of so many wrong passwords, sent at once, were looked at.
pub(super) async fn guess_at_once(servers: &[&AuthServer], name: &str, count: usize) -> usize {
    let mut calls = JoinSet::new();
    let people: Vec<_> = servers.iter().map(|server| server.anonymous()).collect();
    for person in people.iter().cycle().take(count) {
        let (mut person, request) = (person.clone(), credentials(name, "not the password"));
        calls.spawn(async move { answer(person.auth.login(request).await) });
    }
    let answers = calls.join_all().await;
    assert!(!answers.contains(&Answer::Right));
    answers.iter().filter(|answer| **answer == Answer::Wrong).count()
}

/// The keys of what the server remembers of guesses.
pub(super) async fn keys(server: &AuthServer) -> Vec<Uuid> {
    async fn read<DB: database::Engine>(settings: &Settings) -> Vec<Uuid> {
        let migrations = auth_service::store::MIGRATIONS;
        let database = Database::<DB>::open(settings, &migrations).await.unwrap();
        let rows = database.read(Statement::new("select * from guesses")).await.unwrap();
        assert!(rows.iter().all(|row| sqlx::Row::len(row) == 2), "a key and a time");
        rows.iter().map(|row| get::<DB, Uuid>(row, "key").unwrap()).collect()
    }
    let settings = server.config().database;
    on_engine!(settings, DB => read::<DB>(&settings).await)
}

async fn of_many_guesses_at_once_no_more_are_looked_at_than_the_limit_says(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    assert_eq!(guess_at_once(&[&server], "ann", 200).await, 10);
    assert_eq!(enter(&mut ann, "ann").await, Answer::Later(60), "the right one is not looked at");
    server.clock.advance(Duration::from_micros(59_999_999));
    assert_eq!(enter(&mut ann, "ann").await, Answer::Later(1));
    server.clock.advance(Duration::from_micros(1));
    assert_eq!(enter(&mut ann, "ann").await, Answer::Right);

    server.clock.advance(60 * MINUTE);
    assert_eq!(guess_at_once(&[&server], "ann", 20).await, 10, "never more than that at once");
}

/// Everything that twelve wrong passwords are told.
async fn told(server: &AuthServer, name: &str) -> Vec<Refused> {
    let mut told = Vec::new();
    for _ in 0..12 {
        told.push(refused(login(&mut server.anonymous(), name, "not the password").await));
    }
    told
}

async fn a_name_that_nobody_has_is_answered_in_the_same_way(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    register(&mut server.anonymous(), account("bob")).await;
    let ann = told(&server, "ann").await;
    assert_eq!(ann[9].reason, "INVALID_CREDENTIALS");
    assert_eq!(ann[10].reason, "TOO_MANY_ATTEMPTS");
    for name in ["bob", "nobody", "nobody@example.com", "nobody can have this name", "\0"] {
        assert_eq!(told(&server, name).await, ann, "{name}");
    }
    for name in ["ann", "nobody", "NOBODY"] {
        assert_eq!(guess_at_once(&[&server], name, 20).await, 0, "{name}");
    }
    assert_eq!(guess_at_once(&[&server], "no other", 30).await, 10);
}

async fn all_names_of_an_account_share_its_guesses_in_any_case(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    for name in ["ann", "ANN", "Ann@Example.com", "ann@example.com", "aNN"] {
        assert_eq!(guess(&mut ann, name, 2).await, [Answer::Wrong; 2], "{name}");
    }
    for name in ["ann", "Ann", "ann@example.com", "ANN@EXAMPLE.COM"] {
        assert_eq!(guess(&mut ann, name, 1).await, [Answer::Later(60)], "{name}");
    }
    for name in ["nobody", "NOBODY"] {
        assert_eq!(guess(&mut ann, name, 5).await, [Answer::Wrong; 5], "{name}");
    }
    assert_eq!(guess(&mut ann, "Nobody", 1).await, [Answer::Later(60)]);
}

async fn a_success_gives_back_what_the_guesses_before_it_took(on: Engine) {
    let loose = [("AUTH_ACCOUNT_GUESS_LIMIT", "12/1h"), ("AUTH_NETWORK_GUESS_LIMIT", "12/1h")];
    let server = start(on, loose).await;
    let mut anonymous = server.anonymous();
    register(&mut anonymous, account("ann")).await;
    register(&mut anonymous, account("bob")).await;
    assert_eq!(guess(&mut anonymous, "ann", 9).await, [Answer::Wrong; 9]);
    assert_eq!(enter(&mut anonymous, "ann").await, Answer::Right);
    assert_eq!(guess(&mut anonymous, "ann", 10).await, [Answer::Wrong; 10]);
    assert_eq!(enter(&mut anonymous, "ann").await, Answer::Later(60));

    // The nine are with the network still, the success is not: three are left.
    assert_eq!(guess(&mut anonymous, "bob", 2).await, [Answer::Wrong; 2]);
    for _ in 0..3 {
        assert_eq!(enter(&mut anonymous, "bob").await, Answer::Right);
    }
    assert_eq!(guess(&mut anonymous, "eve", 2).await, [Answer::Wrong, Answer::Later(300)]);
}

async fn a_password_that_is_not_looked_at_is_no_guess(on: Engine) {
    let limits = [("AUTH_GUESS_LIMIT", "150/24h"), ("AUTH_ACCOUNT_GUESS_LIMIT", "150/24h")];
    let server = start(on, limits).await;
    let mut anonymous = server.anonymous();
    let mut calls = JoinSet::new();
    for person in [(); 140].map(|()| anonymous.clone()) {
        let mut person = person;
        calls.spawn(async move { login(&mut person, "nobody", PASSWORD).await });
    }
    let answers = calls.join_all().await.into_iter().map(|answer| refused(answer).reason);
    let wrong = answers.filter(|reason| reason == "INVALID_CREDENTIALS").count();
    assert!((64..140).contains(&wrong), "{wrong} were looked at");
    let mut left = guess(&mut anonymous, "nobody", 151 - wrong).await;
    assert!(matches!(left.pop(), Some(Answer::Later(_))));
    assert_eq!(left, vec![Answer::Wrong; 150 - wrong]);
}

async fn a_guess_whose_caller_has_gone_is_one(on: Engine) {
    // It takes the hasher long enough.
    let settings = [("AUTH_GUESS_LIMIT", "1/1h"), ("AUTH_HASH_MEMORY_KIB", "262144")];
    let server = start(on, settings).await;
    let mut ann = server.anonymous();
    register(&mut ann, account("ann")).await;
    server.clock.advance(60 * MINUTE);
    let before = keys(&server).await;
    let (mut caller, mut calls) = (ann.clone(), JoinSet::new());
    calls.spawn(async move { login(&mut caller, "ann", PASSWORD).await });
    until("it is counted", async || keys(&server).await.len() > before.len()).await;
    calls.shutdown().await;
    assert_eq!(enter(&mut ann, "ann").await, Answer::Later(3_600));
}

async fn nobody_can_tell_from_the_database_who_has_guessed_what(on: Engine) {
    let mut seen = Vec::new();
    for secret in ["one secret key, for this test alone", "two secret keys, for this test alone"] {
        let server = start(on, [("AUTH_SECRET_KEY", secret)]).await;
        let mut ann = server.register("ann").await;
        guess(&mut ann, "nobody", 1).await;
        let id: Uuid = ann.user.id.parse().unwrap();
        let new_password = "something else altogether".to_owned();
        let current_password = PASSWORD.to_owned();
        let request = ChangePasswordRequest { current_password, new_password };
        ann.users.change_password(request).await.unwrap();
        let keys = keys(&server).await;
        // Of the registration; of ann, of nobody, of the network; that ann is known here, and how
        // often she has given the right password.
        assert_eq!(keys.len(), 8, "{keys:?}");
        for key in &keys {
            let holds = |text: &[u8]| key.as_bytes().windows(text.len()).any(|part| part == text);
            assert!(*key != id && !holds(b"ann") && !holds(b"nobody") && !holds(&[127, 0, 0, 1]));
        }
        assert!(!keys.iter().any(|key| seen.contains(key)), "it takes the secret to know a key");
        seen.extend(keys);
    }
}
