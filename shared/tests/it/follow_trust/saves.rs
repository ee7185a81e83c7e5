//! What is heard, on its way into the store.

use std::{os::unix::fs::PermissionsExt, path::Path};

use shared::trust::SnapshotStore;

use super::*;

#[tokio::test]
async fn a_store_that_is_slow_holds_nobody_up_and_gets_the_rest_at_once() {
    let mut pair = Pair::start();
    pair.permits.forget_permits(usize::MAX);
    let stream = pair.greeted().await;
    assert_eq!(pair.saved().await.since, None);
    for (sequence, revocation) in (1..).zip(revocations(500)) {
        stream.say(&News { revocations: vec![revocation], ..news(sequence) });
    }
    pair.until(|scene| scene.verifier.revocations() == 500).await;
    assert!(pair.saves.try_recv().is_err(), "one at a time");

    pair.permits.add_permits(1);
    let saved = pair.saved().await;
    assert_eq!((saved.since, Some(saved.head)), (news(0).head, news(500).head));
    assert_eq!(saved.news.revocations.len(), 500);
}

#[tokio::test]
async fn revocations_that_flow_are_saved_a_few_times_a_second() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    assert_eq!(pair.saved().await.since, None);
    let began = tokio::time::Instant::now();
    let mut flow = interval(Duration::from_millis(2));
    for (sequence, revocation) in (1..).zip(revocations(300)) {
        flow.tick().await;
        stream.say(&News { revocations: vec![revocation], ..news(sequence) });
    }
    let (mut count, mut sum) = (0, 0);
    while sum < 300 {
        let saved = pair.saved().await;
        count += 1;
        sum += saved.news.revocations.len();
    }
    let most = began.elapsed().as_millis() / 250 + 1;
    assert!(count <= most, "{count} in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_broken_store_keeps_nothing_from_being_learnt_and_gets_everything_once_it_works() {
    let before = Before { broken: true, ..Before::default() };
    let mut pair = Pair::before(Scene::untrusting(), before);
    pair.start_issuer();
    let stream = pair.greeted().await;
    assert_eq!(stream.head, None);
    assert_eq!(pair.saved().await.since, None);
    stream.say(&end_of_session(1));
    pair.until(|scene| scene.verifier.verify(&scene.token()) == Err(REVOKED)).await;
    pair.broken.store(false, Ordering::SeqCst);
    let beats = async {
        let mut beats = interval(Duration::from_millis(500));
        loop {
            beats.tick().await;
            stream.say(&news(1));
        }
    };
    let saved = tokio::select! {
        never = beats => never,
        saved = soon(pair.saves.recv()) => saved.unwrap(),
    };
    assert_eq!((saved.since, saved.all.revocations.len()), (None, 1));

    // It does not go on like this.
    stream.say(&News { revocations: revocations(1), ..news(2) });
    let saved = pair.saved().await;
    assert_eq!((saved.since, saved.news.revocations), (news(1).head, revocations(1)));
}

/// A verifier that keeps what it knows in this file.
async fn with_file(path: &Path) -> (Pair, Opened) {
    let before = Before { file: Some(path.to_owned()), ..Before::default() };
    let mut pair = Pair::before(Scene::untrusting(), before);
    pair.start_issuer();
    let stream = pair.opened().await;
    (pair, stream)
}

#[tokio::test]
async fn a_file_keeps_what_is_known_and_a_damaged_one_is_refused_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/trust");
    let loaded = || async { FileStore::new(&path).load().await };
    assert_eq!(loaded().await.unwrap(), None);
    // As one leaves it that was killed.
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(path.with_extension("new"), "half").unwrap();

    let (pair, stream) = with_file(&path).await;
    assert_eq!(stream.head, None);
    stream.say(&News { is_snapshot: true, revocations: revocations(3), ..pair.scene.news() });
    let saved = soon(async {
        let mut looks = interval(Duration::from_millis(5));
        loop {
            looks.tick().await;
            if let Ok(Some(saved)) = loaded().await {
                return saved;
            }
        }
    })
    .await;
    drop(pair);
    assert_eq!((Some(saved.head), saved.heard), (news(0).head, Time::from_seconds(NOW)));
    assert_eq!(saved.news.revocations.len(), 3);
    assert_eq!(saved.news.keys.map(|keys| keys.len()), Some(2));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

    let (_pair, stream) = with_file(&path).await;
    assert_eq!(stream.head, news(0).head);

    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(loaded().await.unwrap_err().to_string(), "the file is damaged");
    let (pair, stream) = with_file(&path).await;
    assert_eq!((stream.head, pair.scene.verifier.revocations()), (None, 0));
}
