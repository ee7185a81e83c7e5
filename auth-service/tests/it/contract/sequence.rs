//! The sequence of what has been revoked: who has seen a number has seen all before it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use auth_service::{
    keys::{FIRST, SealedKey, Sealer},
    secret_key::Secrets,
    store::{KeyRevoked, SqlStore},
};
use shared::{database::Engine, trust::Caller};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Scene, on_every_engine};

on_every_engine!(
    Scene:
    whoever_reads_up_to_the_head_misses_nothing,
    no_key_is_missing_that_has_not_been_revoked_by_then,
);

/// How many sessions are ended.
const COUNT: usize = 200;
/// In how many groups at the most, so that there are many commits.
const USERS: usize = 20;

/// Reads up to the head again and again, as verifiers do, until it is told to stop and has read all.
async fn follow<DB: Engine>(store: SqlStore<DB>, stop: Arc<AtomicBool>) -> BTreeMap<i64, Uuid> {
    let (mut seen, mut after) = (BTreeMap::new(), 0);
    loop {
        let is_last = stop.load(Ordering::Acquire);
        let through = store.trust().await.unwrap().0.head.sequence;
        assert!(through >= after, "the head does not go back");
        for (place, revocation) in store.revocations(after, through, 1_000).await.unwrap() {
            seen.insert(place, revocation.id);
        }
        after = through;
        if is_last {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

/// Ends these sessions, one after another.
async fn end<DB: Engine>(store: SqlStore<DB>, callers: Vec<Caller>) {
    for caller in callers {
        store.revoke_session(&caller, caller.session_id(), None).await.unwrap();
    }
}

async fn whoever_reads_up_to_the_head_misses_nothing<DB: Engine>(scene: Scene<DB>) {
    let stores = [(*scene.store).clone(), scene.second_store().await];
    let mut sessions = Vec::new();
    for number in 0..USERS {
        let (user, first) = scene.register(&format!("user{number}")).await;
        let mut own = vec![first];
        while own.len() < COUNT / USERS {
            own.push(scene.log_in(&user).await);
        }
        sessions.push(own);
    }
    let ids: Vec<_> = sessions.iter().flatten().map(Caller::session_id).collect();
    let stop = Arc::<AtomicBool>::default();
    let readers: Vec<_> =
        stores.iter().map(|store| tokio::spawn(follow(store.clone(), Arc::clone(&stop)))).collect();
    let mut writers = JoinSet::new();
    for (number, callers) in sessions.into_iter().enumerate() {
        writers.spawn(end(stores[number % 2].clone(), callers));
    }
    writers.join_all().await;
    stop.store(true, Ordering::Release);

    let all = scene.store.revocations(0, i64::MAX, 1_000).await.unwrap();
    let places: Vec<_> = all.iter().map(|(place, _)| *place).collect();
    let count = i64::try_from(COUNT).unwrap();
    assert_eq!(places, (1..=count).collect::<Vec<_>>(), "without a gap, up to the head");
    assert_eq!(scene.head().await, count);
    let mut told: Vec<_> = all.iter().map(|(_, revocation)| revocation.id).collect();
    let mut expected = ids;
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    for reader in readers {
        let seen: Vec<_> = reader.await.unwrap().into_iter().collect();
        let all: Vec<_> = all.iter().map(|(place, it)| (*place, it.id)).collect();
        assert_eq!(seen, all, "what was read while it was written");
    }
}

/// How many keys are revoked.
const KEYS: i64 = 100;

/// Makes keys and revokes each of them again, as fast as that goes.
async fn turn_over<DB: Engine>(store: SqlStore<DB>, keys: Vec<SealedKey>) {
    for key in keys {
        let public = key.key.public.clone();
        assert!(store.add_signing_key(key, FIRST).await.unwrap());
        assert_eq!(store.revoke_signing_key(public, None, FIRST).await.unwrap(), KeyRevoked::Done);
    }
}

async fn no_key_is_missing_that_has_not_been_revoked_by_then<DB: Engine>(scene: Scene<DB>) {
    let sealer = Sealer::new(&Secrets::only("one")).unwrap();
    let now = scene.clock.now();
    let keys: Vec<_> = (1..=KEYS).map(|place| sealer.make(place, now, now).unwrap()).collect();
    let ids: Vec<_> = keys.iter().map(|key| key.key.public.id()).collect();
    let second = scene.second_store().await;
    let writer = tokio::spawn(turn_over(second, keys));
    let mut alive = 0;
    while !writer.is_finished() {
        let (state, keys) = scene.store.trust().await.unwrap();
        // The n-th key comes with the number 3n - 2; it goes, which takes two, with the number 3n.
        let sequence = usize::try_from(state.head.sequence).unwrap();
        let expected = ids.get(sequence / 3).filter(|_| sequence % 3 == 1);
        let keys: Vec<_> = keys.iter().map(|key| key.key.public.id()).collect();
        assert_eq!(keys, expected.copied().into_iter().collect::<Vec<_>>(), "at {sequence}");
        alive += keys.len();
    }
    writer.await.unwrap();
    assert!(alive > 0, "it was looked at meanwhile");
}
