//! Writes that share a transaction: each gets its own answer.

use auth_service::{
    error::{Error, Refusal},
    users::UserChange,
};
use shared::{
    database::{Engine, WriteError},
    ids::new_id,
};
use tokio::task::JoinSet;

use super::{Scene, email, hash, on_every_engine, refusal, username};

on_every_engine!(
    Scene:
    each_write_of_a_group_has_its_own_answer,
    a_write_that_the_database_refuses_hurts_nobody_else,
    processes_that_want_each_others_names_both_come_to_an_end,
);

async fn each_write_of_a_group_has_its_own_answer<DB: Engine>(scene: Scene<DB>) {
    scene.register("taken").await;
    let mut calls = JoinSet::new();
    for number in 0..60 {
        let name = if number % 3 == 0 { "Taken" } else { &format!("user{number}") };
        let user = scene.user(name, &format!("user{number}@example.com"));
        let store = scene.store.clone();
        calls.spawn(async move {
            (number, user.clone(), store.register(user, hash(&number.to_string()), None).await)
        });
    }
    for (number, user, answer) in calls.join_all().await {
        let found = scene.named(&user.email.key()).await;
        if number % 3 == 0 {
            assert_eq!(refusal(answer), Refusal::UsernameTaken);
            assert_eq!(found, None);
        } else {
            answer.unwrap();
            assert_eq!(found.as_ref(), Some(&user));
            let account = scene.store.account(&scene.log_in(&user).await).await.unwrap();
            assert_eq!((account.user, account.password_hash), (user, hash(&number.to_string())));
        }
    }
}

async fn a_write_that_the_database_refuses_hurts_nobody_else<DB: Engine>(scene: Scene<DB>) {
    let (ann, _) = scene.register("ann").await;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let name = format!("user{number}");
        let mut user = scene.user(&name, &format!("{name}@example.com"));
        // An id that is there already breaks a constraint that no refusal stands for.
        user.id = if number == 10 { ann.id } else { new_id(scene.clock.now()) };
        let store = scene.store.clone();
        calls.spawn(
            async move { (number, user.clone(), store.register(user, hash("x"), None).await) },
        );
    }
    for (number, user, answer) in calls.join_all().await {
        let found = scene.named(&user.username.key()).await;
        if number == 10 {
            assert!(matches!(answer, Err(Error::Write(WriteError::Refused(_)))), "{answer:?}");
            assert_eq!(found, None);
        } else {
            answer.unwrap();
            assert_eq!(found, Some(user));
        }
    }
    assert_eq!(scene.named("ann").await, Some(ann));
}

async fn processes_that_want_each_others_names_both_come_to_an_end<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let mut people = Vec::new();
    for number in 0..8 {
        people.push(scene.register(&format!("user{number}")).await.1);
    }
    for round in 0..8 {
        let mut calls = JoinSet::new();
        for (number, caller) in people.iter().enumerate() {
            let change = UserChange {
                username: Some(username(&format!("name{}", (number + round) % 8))),
                email: Some(email(&format!("name{}@example.com", (number + 2 * round) % 8))),
                ..UserChange::default()
            };
            let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
            let caller = caller.clone();
            calls.spawn(async move { store.update_user(&caller, change, None, None).await });
        }
        for answer in calls.join_all().await {
            if answer.is_err() {
                let refused = refusal(answer);
                assert!([Refusal::UsernameTaken, Refusal::EmailTaken].contains(&refused));
            }
        }
        for caller in &people {
            let user = scene.store.account(caller).await.unwrap().user;
            assert_eq!(scene.named(&user.username.key()).await.as_ref(), Some(&user));
            assert_eq!(scene.named(&user.email.key()).await.as_ref(), Some(&user));
        }
    }
}
