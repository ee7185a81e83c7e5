//! Stored passwords: replaced only by whoever knows the one that is stored.

use auth_service::error::Refusal;
use shared::database::Engine;
use tokio::task::JoinSet;

use super::{Scene, hash, on_every_engine, refusal};

on_every_engine!(
    Scene:
    a_password_is_replaced_and_nothing_else,
    a_password_that_was_not_checked_is_not_replaced,
    of_many_at_the_same_moment_one_replaces_it,
    nobody_has_no_password,
);

async fn a_password_is_replaced_and_nothing_else<DB: Engine>(scene: Scene<DB>) {
    let (ann, caller) = scene.register("ann").await;
    let (_, bob) = scene.register("bob").await;
    // Somebody whose stored password is the same text, which no salt would let happen.
    scene.store.change_password(&bob, 0, hash("ann")).await.unwrap();
    scene.later();
    scene.store.change_password(&caller, 0, hash("new")).await.unwrap();
    let account = scene.second_store().await.account(&caller).await.unwrap();
    assert_eq!((&account.user, account.password_hash), (&ann, hash("new")));
    scene.store.rehash(ann.id, hash("new"), hash("newer")).await.unwrap();
    let account = scene.store.account(&caller).await.unwrap();
    assert_eq!((&account.user, account.password_hash), (&ann, hash("newer")));
    assert_eq!(scene.store.account(&bob).await.unwrap().password_hash, hash("ann"));
}

async fn a_password_that_was_not_checked_is_not_replaced<DB: Engine>(scene: Scene<DB>) {
    let (ann, caller) = scene.register("ann").await;
    for stale in [-1, 1] {
        let late = scene.store.change_password(&caller, stale, hash("new")).await;
        assert_eq!(refusal(late), Refusal::PasswordChanged);
    }
    for stale in ["", "Ann", "ann ", "%", "bob"] {
        scene.store.rehash(ann.id, hash(stale), hash("new")).await.unwrap();
    }
    assert_eq!(scene.store.account(&caller).await.unwrap().password_hash, hash("ann"));
}

async fn of_many_at_the_same_moment_one_replaces_it<DB: Engine>(scene: Scene<DB>) {
    let (_, caller) = scene.register("ann").await;
    let second = scene.second_store().await;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        let (caller, new) = (caller.clone(), hash(&number.to_string()));
        calls.spawn(async move { (new.clone(), store.change_password(&caller, 0, new).await) });
    }
    let mut winners = Vec::new();
    for (new, answer) in calls.join_all().await {
        match answer {
            Ok(()) => winners.push(new),
            refused => assert_eq!(refusal(refused), Refusal::PasswordChanged),
        }
    }
    let stored = scene.store.account(&caller).await.unwrap().password_hash;
    assert!(winners == [stored], "{} have won", winners.len());
}

async fn nobody_has_no_password<DB: Engine>(scene: Scene<DB>) {
    let user = scene.user("bob", "bob@example.com");
    let refused = scene.store.change_password(&scene.caller(&user), 0, hash("new")).await;
    assert_eq!(refusal(refused), Refusal::SessionEnded);
    let refused = scene.store.set_password(user.id, hash("new")).await;
    assert_eq!(refusal(refused), Refusal::UserNotFound);
    scene.store.rehash(user.id, hash(""), hash("new")).await.unwrap();
    assert_eq!(scene.named("bob").await, None);
}
