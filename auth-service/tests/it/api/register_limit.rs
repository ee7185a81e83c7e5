//! `AuthService.Register`: how often it may be called from one network.

use std::time::Duration;

use e2e::{AuthServer, Engine, on_every_engine, refused};
use shared::pb::auth::RegisterRequest;
use tokio::task::JoinSet;
use tonic::{Code, Request};

use super::{
    account,
    guesses::{Answer, answer, enter},
    invalid, start,
};

on_every_engine!(
    accounts_are_opened_only_so_often_from_one_network,
    a_password_that_is_not_hashed_opens_no_account_and_does_not_count,
);

/// Registers from this network.
async fn open(server: &AuthServer, address: &str, name: &str) -> Result<(), Answer> {
    let mut request = Request::new(account(name));
    request.metadata_mut().insert("x-forwarded-for", address.parse().unwrap());
    match server.anonymous().auth.register(request).await {
        Ok(_) => Ok(()),
        refusal => Err(answer(refusal)),
    }
}

async fn accounts_are_opened_only_so_often_from_one_network(on: Engine) {
    let settings = [("AUTH_REGISTER_LIMIT", "3/1h"), ("AUTH_TRUSTED_PROXIES", "127.0.0.1")];
    let server = start(on, settings).await;
    let (here, there) = ("198.51.100.1", "198.51.100.2");
    open(&server, here, "ann").await.unwrap();
    open(&server, here, "bob").await.unwrap();
    let mut request = Request::new(account("ann"));
    request.metadata_mut().insert("x-forwarded-for", here.parse().unwrap());
    let taken = refused(server.anonymous().auth.register(request).await);
    assert_eq!(taken.kind(), (Code::AlreadyExists, "USERNAME_TAKEN"));

    assert_eq!(open(&server, here, "eve").await, Err(Answer::Later(1_200)));
    assert_eq!(open(&server, here, "ann").await, Err(Answer::Later(1_200)), "taken or not");
    let mut request = Request::new(RegisterRequest { password: String::new(), ..account("eve") });
    request.metadata_mut().insert("x-forwarded-for", here.parse().unwrap());
    assert_eq!(invalid(server.anonymous().auth.register(request).await), ["password"]);
    open(&server, there, "kim").await.unwrap();
    assert_eq!(enter(&mut server.anonymous(), "ann").await, Answer::Right, "it is no guess");

    server.clock.advance(Duration::from_mins(20));
    open(&server, here, "eve").await.unwrap();
    assert_eq!(open(&server, here, "mia").await, Err(Answer::Later(1_200)));
}

async fn a_password_that_is_not_hashed_opens_no_account_and_does_not_count(on: Engine) {
    // Those that wait may wait for long on a machine that is busy.
    let settings = [("AUTH_REGISTER_LIMIT", "130/24h"), ("AUTH_CALL_TIMEOUT", "5m")];
    let server = start(on, settings).await;
    let anonymous = server.anonymous();
    let mut calls = JoinSet::new();
    for number in 0..130 {
        let (mut person, request) = (anonymous.clone(), account(&format!("user{number}")));
        calls.spawn(async move { person.auth.register(request).await });
    }
    let mut made = 0;
    for answer in calls.join_all().await {
        match answer {
            Ok(_) => made += 1,
            refusal => assert_eq!(refused(refusal).reason, "OVERLOADED"),
        }
    }
    assert!((64..130).contains(&made), "{made} are opened");
    for number in made..130 {
        open(&server, "", &format!("late{number}")).await.unwrap();
    }
    assert!(matches!(open(&server, "", "last").await, Err(Answer::Later(_))));
}
