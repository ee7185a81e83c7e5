//! Changes of an account, and of the names that it holds.

use auth_service::{
    error::Refusal,
    users::{User, UserChange},
};
use shared::database::Engine;
use tokio::task::JoinSet;

use super::{Scene, email, hash, image_url, on_every_engine, refusal, username};

on_every_engine!(
    Scene:
    a_change_touches_what_it_names,
    a_change_touches_nobody_else,
    a_new_name_frees_the_old_one,
    a_name_may_change_its_case,
    a_refused_change_changes_nothing,
    a_change_holds_for_the_password_that_was_checked,
    of_changes_at_the_same_moment_no_two_get_one_name,
    an_account_that_is_gone_is_not_changed,
);

fn rename(name: &str) -> UserChange {
    UserChange { username: Some(username(name)), ..UserChange::default() }
}

fn readdress(address: &str) -> UserChange {
    UserChange { email: Some(email(address)), ..UserChange::default() }
}

fn picture(url: &str) -> UserChange {
    UserChange { image_url: Some(image_url(url)), ..UserChange::default() }
}

async fn a_change_touches_what_it_names<DB: Engine>(scene: Scene<DB>) {
    let (made, ann) = scene.register("ann").await;
    let mut expected = made.clone();
    for (change, after) in [
        (
            picture("https://example.org/🦀"),
            User { image_url: image_url("https://example.org/🦀"), ..expected.clone() },
        ),
        (
            rename("Other"),
            User {
                username: username("Other"),
                image_url: image_url("https://example.org/🦀"),
                ..expected.clone()
            },
        ),
        (
            readdress("x@example.org"),
            User {
                username: username("Other"),
                email: email("x@example.org"),
                image_url: image_url("https://example.org/🦀"),
                ..expected.clone()
            },
        ),
        (
            picture(""),
            User { username: username("Other"), email: email("x@example.org"), ..expected.clone() },
        ),
    ] {
        let now = scene.later();
        expected = User { update_time: now, ..after };
        let changed = scene.store.update_user(&ann, change.clone(), Some(0), None).await;
        assert_eq!(changed.unwrap(), expected);
        let account = scene.second_store().await.account(&ann).await.unwrap();
        assert_eq!((&account.user, account.password_hash), (&expected, hash("ann")));

        scene.later();
        let same = scene.store.update_user(&ann, change, None, None).await.unwrap();
        assert_eq!(same, expected, "what changes nothing is no change");
    }
    let nothing = scene.store.update_user(&ann, UserChange::default(), None, None).await.unwrap();
    assert_eq!(nothing, expected);
}

async fn a_change_touches_nobody_else<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    let (bob, caller) = scene.register("bob").await;
    scene.later();
    let all = UserChange {
        username: Some(username("other")),
        email: Some(email("other@example.com")),
        image_url: Some(image_url("https://example.org/")),
    };
    scene.store.update_user(&ann, all, None, None).await.unwrap();
    scene.store.update_user(&ann, rename("ann"), None, None).await.unwrap();
    let refused = scene.store.update_user(&ann, rename("bob"), None, None).await;
    assert_eq!(refusal(refused), Refusal::UsernameTaken);
    let account = scene.store.account(&caller).await.unwrap();
    assert_eq!((&account.user, account.password_hash), (&bob, hash("bob")));
    for key in ["bob", "bob@example.com"] {
        assert_eq!(scene.named(key).await.as_ref(), Some(&bob));
    }
}

async fn a_new_name_frees_the_old_one<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    let renamed = scene.store.update_user(&ann, rename("Anna"), None, None).await.unwrap();
    assert_eq!(scene.named("ann").await, None);
    assert_eq!(scene.named("anna").await.as_ref(), Some(&renamed));
    assert_eq!(scene.named("ann@example.com").await.as_ref(), Some(&renamed));
    let moved =
        scene.store.update_user(&ann, readdress("A@example.org"), None, None).await.unwrap();
    assert_eq!(scene.named("ann@example.com").await, None);
    assert_eq!(scene.named("a@example.org").await.as_ref(), Some(&moved));
    let (second, _) = scene.register("ann").await;
    assert_ne!(second.id, moved.id);
    assert_eq!(scene.named("anna").await, Some(moved));
}

async fn a_name_may_change_its_case<DB: Engine>(scene: Scene<DB>) {
    let (_, ann) = scene.register("ann").await;
    scene.store.update_user(&ann, rename("ANN"), None, None).await.unwrap();
    let changed =
        scene.store.update_user(&ann, readdress("Ann@example.com"), None, None).await.unwrap();
    assert_eq!((changed.username.as_str(), changed.email.as_str()), ("ANN", "Ann@example.com"));
    for key in ["ann", "ann@example.com"] {
        assert_eq!(scene.named(key).await.as_ref(), Some(&changed));
    }
}

async fn a_refused_change_changes_nothing<DB: Engine>(scene: Scene<DB>) {
    let (ann, caller) = scene.register("ann").await;
    let (bob, _) = scene.register("bob").await;
    scene.later();
    let half = UserChange { email: Some(email("Bob@example.com")), ..rename("free") };
    let other_half = UserChange { email: Some(email("free@example.com")), ..rename("BOB") };
    for (change, expected) in [
        (rename("Bob"), Refusal::UsernameTaken),
        (readdress("BOB@example.com"), Refusal::EmailTaken),
        (half, Refusal::EmailTaken),
        (other_half, Refusal::UsernameTaken),
    ] {
        let refused = scene.store.update_user(&caller, change, None, None).await;
        assert_eq!(refusal(refused), expected);
    }
    assert_eq!(scene.store.account(&caller).await.unwrap().user, ann);
    for (key, owner) in [
        ("ann", Some(&ann)),
        ("ann@example.com", Some(&ann)),
        ("bob", Some(&bob)),
        ("bob@example.com", Some(&bob)),
        ("free", None),
        ("free@example.com", None),
    ] {
        assert_eq!(scene.named(key).await.as_ref(), owner, "{key}");
    }
    scene.register("free").await;
}

async fn a_change_holds_for_the_password_that_was_checked<DB: Engine>(scene: Scene<DB>) {
    let (made, ann) = scene.register("ann").await;
    scene.store.change_password(&ann, 0, hash("new")).await.unwrap();
    for stale in [-1, 0, 2] {
        let late = scene.store.update_user(&ann, rename("other"), Some(stale), None).await;
        assert_eq!(refusal(late), Refusal::PasswordChanged);
    }
    assert_eq!(scene.store.account(&ann).await.unwrap().user, made);
    assert_eq!(scene.named("other").await, None);
    scene.store.update_user(&ann, rename("other"), Some(1), None).await.unwrap();
}

async fn of_changes_at_the_same_moment_no_two_get_one_name<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let mut callers = Vec::new();
    for number in 0..20 {
        callers.push(scene.register(&format!("user{number}")).await.1);
    }
    let mut calls = JoinSet::new();
    for (number, caller) in callers.into_iter().enumerate() {
        // Each wants the name of the next one, which nobody gives up, or one that nobody has.
        let wanted = if number % 2 == 0 { "free" } else { &format!("User{}", (number + 2) % 20) };
        let change =
            UserChange { email: Some(email(&format!("{number}@x.org"))), ..rename(wanted) };
        let store = if number % 3 == 0 { (*scene.store).clone() } else { second.clone() };
        calls.spawn(async move { (number, store.update_user(&caller, change, None, None).await) });
    }
    let mut winners = Vec::new();
    for (number, answer) in calls.join_all().await {
        match answer {
            Ok(user) => winners.push((number, user)),
            refused => assert_eq!(refusal(refused), Refusal::UsernameTaken),
        }
    }
    let [(winner, user)] = winners.as_slice() else { panic!("{winners:?}") };
    assert_eq!(scene.named("free").await.as_ref(), Some(user));
    for number in 0..20 {
        let (old, new) = (format!("user{number}"), format!("{number}@x.org"));
        assert_eq!(scene.named(&old).await.is_none(), number == *winner);
        assert_eq!(scene.named(&new).await.is_some(), number == *winner);
    }
}

async fn an_account_that_is_gone_is_not_changed<DB: Engine>(scene: Scene<DB>) {
    let nobody = scene.caller(&scene.user("bob", "bob@example.com"));
    for change in [rename("bob"), picture("https://example.org/"), UserChange::default()] {
        let refused = scene.store.update_user(&nobody, change, None, None).await;
        assert_eq!(refusal(refused), Refusal::SessionEnded);
    }
    assert_eq!(scene.named("bob").await, None);
}
