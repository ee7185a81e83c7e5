//! The issuer is away, or silent, or refuses.

use super::*;
use crate::log::Log;

const SILENCE: Duration = Duration::from_secs(2);
const SLOW: Duration = Duration::from_millis(2500);

/// Neither its heartbeats nor an error arrive, and tokens that nobody can decide upon do not make it
/// wait longer.
#[tokio::test]
async fn a_stream_that_falls_silent_is_opened_anew() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    stream.say(&end_of_session(3));
    pair.until(|scene| scene.verifier.revocations() == 1).await;
    let began = Instant::now();
    pair.scene.clock.advance(SILENCE);
    let scene = &pair.scene;
    let storm = async {
        let mut blows = interval(Duration::from_millis(100));
        loop {
            blows.tick().await;
            show(scene, &unknown_keys(scene, 10));
        }
    };
    let next = tokio::select! {
        never = storm => never,
        next = soon(pair.opened.recv()) => next.unwrap(),
    };
    assert_eq!(next.head, news(3).head);
    let silent = next.at - began;
    assert!((SILENCE..SILENCE + Duration::from_secs(1)).contains(&silent), "{silent:?}");
    drop(stream);
}

#[tokio::test]
async fn an_issuer_that_goes_and_comes_back_is_told_of_once() {
    let log = Log::default();
    let listening = log.listen();
    let mut pair = Pair::before(Scene::untrusting(), Before::default());
    pair.issue(Err(Status::unavailable("starting")));
    pair.start_issuer();
    for _ in 0..3 {
        pair.asked().await;
    }
    assert_eq!(log.count("WARN"), 1, "{}", log.text());
    pair.issue(Ok(Time::from_seconds(NOW + 900)));
    let stream = pair.greeted().await;
    assert_eq!((log.count("WARN"), log.count("heard of again")), (1, 1), "{}", log.text());
    drop(stream);
    let stream = pair.opened().await;
    stream.say(&end_of_session(1));
    pair.until(|scene| scene.verifier.revocations() == 1).await;
    drop(listening);
    assert_eq!((log.count("WARN"), log.count("heard of again")), (2, 2), "{}", log.text());
}

#[tokio::test]
async fn a_wrong_secret_is_told_of_once_and_never_shown() {
    let log = Log::default();
    let listening = log.listen();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("task.secret");
    let credential = Credential::in_file("task-service", &path);
    let mut pair = Pair::before(Scene::untrusting(), Before { credential, ..Before::default() });
    pair.issue(Err(Status::unauthenticated("no such service, or not its secret")));
    pair.start_issuer();
    // The file may come later.
    std::fs::write(&path, format!("{SECRET}-wrong\n")).unwrap();
    let asked = pair.asked().await;
    assert_eq!(asked.secret, format!("{SECRET}-wrong"));
    // A token that somebody shows hurries the next attempt, which is far away.
    show(&pair.scene, &unknown_keys(&pair.scene, 1));
    let again = pair.asked().await;
    assert!(again.at - asked.at < SLOW);

    std::fs::write(&path, SECRET).unwrap();
    pair.issue(Ok(Time::from_seconds(NOW + 900)));
    let asked = pair.asked().await;
    assert_eq!(asked.secret, SECRET);
    assert!(asked.at - again.at >= SLOW, "it hardly helps to try again");
    pair.greeted().await;
    drop(listening);
    assert_eq!(log.count("ERROR"), 1, "{}", log.text());
    assert!(!log.text().contains(SECRET), "{}", log.text());
}

#[tokio::test]
async fn ten_thousand_unknown_keys_hurry_one_attempt() {
    let scene = Scene::untrusting();
    let storm = unknown_keys(&scene, 5_000);
    let mut pair = Pair::before(scene, Before::default());
    pair.issue(Err(Status::unauthenticated("no")));
    pair.start_issuer();
    let first = pair.asked().await;
    show(&pair.scene, &storm);
    let second = pair.asked().await;
    assert!(second.at - first.at < SLOW, "one is hurried");
    show(&pair.scene, &storm);
    let third = pair.asked().await;
    assert!(third.at - second.at >= SLOW, "no other is");
}

#[tokio::test]
async fn unknown_keys_ask_for_nothing_while_the_issuer_is_heard_of() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    // Undecidable, because the last message is older than any key may be.
    pair.scene.clock.advance(Duration::from_millis(1001));
    show(&pair.scene, &unknown_keys(&pair.scene, 1_000));
    stream.say(&news(1));
    pair.until(|scene| scene.verifier.staleness() == Some(Duration::ZERO)).await;
    assert!(pair.opened.try_recv().is_err());
}

/// What the issuer itself has forgotten no snapshot can tell.
#[tokio::test]
async fn what_the_issuer_has_forgotten_is_not_asked_for() {
    let mut pair = Pair::start();
    let stream = pair.greeted().await;
    let forgotten = Some(Time::from_seconds(NOW + 3600));
    stream.say(&News { forgotten, ..news(1) });
    pair.until(|scene| scene.verifier.has_forgotten_too_much()).await;
    assert_eq!(pair.scene.verifier.verify(&pair.scene.token()), Err(Rejection::Undecidable));
    stream.say(&News { forgotten, ..end_of_session(2) });
    pair.until(|scene| scene.verifier.revocations() == 1).await;
    assert!(pair.opened.try_recv().is_err());
}

#[tokio::test]
async fn a_service_starts_from_its_store_while_the_issuer_is_dead() {
    let log = Log::default();
    let listening = log.listen();
    let scene = Scene::untrusting();
    let saved = Snapshot {
        head: news(5).head.unwrap(),
        heard: scene.clock.now().minus(Duration::from_mins(5)),
        news: News { is_snapshot: true, keys: scene.news().keys, ..end_of_session(5) },
    };
    let mut pair = Pair::before(scene, Before { saved: Some(saved), ..Before::default() });
    let mut ready = pair.scene.verifier.readiness();
    soon(ready.wait_for(|ready| *ready)).await.unwrap();
    assert_eq!(pair.scene.verifier.verify(&pair.scene.token()), Err(REVOKED));
    assert_eq!(pair.scene.verifier.staleness(), Some(Duration::from_mins(5)));

    // Nobody is heard of, and time alone ends it.
    pair.scene.clock.advance(Duration::from_mins(12));
    soon(ready.wait_for(|ready| !*ready)).await.unwrap();
    drop(listening);
    assert_eq!(log.count("tokens can not be verified any more silent_seconds=1020"), 1);
    pair.start_issuer();
    let stream = pair.opened().await;
    assert_eq!(stream.head, news(5).head);
    stream.say(&news(5));
    soon(ready.wait_for(|ready| *ready)).await.unwrap();
}
