//! The sequence of what has been revoked: who has seen a number has seen all before it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use auth_service::store::SqlStore;
use shared::{database::Engine, trust::Caller};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Scene, on_every_engine};

on_every_engine!(Scene: whoever_reads_up_to_the_head_misses_nothing);

/// How many sessions are ended.
const COUNT: usize = 200;
/// In how many groups at the most, so that there are many commits.
const USERS: usize = 20;

/// Reads up to the head again and again, as verifiers do, until it is told to stop and has read all.
async fn follow<DB: Engine>(store: SqlStore<DB>, stop: Arc<AtomicBool>) -> BTreeMap<i64, Uuid> {
    let (mut seen, mut after) = (BTreeMap::new(), 0);
    loop {
        let is_last = stop.load(Ordering::Acquire);
        let through = store.trust_state().await.unwrap().head.sequence;
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
        store.revoke_session(&caller, caller.session_id()).await.unwrap();
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
