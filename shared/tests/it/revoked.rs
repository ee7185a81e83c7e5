//! What a verifier decides as revocations come and are forgotten, and when nothing comes.

use std::time::Duration;

use futures_util::FutureExt;
use shared::{
    clock::Time,
    testing::{Forge, named},
    trust::{Claims, LEEWAY, News, Reason, Rejection, Revocation},
};
use uuid::Uuid;

use crate::support::{NOW, SESSION, Scene, news, revocation};

const EXPIRED: Rejection = Rejection::Invalid(Reason::Expired);
const REVOKED: Rejection = Rejection::Invalid(Reason::Revoked);

#[test]
fn a_token_ends_when_its_session_is_revoked() {
    let scene = Scene::new();
    let (cached, fresh) = (scene.token(), scene.token());
    let other = scene.forge.sign(&Claims { sid: Uuid::new_v4().to_string(), ..scene.claims() });
    assert!(scene.verifier.verify(&cached).is_ok());
    scene.revoke(SESSION);
    for token in [&cached, &fresh] {
        assert_eq!(scene.verifier.verify(token), Err(REVOKED));
        assert_eq!(scene.verifier.inspect(token), Err(REVOKED));
    }
    assert!(scene.verifier.verify(&other).is_ok());
    assert_eq!(scene.verifier.revocations(), 1);
}

/// The key is not named any more by then, and a token of it is still told apart from a foreign one.
#[test]
fn a_token_ends_when_its_key_is_revoked() {
    let scene = Scene::new();
    let (cached, fresh) = (scene.token(), scene.token());
    assert!(scene.verifier.verify(&cached).is_ok());
    let keys = vec![scene.other.public()];
    let revocations = vec![revocation(scene.forge.public().id())];
    scene.verifier.learn(&News { revocations, ..named(keys) });
    for token in [&cached, &fresh] {
        assert_eq!(scene.verifier.verify(token), Err(REVOKED));
        assert_eq!(scene.verifier.inspect(token), Err(REVOKED));
    }
    assert!(scene.verifier.verify(&scene.other.sign(&scene.claims())).is_ok());
}

#[test]
fn what_is_not_heard_of_for_too_long_is_not_decided_until_it_is() {
    let scene = Scene::new();
    let now = scene.clock.now();
    let token = scene.forge.sign(&Claims { exp: NOW + 7200, ..scene.claims() });
    let ready = scene.verifier.readiness();
    scene.clock.advance(Duration::from_mins(16));
    assert!(scene.verifier.verify(&token).is_ok());
    scene.clock.advance(Duration::from_micros(1));
    assert_eq!(scene.verifier.verify(&token), Err(Rejection::Undecidable));
    scene.verifier.look_at_readiness();
    assert!(!*ready.borrow());

    scene.clock.set(now);
    assert_eq!(scene.verifier.verify(&token), Err(Rejection::Undecidable), "no clock is asked");
    scene.verifier.learn(&news(0));
    assert!(scene.verifier.verify(&token).is_ok());
    assert!(*ready.borrow());
}

#[test]
fn half_a_message_is_not_to_be_up_to_date() {
    let scene = Scene::new();
    scene.clock.advance(Duration::from_mins(10));
    scene.verifier.learn(&News { head: None, ..scene.news() });
    assert_eq!(scene.verifier.staleness(), Some(Duration::from_mins(10)));
    scene.verifier.learn(&news(0));
    assert_eq!(scene.verifier.staleness(), Some(Duration::ZERO));
}

/// What was forgotten by a clock that was wrong is missed once it is right again.
#[test]
fn a_clock_that_is_set_forward_and_back_leaves_tokens_undecided_until_a_snapshot() {
    let scene = Scene::new();
    let (now, hour) = (scene.clock.now(), Duration::from_hours(1));
    let revoked = scene.token();
    let good = scene.forge.sign(&Claims { sid: Uuid::new_v4().to_string(), ..scene.claims() });
    assert!(scene.verifier.verify(&good).is_ok());
    scene.revoke(SESSION);
    scene.clock.set(now.plus(2 * hour));
    scene.verifier.forget();
    assert_eq!(scene.verifier.revocations(), 0);
    scene.clock.set(now);
    for token in [&revoked, &good] {
        assert_eq!(scene.verifier.verify(token), Err(Rejection::Undecidable));
    }
    assert!(scene.verifier.wanted().now_or_never().is_some());

    scene.verifier.learn(&News { is_snapshot: true, head: None, ..scene.news() });
    assert_eq!(scene.verifier.verify(&good), Err(Rejection::Undecidable), "half of it");
    let revocations = vec![revocation(SESSION)];
    scene.verifier.learn(&News { is_snapshot: true, revocations, ..news(1) });
    assert_eq!(scene.verifier.verify(&revoked), Err(REVOKED));
    assert!(scene.verifier.verify(&good).is_ok());
}

#[test]
fn what_the_issuer_has_forgotten_is_not_decided() {
    let scene = Scene::new();
    let token = scene.token();
    let end = Time::from_seconds(scene.claims().exp);
    for is_snapshot in [false, true] {
        scene.verifier.learn(&News { is_snapshot, forgotten: Some(end), ..news(1) });
        assert!(scene.verifier.verify(&token).is_ok());
        let forgotten = Some(end.plus(Duration::from_micros(1)));
        scene.verifier.learn(&News { is_snapshot, forgotten, ..news(1) });
        assert_eq!(scene.verifier.verify(&token), Err(Rejection::Undecidable));
    }
}

#[test]
fn what_is_forgotten_has_expired() {
    let scene = Scene::new();
    let token = scene.token();
    let end = Time::from_seconds(scene.claims().exp).plus(LEEWAY);
    let revocations = vec![revocation(SESSION)];
    let ends = |it| Revocation { expire_time: end.minus(LEEWAY), ..it };
    let revocations = revocations.into_iter().map(ends).collect();
    scene.verifier.learn(&News { revocations, ..news(1) });
    let micro = Duration::from_micros(1);
    for (time, rejection) in [(end.minus(micro), REVOKED), (end, EXPIRED)] {
        scene.clock.set(time);
        scene.verifier.forget();
        assert_eq!(scene.verifier.verify(&token), Err(rejection));
    }
}

#[test]
fn a_clock_that_is_set_by_ten_seconds_is_told_from_a_revocation() {
    let scene = Scene::new();
    let (now, ten) = (scene.clock.now(), Duration::from_secs(10));
    let token = scene.token();
    scene.clock.set(now.plus(ten));
    scene.verifier.forget();
    assert!(scene.verifier.verify(&token).is_ok());
    scene.clock.set(now.minus(ten));
    let future = Rejection::Invalid(Reason::IssuedInFuture);
    assert_eq!(scene.verifier.verify(&token), Err(future));
    scene.clock.set(now);
    assert!(scene.verifier.verify(&token).is_ok());
}

#[test]
fn what_is_recalled_verifies_but_says_nothing_of_other_keys() {
    let scene = Scene::untrusting();
    let minutes = Duration::from_mins(10);
    let revocations = vec![revocation(SESSION)];
    let heard = scene.clock.now().minus(minutes);
    scene.verifier.recall(&News { revocations, ..scene.news() }, heard);
    assert!(*scene.verifier.readiness().borrow());
    assert_eq!(scene.verifier.staleness(), Some(minutes));
    assert_eq!(scene.verifier.verify(&scene.token()), Err(REVOKED));
    let other = Claims { sid: Uuid::new_v4().to_string(), ..scene.claims() };
    assert!(scene.verifier.verify(&scene.forge.sign(&other)).is_ok());
    let stranger = Forge::new().sign(&scene.claims());
    assert_eq!(scene.verifier.verify(&stranger), Err(Rejection::Undecidable));
    assert!(scene.verifier.wanted().now_or_never().is_some());
}

/// How long ago that was, nobody knows: the clock has been set back since.
#[test]
fn what_is_recalled_from_the_future_is_not_decided_upon() {
    let scene = Scene::untrusting();
    let late = scene.clock.now().plus(LEEWAY + Duration::from_micros(1));
    scene.verifier.recall(&scene.news(), late);
    assert!(!*scene.verifier.readiness().borrow());
    assert_eq!(scene.verifier.verify(&scene.token()), Err(Rejection::Undecidable));
    scene.verifier.recall(&scene.news(), scene.clock.now().plus(LEEWAY));
    assert!(scene.verifier.verify(&scene.token()).is_ok(), "clocks are never quite the same");
}

#[tokio::test]
async fn a_grant_ends_as_soon_as_it_is_revoked() {
    let scene = Scene::new();
    let caller = scene.verifier.verify(&scene.token()).unwrap();
    let mut ended = std::pin::pin!(scene.verifier.ended(caller.grant()));
    assert!(ended.as_mut().now_or_never().is_none());
    scene.revoke(Uuid::new_v4());
    assert!(ended.as_mut().now_or_never().is_none());
    scene.revoke(SESSION);
    assert_eq!(ended.as_mut().now_or_never(), Some(REVOKED));
}
