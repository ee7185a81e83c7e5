//! Registrations that are repeated: one account, and the same answer to each.

use auth_service::{
    error::{Error, Refusal},
    store::{Earlier, Registered, SqlStore},
    users::{User, UserChange},
};
use shared::{
    database::Engine,
    once::{Once, Reused},
    pb::auth::RegisterRequest,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Scene, email, hash, image_url, on_every_engine, once, refusal, username};

on_every_engine!(
    Scene:
    an_account_is_opened_once,
    another_registration_by_the_same_id_opens_nothing,
    of_the_same_at_the_same_moment_one_opens_the_account,
    a_name_that_was_given_up_opens_no_second_account,
    a_registration_that_was_refused_may_be_tried_anew,
    the_same_id_under_another_name_is_another,
    an_answer_that_contradicts_the_types_is_a_fault,
);

/// The registration of this user by this id, as an owner that stands for the name.
fn registration(user: &User, id: u128) -> Option<Once> {
    let name = user.username.key();
    let owner = Uuid::from_slice(&format!("{name:16.16}").into_bytes()).unwrap();
    let request = RegisterRequest {
        username: user.username.as_str().to_owned(),
        email: user.email.as_str().to_owned(),
        image_url: user.image_url.as_str().to_owned(),
        ..RegisterRequest::default()
    };
    once(owner, id, request)
}

/// Registers by this id, each time as a user of a new id, as the RPC does.
async fn register<DB: Engine>(
    store: &SqlStore<DB>,
    user: &User,
    id: u128,
) -> Result<Option<Earlier>, Error> {
    let new = User { id: Uuid::new_v4(), ..user.clone() };
    store.register(new, hash("again"), registration(user, id)).await
}

/// Opens the account of this user.
async fn open<DB: Engine>(scene: &Scene<DB>, user: &User, id: u128) -> Option<Earlier> {
    let opened = scene.store.register(user.clone(), hash("x"), registration(user, id)).await;
    assert_eq!(opened.unwrap(), None, "it is opened now");
    Some(Ok(Registered { id: user.id, create_time: user.create_time }))
}

async fn an_account_is_opened_once<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.user("Ann", "ann@example.com");
    let once = registration(&ann, 1).unwrap();
    assert_eq!(scene.store.earlier_registration(&once).await.unwrap(), None);
    let opened = open(&scene, &ann, 1).await;
    scene.later();
    for store in [&*scene.store, &scene.second_store().await] {
        assert_eq!(store.earlier_registration(&once).await.unwrap(), opened);
        for _ in 0..2 {
            assert_eq!(register(store, &ann, 1).await.unwrap(), opened);
        }
    }
    let account = scene.store.find_by_name("ann".to_owned()).await.unwrap().unwrap();
    assert_eq!((account.user, account.password_hash), (ann.clone(), hash("x")));
    assert_eq!(scene.column::<i64>("select count(*) as it from users").await, [1]);
    assert_eq!(scene.column::<i64>("select count(*) as it from user_names").await, [2]);

    assert_eq!(refusal(register(&scene.store, &ann, 2).await), Refusal::UsernameTaken);
    let kept = scene.column::<String>("select answer as it from answers").await;
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let names = ["ann", "example"];
    assert!(names.iter().all(|name| !kept.to_lowercase().contains(name)), "{kept}");
}

async fn another_registration_by_the_same_id_opens_nothing<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.user("ann", "ann@example.com");
    let opened = open(&scene, &ann, 1).await;
    for other in [
        User { email: email("other@example.com"), ..ann.clone() },
        User { username: username("ANN"), ..ann.clone() },
        User { image_url: image_url("https://example.org/"), ..ann.clone() },
    ] {
        let once = registration(&other, 1).unwrap();
        assert_eq!(scene.store.earlier_registration(&once).await.unwrap(), Some(Err(Reused)));
        assert_eq!(register(&scene.store, &other, 1).await.unwrap(), Some(Err(Reused)));
    }
    assert_eq!(scene.named("other@example.com").await, None);
    assert_eq!(scene.named("ann").await.as_ref(), Some(&ann));
    assert_eq!(register(&scene.store, &ann, 1).await.unwrap(), opened);
}

async fn of_the_same_at_the_same_moment_one_opens_the_account<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    for (round, name) in ["ann", "bob", "eve", "kim"].into_iter().enumerate() {
        let user = scene.user(name, &format!("{name}@example.com"));
        let mut calls = JoinSet::new();
        for number in 0..64 {
            let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
            let user = user.clone();
            calls.spawn(async move { register(&store, &user, round as u128 + 1).await.unwrap() });
        }
        let (opened, earlier): (Vec<_>, Vec<_>) =
            calls.join_all().await.into_iter().partition(Option::is_none);
        assert_eq!((opened.len(), earlier.len()), (1, 63));
        let account = scene.named(name).await.unwrap();
        let registered = Registered { id: account.id, create_time: account.create_time };
        assert!(earlier.iter().all(|earlier| *earlier == Some(Ok(registered))), "{earlier:?}");
    }
    assert_eq!(scene.column::<i64>("select count(*) as it from users").await, [4]);
}

async fn a_name_that_was_given_up_opens_no_second_account<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.user("ann", "ann@example.com");
    let opened = open(&scene, &ann, 1).await;
    let caller = scene.log_in(&ann).await;
    let both = UserChange {
        username: Some(username("anna")),
        email: Some(email("anna@example.com")),
        ..UserChange::default()
    };
    scene.store.update_user(&caller, both, None, None).await.unwrap();
    assert_eq!(register(&scene.store, &ann, 1).await.unwrap(), opened);
    let other = User { image_url: image_url("https://example.org/"), ..ann.clone() };
    assert_eq!(register(&scene.store, &other, 1).await.unwrap(), Some(Err(Reused)));
    assert_eq!(scene.named("ann").await, None);
    assert_eq!(scene.named("ann@example.com").await, None);

    let (new, _) = scene.register("ann").await;
    assert_ne!(new.id, ann.id, "the names are free");
    assert_eq!(register(&scene.store, &ann, 1).await.unwrap(), opened);
}

async fn a_registration_that_was_refused_may_be_tried_anew<DB: Engine>(scene: Scene<DB>) {
    let (_, bob) = scene.register("bob").await;
    for (ann, refused) in [
        (scene.user("Bob", "ann@example.com"), Refusal::UsernameTaken),
        (scene.user("ann", "bob@example.com"), Refusal::EmailTaken),
    ] {
        assert_eq!(refusal(register(&scene.store, &ann, 1).await), refused);
        assert_eq!(refusal(register(&scene.store, &ann, 1).await), refused);
    }
    let free = UserChange { email: Some(email("b@example.com")), ..UserChange::default() };
    scene.store.update_user(&bob, free, None, None).await.unwrap();
    open(&scene, &scene.user("ann", "bob@example.com"), 1).await;
}

async fn the_same_id_under_another_name_is_another<DB: Engine>(scene: Scene<DB>) {
    let (ann, bob) = (scene.user("ann", "ann@x.org"), scene.user("bob", "bob@x.org"));
    let (of_ann, of_bob) = (open(&scene, &ann, 1).await, open(&scene, &bob, 1).await);
    assert_eq!(register(&scene.store, &ann, 1).await.unwrap(), of_ann);
    assert_eq!(register(&scene.store, &bob, 1).await.unwrap(), of_bob);
}

async fn an_answer_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.user("ann", "ann@example.com");
    open(&scene, &ann, 1).await;
    let once = registration(&ann, 1).unwrap();
    let id = ann.id;
    for damage in [
        "update answers set answer = ''".to_owned(),
        "update answers set answer = '{}'".to_owned(),
        format!(
            r#"update answers set answer = '{{"id":"{id}","create_time":9223372036854775807}}'"#
        ),
    ] {
        scene.by_hand(damage).await;
        let fault = scene.store.earlier_registration(&once).await.unwrap_err().to_string();
        assert!(fault.contains("answers.answer"), "{fault}");
        let fault = register(&scene.store, &ann, 1).await.unwrap_err().to_string();
        assert!(fault.contains("answers.answer"), "{fault}");
    }
}
