//! `AuthService.Register`.

use e2e::{AuthServer, Engine, PASSWORD, on_every_engine, refused};
use shared::pb::auth::{RegisterRequest, User};
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

use super::{
    account, bad_emails, bad_image_urls, bad_usernames, credentials, invalid, logs_in, me,
    register, start_without_limits, tokens,
};

on_every_engine!(
    an_account_comes_back_as_it_was_sent,
    every_violation_is_reported_and_nothing_is_made,
    the_limits_themselves_are_allowed,
    a_password_is_used_exactly_as_it_was_sent,
    a_name_and_an_address_belong_to_the_first_in_any_case,
    of_many_at_the_same_moment_one_gets_the_name,
);

/// Eight code points, thirty-two bytes.
const EMOJI: &str = "🦀🎉🚀🌍🔥🍀🐙🎲";

/// Passwords that nobody whose name is `annabel` may choose.
fn bad_passwords() -> Vec<String> {
    let texts = [
        "",
        "x7#kQ9!",
        "🦀🎉🚀🌍🔥🍀🐙",
        "password",
        "password123",
        "Password1!",
        "P@ssw0rd",
        "12345678",
        "1234567890",
        "qwertyuiop",
        "qwerty123",
        "letmein1",
        "iloveyou2",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "        ",
        "annabel1",
        "Annabel2024",
        "!!annabel!!",
        "annabelannabel",
        "annabel@example.com",
        "ANNABEL@EXAMPLE.COM",
    ];
    texts.into_iter().map(str::to_owned).chain([EMOJI.repeat(32) + "!"]).collect()
}

async fn an_account_comes_back_as_it_was_sent(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    let sent = RegisterRequest {
        username: "0Ann-Marie_W.9".to_owned(),
        email: "Ann.O'Marie+Tag{1}@Mail.Example.ORG".to_owned(),
        image_url: "https://Example.org:8443/Größe/🦀.png?a='b';--&c=%00#d".to_owned(),
        ..account("")
    };
    let made = register(&mut anonymous, sent.clone()).await;
    let now = Some(server.clock.now().into());
    let expected = User {
        id: made.id.clone(),
        username: sent.username,
        email: sent.email,
        image_url: sent.image_url,
        create_time: now,
        update_time: now,
    };
    assert_eq!(made, expected);
    let id = Uuid::parse_str(&made.id).unwrap();
    assert_eq!((id.get_version_num(), id.to_string()), (7, made.id.clone()));

    let answer = tokens(&mut anonymous, credentials("0ann-marie_w.9", PASSWORD)).await;
    assert_eq!(me(&mut server.bearer(&answer.access_token)).await, made);
}

async fn every_violation_is_reported_and_nothing_is_made(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    for (index, username) in bad_usernames().into_iter().enumerate() {
        let bad = RegisterRequest {
            username,
            email: bad_emails()[index % bad_emails().len()].clone(),
            password: ["", "x7#kQ9!", "password123", "12345678"][index % 4].to_owned(),
            image_url: bad_image_urls()[index % bad_image_urls().len()].clone(),
            ..Default::default()
        };
        let shown = format!("{:.99}", format!("{bad:?}"));
        let fields = invalid(anonymous.auth.register(bad).await);
        assert_eq!(fields, ["username", "email", "password", "image_url"], "{shown}");
    }

    let good = || account("annabel");
    let emails = bad_emails().into_iter().map(|email| RegisterRequest { email, ..good() });
    let passwords =
        bad_passwords().into_iter().map(|password| RegisterRequest { password, ..good() });
    let image_urls =
        bad_image_urls().into_iter().map(|image_url| RegisterRequest { image_url, ..good() });
    let requests = emails.map(|it| ("email", it));
    let requests = requests.chain(passwords.map(|it| ("password", it)));
    for (field, bad) in requests.chain(image_urls.map(|it| ("image_url", it))) {
        let shown = format!("{bad:?}");
        assert_eq!(invalid(anonymous.auth.register(bad).await), [field], "{shown}");
    }
    register(&mut anonymous, good()).await;
}

async fn the_limits_themselves_are_allowed(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    let labels = ["b".repeat(63), "c".repeat(63), "d".repeat(57)].join(".");
    for (username, email, password) in [
        ("abc", "a@b.c".to_owned(), EMOJI.to_owned()),
        ("9--", "b@b.c".to_owned(), "x7#kQ9!v".to_owned()),
        (&"d".repeat(32), format!("{}@{labels}.xy", "e".repeat(64)), EMOJI.repeat(32)),
    ] {
        let image_url = format!("https://example.org/{}", "ü".repeat(2_048 - 20));
        let username = username.to_owned();
        let sent = RegisterRequest { username, email, password, image_url, ..Default::default() };
        let made = register(&mut anonymous, sent.clone()).await;
        assert_eq!((&made.username, &made.email), (&sent.username, &sent.email));
        assert_eq!(made.image_url, sent.image_url);
        assert!(logs_in(&mut anonymous, &sent.username, &sent.password).await);
        assert!(logs_in(&mut anonymous, &sent.email, &sent.password).await);
    }
}

async fn a_password_is_used_exactly_as_it_was_sent(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    let long: String = EMOJI.repeat(32);
    let short: String = long.chars().take(255).collect();
    for (name, password, others) in [
        ("spaces", "  spaces around both ends\n", vec!["spaces around both ends"]),
        ("nul", "correct horse\0battery", vec!["correct horse", "correct horse\0"]),
        ("case", "Correct Horse Battery", vec!["correct horse battery", "CORRECT HORSE BATTERY"]),
        ("accent", "caf\u{e9} horse battery", vec!["cafe\u{301} horse battery"]),
        ("sql", "'; drop table users; -- \u{202e}💣", vec!["' or '1'='1", "%", "_"]),
        ("long", &long, vec![&short]),
    ] {
        let sent = RegisterRequest { password: password.to_owned(), ..account(name) };
        register(&mut anonymous, sent).await;
        for other in others {
            assert!(!logs_in(&mut anonymous, name, other).await, "{other:?}");
        }
        assert!(logs_in(&mut anonymous, name, password).await, "{password:?}");
    }
}

async fn a_name_and_an_address_belong_to_the_first_in_any_case(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let mut anonymous = server.anonymous();
    let other = |username: &str, email: &str| RegisterRequest {
        username: username.to_owned(),
        email: email.to_owned(),
        password: "something else altogether".to_owned(),
        ..account("")
    };
    for (request, reason) in [
        (other("ann", "new@example.com"), "USERNAME_TAKEN"),
        (other("aNN", "new@example.com"), "USERNAME_TAKEN"),
        (other("new", "ann@example.com"), "EMAIL_TAKEN"),
        (other("new", "Ann@EXAMPLE.com"), "EMAIL_TAKEN"),
        (other("ANN", "ANN@example.com"), "USERNAME_TAKEN"),
    ] {
        let refusal = refused(anonymous.auth.register(request).await);
        assert_eq!(refusal.kind(), (Code::AlreadyExists, reason));
    }
    let registered = ann.user.clone();
    assert_eq!(me(&mut ann).await, registered);
    assert!(logs_in(&mut anonymous, "ann", PASSWORD).await);
    assert!(!logs_in(&mut anonymous, "ann", "something else altogether").await);

    // What was refused has kept nothing for itself.
    assert!(!logs_in(&mut anonymous, "new", "something else altogether").await);
    register(&mut anonymous, other("new", "new@example.com")).await;
}

async fn of_many_at_the_same_moment_one_gets_the_name(on: Engine) {
    let server = start_without_limits(on).await;
    let mut calls = JoinSet::new();
    for number in 0..16 {
        let mut somebody = server.anonymous();
        let request = RegisterRequest {
            username: if number % 2 == 0 { "annabel" } else { "Annabel" }.to_owned(),
            email: format!("number{number}@example.com"),
            password: format!("{PASSWORD} {number}"),
            ..account("")
        };
        calls.spawn(async move { (number, somebody.auth.register(request).await) });
    }
    let mut winners = Vec::new();
    for (number, answer) in calls.join_all().await {
        match answer {
            Ok(_) => winners.push(number),
            refusal => {
                let kind = refused(refusal);
                assert_eq!(kind.kind(), (Code::AlreadyExists, "USERNAME_TAKEN"));
            }
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let mut anonymous = server.anonymous();
    for number in 0..16 {
        let (email, password) =
            (format!("number{number}@example.com"), format!("{PASSWORD} {number}"));
        let won = winners.contains(&number);
        assert_eq!(logs_in(&mut anonymous, "annabel", &password).await, won);
        assert_eq!(logs_in(&mut anonymous, &email, &password).await, won);
    }
}
