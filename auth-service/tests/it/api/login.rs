//! `AuthService.Login`.

use std::collections::BTreeSet;

use auth_service::{config::Config, store::SqlStore};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::{AuthServer, Engine, PASSWORD, clock, on_every_engine, refused};
use serde_json::Value;
use shared::{
    clock::{Clock, Time},
    on_engine,
    pb::auth::{ListSigningKeysRequest, LoginRequest},
};
use tonic::Code;
use uuid::Uuid;

use super::{account, credentials, invalid, login, logs_in, register, tokens};

on_every_engine!(
    a_name_and_an_address_log_in_in_any_case,
    an_unknown_user_and_a_wrong_password_are_one_answer,
    the_shape_of_a_login_is_checked_before_anything_else,
    a_token_is_good_for_the_services_that_were_asked_for,
    a_token_says_what_rfc_9068_asks_for_and_nothing_personal,
    each_login_is_a_session_of_its_own,
    a_login_hashes_the_password_anew_when_the_parameters_have_risen,
);

/// A part of a token, read by hand: nothing but the verifier decodes one otherwise.
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn a_name_and_an_address_log_in_in_any_case(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    let ann = register(&mut anonymous, account("Ann-Marie")).await;
    for name in
        ["Ann-Marie", "ann-marie", "ANN-MARIE", "Ann-Marie@example.com", "aNN-marie@EXAMPLE.Com"]
    {
        let answer = tokens(&mut anonymous, credentials(name, PASSWORD)).await;
        assert_eq!(part(&answer.access_token, 1)["sub"], ann.id.as_str(), "{name}");
        assert_eq!(answer.token_type, "Bearer");
    }
}

async fn an_unknown_user_and_a_wrong_password_are_one_answer(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.anonymous();
    for name in ["ann", "kate"] {
        register(&mut anonymous, account(name)).await;
    }
    let wrong = refused(login(&mut anonymous, "ann", "not the password").await);
    assert_eq!(wrong.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    for unknown in [
        "nobody",
        "nobody@example.com",
        "a",
        "ann ",
        " ann",
        "ann\0",
        "\0",
        "ann\n",
        "ann@",
        "an_",
        "an%",
        "' or '1'='1",
        "ann'--",
        "ann'; drop table users; --",
        "ａｎｎ",
        "а\u{43d}\u{43d}",
        "\u{212a}ate",
        "🦀",
        &"é".repeat(254),
    ] {
        assert_eq!(refused(login(&mut anonymous, unknown, PASSWORD).await), wrong, "{unknown:?}");
    }
    for password in ["x", " ", "\0", "a plain horse eats staple", &"é".repeat(256)] {
        assert_eq!(refused(login(&mut anonymous, "ann", password).await), wrong, "{password:?}");
    }
    assert!(logs_in(&mut anonymous, "ann", PASSWORD).await);
}

async fn the_shape_of_a_login_is_checked_before_anything_else(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.register("ann").await;
    let long = "é".repeat(255);
    let longer = "é".repeat(257);
    for (name, password, fields) in [
        ("", "", vec!["login", "password"]),
        (&long, &longer, vec!["login", "password"]),
        ("", PASSWORD, vec!["login"]),
        (&long, PASSWORD, vec!["login"]),
        ("ann", "", vec!["password"]),
        ("ann", &longer, vec!["password"]),
    ] {
        assert_eq!(invalid(login(&mut anonymous, name, password).await), fields);
    }
}

async fn a_token_is_good_for_the_services_that_were_asked_for(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut anonymous = server.register("ann").await;
    let asking = |audiences: &[&str]| LoginRequest {
        audiences: audiences.iter().map(ToString::to_string).collect(),
        ..credentials("ann", PASSWORD)
    };
    let both = vec!["auth-service", "task-service"];
    for (asked, given) in [
        (vec![], both.clone()),
        (vec!["task-service"], vec!["task-service"]),
        (vec!["auth-service"], vec!["auth-service"]),
        (vec!["task-service", "auth-service"], both),
        (vec!["task-service"; 16], vec!["task-service"]),
    ] {
        let answer = tokens(&mut anonymous, asking(&asked)).await;
        let given: Value = given.into();
        assert_eq!(part(&answer.access_token, 1)["aud"], given, "{asked:?}");
    }
    for (asked, field) in [
        (vec!["nowhere"], "audiences[0]"),
        (vec!["task-service", ""], "audiences[1]"),
        (vec!["Task-Service"], "audiences[0]"),
        (vec!["auth-service,task-service"], "audiences[0]"),
        (vec!["task-service"; 17], "audiences"),
    ] {
        assert_eq!(invalid(anonymous.auth.login(asking(&asked)).await), [field], "{asked:?}");
    }
    let many = asking(&["nowhere"; 1_000]);
    assert_eq!(invalid(anonymous.auth.login(many).await).len(), 20, "no more are reported");
    let bad = LoginRequest { audiences: vec!["x".to_owned()], ..LoginRequest::default() };
    assert_eq!(invalid(anonymous.auth.login(bad).await), ["login", "password", "audiences[0]"]);
}

async fn a_token_says_what_rfc_9068_asks_for_and_nothing_personal(on: Engine) {
    let (place, settings) = (on.place("auth").await, [("AUTH_ACCESS_TOKEN_TTL", "20m")]);
    let server = AuthServer::start_at(place, clock(), settings).await;
    let mut ann = server.register("ann").await;
    let answer = tokens(&mut ann, credentials("ann", PASSWORD)).await;
    let header = part(&answer.access_token, 0);
    assert_eq!(members(&header), ["alg", "kid", "typ"].into());
    assert_eq!((&header["alg"], &header["typ"]), (&"EdDSA".into(), &"at+jwt".into()));
    let keys = ann.auth.list_signing_keys(ListSigningKeysRequest {}).await.unwrap().into_inner();
    assert_eq!(header["kid"], keys.signing_keys[0].kid.as_str());

    let claims = part(&answer.access_token, 1);
    let expected = ["aud", "client_id", "exp", "iat", "iss", "jti", "sid", "sub"];
    assert_eq!(members(&claims), expected.into());
    assert_eq!((&claims["iss"], &claims["sub"]), (&"taskmanager".into(), &ann.user.id[..].into()));
    assert_eq!(claims["client_id"], "taskmanager");
    let now = server.clock.now().seconds();
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 20 * 60)));
    let expire_time = Time::from_seconds(now + 20 * 60);
    assert_eq!(answer.access_token_expire_time, Some(expire_time.into()));
    for id in ["jti", "sid"] {
        Uuid::parse_str(claims[id].as_str().unwrap()).unwrap();
    }
    assert!(!claims.to_string().contains("ann"), "{claims}");
}

async fn each_login_is_a_session_of_its_own(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let answer = tokens(&mut ann, credentials("ann", PASSWORD)).await;
        let claims = part(&answer.access_token, 1);
        for id in ["jti", "sid"] {
            assert!(seen.insert(claims[id].as_str().unwrap().to_owned()));
        }
    }
}

/// How the server has stored a password.
async fn stored(config: &Config, clock: &Clock, name: &str) -> String {
    on_engine!(config.database, DB => {
        let store = SqlStore::<DB>::open(&config.database, clock.clone()).await.unwrap();
        store.find_by_name(name.to_owned()).await.unwrap().unwrap().password_hash.0
    })
}

async fn a_login_hashes_the_password_anew_when_the_parameters_have_risen(on: Engine) {
    let server = AuthServer::start_on(on).await;
    server.register("ann").await;
    let before = stored(&server.config(), &server.clock, "ann").await;
    assert!(before.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{before}");
    assert!(logs_in(&mut server.anonymous(), "ann", PASSWORD).await);
    assert_eq!(stored(&server.config(), &server.clock, "ann").await, before, "nothing has risen");

    let server = server.restart_with([("AUTH_HASH_PASSES", "3")]).await;
    assert!(!logs_in(&mut server.anonymous(), "ann", "not the password").await);
    assert_eq!(stored(&server.config(), &server.clock, "ann").await, before);
    assert!(logs_in(&mut server.anonymous(), "ann", PASSWORD).await);
    let after = stored(&server.config(), &server.clock, "ann").await;
    assert!(after.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{after}");
    assert!(logs_in(&mut server.anonymous(), "ann", PASSWORD).await);
    assert!(!logs_in(&mut server.anonymous(), "ann", "not the password").await);

    let server = server.restart_with([("AUTH_HASH_PASSES", "2")]).await;
    assert!(logs_in(&mut server.anonymous(), "ann", PASSWORD).await);
    assert_eq!(stored(&server.config(), &server.clock, "ann").await, after, "never downwards");
}
