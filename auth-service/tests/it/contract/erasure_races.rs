//! Erasures that begin and end while other things happen, in several processes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use auth_service::{
    erasures::{Counts, OWN_PART},
    sessions::RefreshToken,
    store::{DeletedUser, SqlStore},
    users::{User, UserChange},
};
use shared::{clock::Time, database::Engine, pb::auth::UpdateCurrentUserRequest, trust::Caller};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use uuid::Uuid;

use super::{
    Scene,
    erased::holding_id,
    erasures::{delete, everybody},
    hash, image_url, on_every_engine, once, refresh, stored, successors, username,
};

on_every_engine!(
    Scene:
    the_feed_is_in_the_order_of_the_commits,
    a_service_is_asked_or_was_not_there,
    complete_is_once_and_for_ever,
    whatever_is_written_at_the_same_moment_nothing_is_left,
);

/// Reads up to the head again and again, as services do, until it is told to stop and has read all.
async fn follow<DB: Engine>(store: SqlStore<DB>, stop: watch::Receiver<bool>) -> Vec<DeletedUser> {
    let (mut told, mut after) = (Vec::new(), 0);
    loop {
        let is_last = *stop.borrow();
        let through = store.trust().await.unwrap().0.head.sequence;
        told.extend(store.deleted_users(after, through, 10_000).await.unwrap());
        after = through;
        if is_last {
            return told;
        }
        tokio::task::yield_now().await;
    }
}

async fn the_feed_is_in_the_order_of_the_commits<DB: Engine>(scene: Scene<DB>) {
    let stores = [(*scene.store).clone(), scene.second_store().await, scene.second_store().await];
    let people = scene.people(90).await;
    let (stop, stopped) = watch::channel(false);
    let follower = tokio::spawn(follow(scene.second_store().await, stopped));
    let mut calls = JoinSet::new();
    for (number, person) in people.iter().cloned().enumerate() {
        let store = stores[number % 3].clone();
        calls.spawn(async move { delete(&store, &person).await });
    }
    calls.join_all().await;
    stop.send_replace(true);
    let told = follower.await.unwrap();
    assert_eq!(told.len(), 90, "who has read up to a head has missed nobody before it");
    assert_eq!(told, everybody(&scene.store).await);
    assert_eq!(scene.head().await, 180, "a session and a user each, without a gap");
}

async fn a_service_is_asked_or_was_not_there<DB: Engine>(scene: Scene<DB>) {
    let deleting = scene.second_store().await;
    let people = scene.people(240).await;
    let deletions = tokio::spawn(async move {
        for people in people.chunks(8) {
            let mut calls = JoinSet::new();
            for person in people {
                let (store, person) = (deleting.clone(), person.clone());
                calls.spawn(async move { delete(&store, &person).await });
            }
            calls.join_all().await;
        }
    });
    // From which place on a service is there, and to which.
    let mut spans = Vec::new();
    while !deletions.is_finished() {
        let name = format!("service{}", spans.len());
        scene.store.add_service(scene.confirming(&name)).await.unwrap();
        let from = scene.head().await;
        let mut to = from;
        while to == from && !deletions.is_finished() {
            to = scene.head().await;
        }
        scene.store.remove_service(name.clone()).await.unwrap();
        spans.push((name, from, to, scene.head().await));
    }
    deletions.await.unwrap();
    assert!(!spans.is_empty());
    let places: BTreeMap<_, _> =
        everybody(&scene.store).await.iter().map(|gone| (gone.user_id, gone.sequence)).collect();
    for erasure in scene.erasures().await {
        assert_eq!(
            erasure.missing().collect::<Vec<_>>(),
            [OWN_PART],
            "nobody is waited for who is gone"
        );
        let place = places[&erasure.user_id];
        for (name, from, to, end) in &spans {
            let is_asked = erasure.parts.iter().any(|part| part.service == *name);
            assert!(is_asked || !(*from < place && place <= *to), "{name} is forgotten at {place}");
            assert!(!is_asked || place <= *end, "{name} is gone at {place}");
        }
    }
}

/// Looks at every erasure again and again, until it is told to stop: none is ever complete anew.
async fn look<DB: Engine>(
    store: SqlStore<DB>,
    looked: Arc<Notify>,
    stop: watch::Receiver<bool>,
) -> usize {
    let mut complete: BTreeMap<Uuid, Time> = BTreeMap::new();
    let mut seen_pending = 0;
    loop {
        let is_last = *stop.borrow();
        for erasure in store.erasures(0, 10_000, true).await.unwrap().0 {
            match (erasure.complete_time(), complete.get(&erasure.id)) {
                (Some(time), Some(before)) => assert_eq!(time, *before),
                (Some(time), None) => drop(complete.insert(erasure.id, time)),
                (None, before) => {
                    assert_eq!(before, None, "it was complete");
                    seen_pending += 1;
                }
            }
        }
        looked.notify_one();
        if is_last {
            assert!(seen_pending > 0, "it was looked at meanwhile");
            return complete.len();
        }
        tokio::task::yield_now().await;
    }
}

async fn complete_is_once_and_for_ever<DB: Engine>(scene: Scene<DB>) {
    let services = ["notes", "tasks", "files"];
    for service in services {
        scene.store.add_service(scene.confirming(service)).await.unwrap();
    }
    let people = scene.people(20).await;
    for person in &people {
        delete(&scene.store, person).await;
    }
    let (stop, stopped) = watch::channel(false);
    let begun = Arc::<Notify>::default();
    let looker = tokio::spawn(look(scene.second_store().await, Arc::clone(&begun), stopped));
    begun.notified().await;
    let stores = [(*scene.store).clone(), scene.second_store().await];
    let mut calls = JoinSet::new();
    for (number, person) in people.iter().enumerate() {
        for service in services.into_iter().chain([OWN_PART]) {
            let (caller, user) = (scene.service_caller(service), person.user_id());
            for store in &stores {
                let (store, caller, clock) = (store.clone(), caller.clone(), scene.clock.clone());
                let counts = Counts::from([("tasks".to_owned(), 1)]);
                calls.spawn(async move {
                    clock.advance(Duration::from_secs(1));
                    store.confirm_erasure(&caller, user, counts).await.unwrap();
                });
            }
        }
        if number % 5 == 0 {
            let (store, again) = (stores[1].clone(), scene.confirming("files"));
            store.remove_service("files".to_owned()).await.unwrap();
            store.add_service(again).await.unwrap();
        }
    }
    calls.join_all().await;
    stop.send_replace(true);
    assert_eq!(looker.await.unwrap(), 20);
    for erasure in scene.erasures().await {
        assert_eq!(erasure.parts.len(), 4);
        assert!(
            erasure.parts.iter().all(|part| part.settle_time.is_some()),
            "nobody is waited for"
        );
    }
}

/// What happens to an account, whatever becomes of it.
async fn use_account<DB: Engine>(
    scene: &Scene<DB>,
    store: SqlStore<DB>,
    user: &User,
    caller: Caller,
    number: u128,
) {
    let (session, token) = (scene.session(user), RefreshToken::random().unwrap());
    let opened = store.open_session(session, stored(&token), 0).await;
    drop(refresh(&store, &[successors("one")], &token).await);
    let picture = Some(image_url(&format!("https://example.org/{number}")));
    let change = UserChange { image_url: picture, ..UserChange::default() };
    let once = once(user.id, number, UpdateCurrentUserRequest::default());
    drop(store.update_user(&caller, change, None, once).await);
    let name = Some(username(&format!("{}x{number}", user.username.as_str())));
    let rename = UserChange { username: name, ..UserChange::default() };
    drop(store.update_user(&caller, rename, Some(0), None).await);
    let same = scene.user(user.username.as_str(), user.email.as_str());
    drop(store.register(same, hash("other"), None).await);
    if opened.is_ok() {
        drop(store.log_out(token.hash()).await);
    }
}

async fn whatever_is_written_at_the_same_moment_nothing_is_left<DB: Engine>(scene: Scene<DB>) {
    let scene = Arc::new(scene);
    let stores = [(*scene.store).clone(), scene.second_store().await];
    let mut calls = JoinSet::new();
    let mut gone = Vec::new();
    for number in 0..12 {
        let (user, caller) = scene.register(&format!("user{number}")).await;
        gone.push(user.id);
        for place in 0..6 {
            let (scene, store, user) = (scene.clone(), stores[place % 2].clone(), user.clone());
            let (caller, deletes) = (caller.clone(), place == 3);
            calls.spawn(async move {
                if deletes {
                    delete(&store, &caller).await;
                } else {
                    use_account(&scene, store, &user, caller, place as u128 + 1).await;
                }
            });
        }
    }
    calls.join_all().await;
    let dump = scene.dump().await;
    for id in gone {
        let tables = ["erasure_confirmations", "erasure_feed", "erasures"];
        assert_eq!(holding_id(&dump, id), tables);
    }
    let orphans = "select count(*) as it from refresh_tokens
                   where session_id not in (select id from sessions)";
    assert_eq!(scene.column::<i64>(orphans).await, [0]);
}
