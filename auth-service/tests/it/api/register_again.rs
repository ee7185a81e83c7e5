//! `AuthService.Register`, repeated with the same `request_id`.

use std::time::Duration;

use e2e::{AuthServer, Engine, PASSWORD, Person, clock, load::with_id, on_every_engine, refused};
use prost::Message;
use prost_types::FieldMask;
use shared::{
    database::{Database, Settings, Statement, get},
    on_engine,
    pb::auth::{
        ChangePasswordRequest, RegisterRequest, RegisterResponse, UpdateCurrentUserRequest, User,
    },
};
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

use super::{
    account, credentials, guesses::Answer, guesses::answer, guesses::enter, invalid, logs_in,
    register, start, start_without_limits, tokens,
};

on_every_engine!(
    a_repetition_gives_the_same_answer_whatever_has_become_of_the_account,
    another_request_and_another_password_are_refused_in_the_same_way,
    of_many_at_the_same_moment_through_two_servers_all_are_one,
    of_many_passwords_at_the_same_moment_one_opens_the_account,
    a_repetition_counts_as_a_login_and_not_as_a_registration,
    a_request_that_is_another_counts_as_a_guess,
    a_registration_that_was_refused_is_not_remembered,
    an_id_is_checked_with_everything_else,
    neither_password_nor_name_is_kept_with_an_answer,
);

/// A good registration by this name, with the id that everybody uses.
fn once(name: &str) -> RegisterRequest {
    let request_id = Uuid::from_u128(0xfeed).to_string();
    RegisterRequest {
        request_id, image_url: "https://example.org/🦀".to_owned(), ..account(name)
    }
}

/// Registers, and shows the whole answer.
async fn opened(person: &mut Person, request: RegisterRequest) -> Vec<u8> {
    person.auth.register(request).await.unwrap().into_inner().encode_to_vec()
}

/// All that a refusal says.
async fn refusal(person: &mut Person, request: RegisterRequest) -> (Code, String, Vec<u8>) {
    let request = with_id(request, "same".parse().unwrap());
    let status = person.auth.register(request).await.unwrap_err();
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

async fn a_repetition_gives_the_same_answer_whatever_has_become_of_the_account(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let first = opened(&mut server.anonymous(), once("ann")).await;
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(opened(&mut server.anonymous(), once("ann")).await, first);

    let mut ann = server
        .bearer(&tokens(&mut server.anonymous(), credentials("ann", PASSWORD)).await.access_token);
    let user = User { username: "anna".to_owned(), ..User::default() };
    let rename = UpdateCurrentUserRequest {
        user: Some(user),
        update_mask: Some(FieldMask { paths: vec!["username".to_owned()] }),
        current_password: PASSWORD.to_owned(),
        ..Default::default()
    };
    ann.users.update_current_user(rename).await.unwrap();
    assert_eq!(opened(&mut server.anonymous(), once("ann")).await, first, "as it was made");

    let new_password = "another horse eats staples".to_owned();
    let change = ChangePasswordRequest { current_password: PASSWORD.to_owned(), new_password };
    ann.users.change_password(change.clone()).await.unwrap();
    server.operate("users disable anna").await.unwrap();
    let server = server.restart_with([]).await;
    let mut anonymous = server.anonymous();
    let old = refused(anonymous.auth.register(once("ann")).await);
    assert_eq!(old.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    let again = RegisterRequest { password: change.new_password, ..once("ann") };
    assert_eq!(opened(&mut anonymous, again).await, first);
}

async fn another_request_and_another_password_are_refused_in_the_same_way(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    let first = opened(&mut anonymous, once("ann")).await;
    let password = "something else altogether".to_owned();
    let wrong = refusal(&mut anonymous, RegisterRequest { password, ..once("ann") }).await;
    assert_eq!(
        (wrong.0, wrong.1.as_str()),
        (Code::AlreadyExists, "the request_id was used for another request",)
    );
    for other in [
        RegisterRequest { email: "other@example.com".to_owned(), ..once("ann") },
        RegisterRequest { username: "Ann".to_owned(), ..once("ann") },
        RegisterRequest { image_url: String::new(), ..once("ann") },
    ] {
        assert_eq!(refusal(&mut anonymous, other.clone()).await, wrong);
        let password = "something else altogether".to_owned();
        assert_eq!(refusal(&mut anonymous, RegisterRequest { password, ..other }).await, wrong);
    }
    assert_eq!(opened(&mut anonymous, once("ann")).await, first);
    assert!(!logs_in(&mut anonymous, "ann", "something else altogether").await);
    // What was refused has kept nothing for itself, and the id is another under another name.
    let mut bob = once("bob");
    bob.email = "other@example.com".to_owned();
    assert_ne!(opened(&mut anonymous, bob).await, first);
}

/// Two servers on one database. Those that wait may wait for long on a machine that is busy.
async fn two_servers<const N: usize>(
    on: Engine,
    settings: [(&'static str, &str); N],
) -> [AuthServer; 2] {
    let (place, clock) = (on.place("auth").await, clock());
    let first = AuthServer::start_at(place.clone(), clock.clone(), settings).await;
    [first, AuthServer::start_at(place, clock, settings).await]
}

async fn of_many_at_the_same_moment_through_two_servers_all_are_one(on: Engine) {
    // Many more than guesses that are let through: none of them is one.
    let settings = [("AUTH_CALL_TIMEOUT", "5m")];
    let servers = two_servers(on, settings).await;
    let people = [servers[0].anonymous(), servers[1].anonymous()];
    let mut answers = Vec::new();
    // Those of the second time find the account there, all of them.
    for _ in 0..2 {
        let mut calls = JoinSet::new();
        for mut somebody in people.iter().cycle().take(64).cloned() {
            calls.spawn(async move { opened(&mut somebody, once("ann")).await });
        }
        answers.extend(calls.join_all().await);
    }
    answers.dedup();
    let [one] = answers.as_slice() else { panic!("{} answers", answers.len()) };
    let user = RegisterResponse::decode(one.as_slice()).unwrap().user.unwrap();
    assert_eq!((user.username.as_str(), user.email.as_str()), ("ann", "ann@example.com"));
    assert!(logs_in(&mut servers[1].anonymous(), "ann", PASSWORD).await);
}

async fn of_many_passwords_at_the_same_moment_one_opens_the_account(on: Engine) {
    let servers = two_servers(on, [("AUTH_GUESS_LIMIT", "40/1h")]).await;
    let people = [servers[0].anonymous(), servers[1].anonymous()];
    let mut calls = JoinSet::new();
    for (number, mut somebody) in people.iter().cycle().take(16).cloned().enumerate() {
        let password = format!("{PASSWORD} {number}");
        let request = RegisterRequest { password: password.clone(), ..once("ann") };
        calls.spawn(async move { (password, somebody.auth.register(request).await) });
    }
    let mut winners = Vec::new();
    for (password, answer) in calls.join_all().await {
        match answer {
            Ok(_) => winners.push(password),
            refusal => assert_eq!(refused(refusal).reason, "REQUEST_ID_REUSED"),
        }
    }
    let [winner] = winners.as_slice() else { panic!("{winners:?}") };
    assert!(logs_in(&mut servers[0].anonymous(), "ann", winner).await);
}

async fn a_repetition_counts_as_a_login_and_not_as_a_registration(on: Engine) {
    let limits = [("AUTH_REGISTER_LIMIT", "1/1h"), ("AUTH_GUESS_LIMIT", "3/1h")];
    let server = start(on, limits).await;
    let mut anonymous = server.anonymous();
    let first = opened(&mut anonymous, once("ann")).await;
    for _ in 0..5 {
        assert_eq!(opened(&mut anonymous, once("ann")).await, first);
    }
    let new = anonymous.auth.register(account("bob")).await;
    assert_eq!(answer(new), Answer::Later(3_600), "that was the one registration");

    let password = "something else altogether".to_owned();
    let wrong = RegisterRequest { password, ..once("ann") };
    for _ in 0..3 {
        let refused = refused(anonymous.auth.register(wrong.clone()).await);
        assert_eq!(refused.reason, "REQUEST_ID_REUSED");
    }
    for request in [wrong, once("ann")] {
        assert_eq!(answer(anonymous.auth.register(request).await), Answer::Later(1_200));
    }
    assert_eq!(enter(&mut anonymous, "ann").await, Answer::Later(1_200), "they were guesses");
    server.clock.advance(Duration::from_mins(20));
    assert_eq!(opened(&mut anonymous, once("ann")).await, first);
    assert_eq!(enter(&mut anonymous, "ann").await, Answer::Right);
}

async fn a_request_that_is_another_counts_as_a_guess(on: Engine) {
    let server = start(on, [("AUTH_GUESS_LIMIT", "3/1h")]).await;
    let mut anonymous = server.anonymous();
    register(&mut anonymous, once("ann")).await;
    let right = RegisterRequest { image_url: String::new(), ..once("ann") };
    let wrong =
        RegisterRequest { password: "something else altogether".to_owned(), ..right.clone() };
    for request in [&right, &right, &right, &right, &wrong, &wrong, &wrong] {
        let refused = refused(anonymous.auth.register(request.clone()).await);
        assert_eq!(refused.reason, "REQUEST_ID_REUSED");
    }
    assert_eq!(answer(anonymous.auth.register(right).await), Answer::Later(1_200));
    assert_eq!(enter(&mut anonymous, "ann").await, Answer::Later(1_200));
}

async fn a_registration_that_was_refused_is_not_remembered(on: Engine) {
    let server = start_without_limits(on).await;
    let mut ann = server.register("ann").await;
    let mut anonymous = server.anonymous();
    for _ in 0..2 {
        // An account that is there without an answer is somebody else's, whatever the password.
        let taken = refused(anonymous.auth.register(once("ann")).await);
        assert_eq!(taken.kind(), (Code::AlreadyExists, "USERNAME_TAKEN"));
    }
    let free = User { username: "anna".to_owned(), email: "a@b.c".to_owned(), ..User::default() };
    let update = UpdateCurrentUserRequest {
        user: Some(free),
        current_password: PASSWORD.to_owned(),
        ..Default::default()
    };
    ann.users.update_current_user(update).await.unwrap();
    let first = opened(&mut anonymous, once("ann")).await;
    assert_eq!(opened(&mut anonymous, once("ann")).await, first);
}

async fn an_id_is_checked_with_everything_else(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    let id = Uuid::from_u128(0xfeed);
    let ids = [
        "x".to_owned(),
        " ".to_owned(),
        "\0".to_owned(),
        Uuid::nil().to_string(),
        id.simple().to_string(),
        id.urn().to_string(),
        id.braced().to_string(),
        format!("{id} "),
        "é".repeat(18),
        "a".repeat(36),
        "0".repeat(100_000),
    ];
    for request_id in ids {
        let shown = format!("{request_id:.40}");
        let good = RegisterRequest { request_id: request_id.clone(), ..once("ann") };
        assert_eq!(invalid(anonymous.auth.register(good).await), ["request_id"], "{shown}");
        let bad = RegisterRequest { request_id, ..Default::default() };
        let fields = ["username", "email", "password", "request_id"];
        assert_eq!(invalid(anonymous.auth.register(bad).await), fields, "{shown}");
    }
    register(&mut anonymous, once("ann")).await;
    let upper = RegisterRequest { request_id: id.to_string().to_uppercase(), ..once("ann") };
    register(&mut anonymous, upper).await;
}

/// All that is in the table of answers, as text.
async fn answers(server: &AuthServer) -> String {
    let settings = Settings::new("test", &server.place.url).unwrap();
    on_engine!(settings, DB => {
        let database = Database::<DB>::open(&settings, &auth_service::store::MIGRATIONS);
        let columns = "select owner_id, method, request_id, digest, answer from answers";
        let rows = database.await.unwrap().read(Statement::new(columns)).await.unwrap();
        assert_eq!(rows.len(), 2);
        let text = rows.iter().map(|row| {
            let id = |column| get::<DB, Uuid>(row, column).unwrap().into_bytes().to_vec();
            let text = |column| get::<DB, String>(row, column).unwrap();
            let ids = String::from_utf8_lossy(&[id("owner_id"), id("request_id")].concat()).into_owned();
            [ids, text("method"), text("digest"), text("answer")].concat()
        });
        text.collect()
    })
}

async fn neither_password_nor_name_is_kept_with_an_answer(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let user = register(&mut server.anonymous(), once("annabel")).await;
    let token = tokens(&mut server.anonymous(), credentials("annabel", PASSWORD)).await;
    let update = UpdateCurrentUserRequest {
        user: Some(User { username: "another".to_owned(), ..User::default() }),
        current_password: PASSWORD.to_owned(),
        request_id: Uuid::from_u128(0xfeed).to_string(),
        ..Default::default()
    };
    server.bearer(&token.access_token).users.update_current_user(update).await.unwrap();
    let kept = answers(&server).await;
    assert!(kept.contains(&user.id) && kept.contains("another"), "{kept}");
    assert!(!kept.contains(PASSWORD) && !kept.contains("argon2"), "{kept}");
    // The address is the user's own in the one, and in the other it is not.
    assert_eq!(kept.matches("annabel").count(), 1, "{kept}");

    let place = server.stop().await;
    let Some(file) = place.url.strip_prefix("sqlite://") else { return };
    // What is beside the file goes with the last connection.
    let files = ["", "-wal", "-shm"].map(|end| std::fs::read(format!("{file}{end}")));
    let bytes = files.map(Result::unwrap_or_default).concat();
    let holds = |text: &str| bytes.windows(text.len()).any(|found| found == text.as_bytes());
    assert!(holds(&user.id) && !holds(PASSWORD));
}
