//! Accounts: how they are opened and found.

use auth_service::{error::Refusal, users::User};
use shared::{clock::Time, database::Engine};
use tokio::task::JoinSet;

use super::{Scene, hash, image_url, on_every_engine, refusal};

on_every_engine!(
    Scene:
    an_account_is_kept_as_it_was_given,
    a_name_and_an_address_belong_to_the_first,
    of_many_at_the_same_moment_one_gets_the_name,
    everybody_finds_their_own,
    a_missing_account_is_gone,
    a_row_that_contradicts_the_types_is_a_fault,
);

async fn an_account_is_kept_as_it_was_given<DB: Engine>(scene: Scene<DB>) {
    let user = User {
        image_url: image_url("https://example.org/Größe/🦀?a='b';--$1"),
        create_time: Time::from_micros(-1_234_567).unwrap(),
        update_time: Time::from_micros(1_700_000_000_123_456).unwrap(),
        ..scene.user("Ann-Marie_0.9", "Ann.O'Marie+{$1}@Example.ORG")
    };
    let stored = hash("$argon2id$v=19$'; drop table users; -- 🦀");
    scene.store.register(user.clone(), stored.clone(), None).await.unwrap();
    let second = scene.second_store().await;
    for store in [&*scene.store, &second] {
        for key in ["ann-marie_0.9", "ann.o'marie+{$1}@example.org"] {
            let account = store.find_by_name(key.to_owned()).await.unwrap().unwrap();
            assert_eq!((account.user, account.password_hash), (user.clone(), stored.clone()));
        }
        let account = store.account(&scene.log_in(&user).await).await.unwrap();
        assert_eq!((account.user, account.password_hash), (user.clone(), stored.clone()));
    }
}

async fn a_name_and_an_address_belong_to_the_first<DB: Engine>(scene: Scene<DB>) {
    let (ann, caller) = scene.register("ann").await;
    for (name, email, expected) in [
        ("ann", "new@example.com", Refusal::UsernameTaken),
        ("aNN", "new@example.com", Refusal::UsernameTaken),
        ("new", "ann@example.com", Refusal::EmailTaken),
        ("new", "Ann@EXAMPLE.com", Refusal::EmailTaken),
        ("ANN", "ANN@example.com", Refusal::UsernameTaken),
    ] {
        let other = scene.user(name, email);
        let refused = scene.store.register(other.clone(), hash("other"), None).await;
        assert_eq!(refusal(refused), expected, "{name} {email}");
        let missing = scene.store.account(&scene.caller(&other)).await;
        assert_eq!(refusal(missing), Refusal::SessionEnded);
    }
    let account = scene.store.account(&caller).await.unwrap();
    assert_eq!((&account.user, account.password_hash), (&ann, hash("ann")));
    assert_eq!(scene.named("new").await, None);
    assert_eq!(scene.named("new@example.com").await, None);
    scene.register("new").await;
}

async fn of_many_at_the_same_moment_one_gets_the_name<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let mut calls = JoinSet::new();
    for number in 0..40 {
        let user = scene.user(["ann", "Ann"][number / 2 % 2], &format!("{number}@example.com"));
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        calls.spawn(async move { (user.clone(), store.register(user, hash("x"), None).await) });
    }
    let mut winners = Vec::new();
    for (user, answer) in calls.join_all().await {
        match answer {
            Ok(None) => winners.push(user),
            refused => {
                assert_eq!(refusal(refused), Refusal::UsernameTaken);
                assert_eq!(scene.named(&user.email.key()).await, None);
            }
        }
    }
    let [winner] = winners.as_slice() else { panic!("{winners:?}") };
    assert_eq!(scene.named("ann").await.as_ref(), Some(winner));
    assert_eq!(scene.named(&winner.email.key()).await.as_ref(), Some(winner));
}

async fn everybody_finds_their_own<DB: Engine>(scene: Scene<DB>) {
    // What a pattern or another order of letters would take for one another.
    for name in ["a_b", "axb", "a-b", "a.b", "ab0", "0ab"] {
        let (user, caller) = scene.register(name).await;
        assert_eq!(scene.named(name).await.as_ref(), Some(&user));
        assert_eq!(scene.named(user.email.as_str()).await.as_ref(), Some(&user));
        let account = scene.store.account(&caller).await.unwrap();
        assert_eq!((account.user, account.password_hash), (user, hash(name)));
    }
    for nobody in ["", "a", "a%b", "%", "A_B", "a_b ", "' or '1'='1", "ab", "@example.com"] {
        assert_eq!(scene.named(nobody).await, None, "{nobody:?}");
    }
}

async fn a_missing_account_is_gone<DB: Engine>(scene: Scene<DB>) {
    scene.register("ann").await;
    let nobody = scene.caller(&scene.user("bob", "bob@example.com"));
    assert_eq!(refusal(scene.store.account(&nobody).await), Refusal::SessionEnded);
    assert_eq!(scene.named("bob").await, None);
}

async fn a_row_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    for (damage, column) in [
        ("update users set create_time = 9223372036854775807", "users.create_time"),
        ("update users set image_url = 'http://example.org/'", "users.image_url"),
        ("update users set email = 'nowhere'", "users.email"),
        ("update users set username = 'a b'", "users.username"),
    ] {
        scene.by_hand(damage).await;
        let fault = scene.store.account(&ann).await.unwrap_err().to_string();
        assert!(fault.contains(column), "{fault}");
        let fault = scene.store.find_by_name("ann".to_owned()).await.unwrap_err().to_string();
        assert!(fault.contains(column), "{fault}");
    }
}
