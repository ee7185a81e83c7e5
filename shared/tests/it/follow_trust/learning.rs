//! What the issuer says, on its way into the verifier.

use super::*;

/// Something that goes wrong with a message.
type Edit = fn(&mut WatchTrustResponse);

#[tokio::test]
async fn a_snapshot_in_parts_and_what_is_new_since_is_learnt() {
    let mut pair = Pair::start();
    let stream = pair.opened().await;
    let asked = pair.asked().await;
    assert_eq!((asked.service.as_str(), asked.secret.as_str()), ("task-service", SECRET));
    assert_eq!(stream.head, None);
    assert!(stream.authorization.starts_with("Bearer "));

    let part = |revocations| News {
        is_snapshot: true,
        head: None,
        keys: None,
        revocations,
        ..News::default()
    };
    stream.say(&News { keys: pair.scene.news().keys, ..part(revocations(5)) });
    pair.until(|scene| scene.verifier.revocations() == 5).await;
    assert!(!*pair.scene.verifier.readiness().borrow(), "half of it is nothing");
    assert!(pair.saves.try_recv().is_err());
    stream.say(&News { head: news(7).head, ..part(revocations(8)) });
    pair.until(|scene| scene.verifier.verify(&scene.token()).is_ok()).await;
    let saved = pair.saved().await;
    assert_eq!((saved.since, Some(saved.head)), (None, news(7).head));
    assert_eq!((saved.heard, saved.all.revocations.len()), (Time::from_seconds(NOW), 8));
    assert_eq!(saved.all.keys.unwrap().len(), 2);

    stream.say(&end_of_session(8));
    pair.until(|scene| scene.verifier.verify(&scene.token()) == Err(REVOKED)).await;
    let saved = pair.saved().await;
    assert_eq!((saved.since, Some(saved.head)), (news(7).head, news(8).head));
    assert_eq!(saved.news.revocations, [revocation(SESSION)]);
}

#[tokio::test]
async fn a_new_stream_goes_on_from_the_last_head_with_the_same_token() {
    let mut pair = Pair::start();
    let first = pair.greeted().await;
    first.say(&news(41));
    first.say(&end_of_session(42));
    // More of what has no head yet.
    first.say(&News { head: None, revocations: revocations(3), ..News::default() });
    pair.until(|scene| scene.verifier.revocations() == 4).await;
    let authorization = first.authorization.clone();
    drop(first);
    let second = pair.opened().await;
    assert_eq!((second.head, second.authorization), (news(42).head, authorization));
}

#[tokio::test]
async fn a_token_that_has_ended_is_replaced() {
    let mut pair = Pair::start();
    let first = pair.greeted().await;
    pair.asked().await;
    let authorization = first.authorization.clone();
    first.end(Status::unauthenticated("expired"));
    pair.asked().await;
    let second = pair.opened().await;
    assert_eq!(second.head, news(0).head);
    assert_ne!(second.authorization, authorization);

    // A token near its end is not kept for the next stream either.
    pair.issue(Ok(Time::from_seconds(NOW + 30)));
    second.end(Status::unauthenticated("expired"));
    pair.asked().await;
    drop(pair.opened().await);
    pair.asked().await;
}

#[tokio::test]
async fn another_epoch_is_learnt_beside_what_is_known_and_saved_as_a_whole() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    stream.say(&end_of_session(1));
    pair.until(|scene| scene.verifier.revocations() == 1).await;
    drop(stream);
    let stream = pair.opened().await;
    let head = Some(Head { epoch: Uuid::from_u128(1), sequence: 0 });
    let restored =
        News { is_snapshot: true, head, revocations: revocations(1), ..pair.scene.news() };
    stream.say(&restored);
    pair.until(|scene| scene.verifier.revocations() == 2).await;
    let saved = loop {
        let saved = pair.saved().await;
        if Some(saved.head) == head {
            break saved;
        }
    };
    assert_eq!((saved.since, saved.all.revocations.len()), (None, 2));
    assert_eq!(pair.scene.verifier.verify(&pair.scene.token()), Err(REVOKED));
    drop(stream);
    assert_eq!(pair.opened().await.head, head);
}

#[tokio::test]
async fn a_malformed_message_ends_the_stream_and_nothing_of_it_is_learnt() {
    let good = issuer::message(&News { keys: Scene::new().news().keys, ..end_of_session(9) });
    let edits: [(&str, Edit); 9] = [
        ("an epoch that is none", |it| it.head.as_mut().unwrap().epoch = "1".into()),
        ("a negative sequence", |it| it.head.as_mut().unwrap().sequence = -1),
        ("a key of another kind", |it| it.signing_keys[1].kty = "EC".into()),
        ("the kid of another key", |it| it.signing_keys[1].kid = it.signing_keys[0].kid.clone()),
        ("a key that is cut", |it| it.signing_keys[1].x.truncate(42)),
        ("a short id", |it| it.revocations[0].id.truncate(15)),
        ("no time", |it| it.revocations[0].expire_time = None),
        ("a time that is none", |it| {
            it.revocations[0].expire_time.as_mut().unwrap().nanos = -1;
        }),
        ("another time that is none", |it| {
            it.forgotten_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
        }),
    ];
    let refused = edits.map(|(name, edit)| {
        let mut message = good.clone();
        message.revocations.insert(0, message.revocations[0].clone());
        message.revocations.swap(0, 1);
        edit(&mut message);
        async move {
            let mut pair = Pair::start();
            let stream = pair.greeted().await;
            stream.send(message);
            assert_eq!(pair.opened().await.head, news(0).head, "{name}");
            assert_eq!(pair.scene.verifier.revocations(), 0, "{name}");
            assert!(pair.scene.verifier.verify(&pair.scene.token()).is_ok(), "{name}");
        }
    });
    futures_util::future::join_all(refused).await;
}

/// The clock was set forward, and what seemed to have expired was forgotten.
#[tokio::test]
async fn what_was_forgotten_too_early_is_fetched_again_when_it_is_wanted() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    stream.say(&end_of_session(1));
    pair.until(|scene| scene.verifier.verify(&scene.token()) == Err(REVOKED)).await;
    let (now, token) = (pair.scene.clock.now(), pair.scene.token());
    pair.scene.clock.set(now.plus(Duration::from_hours(2)));
    drop(stream);
    let stream = pair.opened().await;
    assert_eq!((stream.head, pair.scene.verifier.revocations()), (news(1).head, 0));
    stream.say(&news(1));
    pair.scene.clock.set(now);
    let shown = Instant::now();
    for _ in 0..100 {
        assert_eq!(pair.scene.verifier.verify(&token), Err(Rejection::Undecidable));
    }

    let stream = pair.opened().await;
    assert_eq!(stream.head, None, "everything is wanted");
    assert!(stream.at - shown < Duration::from_millis(1500), "before it would be silent");
    stream.say(&News { is_snapshot: true, head: None, ..end_of_session(0) });
    stream.say(&News { is_snapshot: true, ..news(1) });
    pair.until(|scene| scene.verifier.verify(&token) == Err(REVOKED)).await;
    assert!(pair.opened.try_recv().is_err(), "once");
}
