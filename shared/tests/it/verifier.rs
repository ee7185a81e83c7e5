//! What a verifier decides as its keys and the time change.

use std::time::Duration;

use futures_util::FutureExt;
use shared::{
    clock::{Clock, Time},
    testing::{Forge, expected, named},
    trust::{Claims, LEEWAY, MAX_TOKEN_LIFE, News, Reason, Rejection, Revocation, Verifier},
};
use uuid::Uuid;

use crate::support::{ANN, NOW, SESSION, Scene};

const UNKNOWN: Rejection = Rejection::Invalid(Reason::KeyUnknown);
const EXPIRED: Rejection = Rejection::Invalid(Reason::Expired);

#[test]
fn a_token_proves_its_user_and_session() {
    let scene = Scene::new();
    let token = scene.token();
    for look in ["fresh", "cached"] {
        let caller = scene.verifier.verify(&token).unwrap();
        assert_eq!((caller.user_id(), caller.session_id()), (ANN, SESSION), "{look}");
    }
}

#[test]
fn a_cached_token_ends_with_its_key() {
    let scene = Scene::new();
    let (mine, others) = (scene.token(), scene.other.sign(&scene.claims()));
    assert!(scene.verifier.verify(&mine).is_ok() && scene.verifier.verify(&others).is_ok());

    scene.verifier.learn(&named(vec![scene.other.public()]));
    assert_eq!(scene.verifier.verify(&mine), Err(UNKNOWN));
    assert_eq!(scene.verifier.inspect(&mine), Err(UNKNOWN));
    assert!(scene.verifier.verify(&others).is_ok());

    scene.verifier.learn(&named(vec![scene.forge.public()]));
    assert!(scene.verifier.verify(&mine).is_ok());
    assert_eq!(scene.verifier.verify(&others), Err(UNKNOWN));
}

#[test]
fn a_cached_token_ends_at_its_time_and_not_before() {
    let scene = Scene::new();
    let token = scene.token();
    let end = Time::from_seconds(scene.claims().exp).plus(LEEWAY);
    for time in [scene.clock.now(), end.minus(Duration::from_micros(1))] {
        scene.clock.set(time);
        assert!(scene.verifier.verify(&token).is_ok());
    }
    scene.clock.set(end);
    assert_eq!(scene.verifier.verify(&token), Err(EXPIRED));
    assert_eq!(scene.verifier.inspect(&token), Err(EXPIRED));
}

#[test]
fn a_token_from_the_future_is_good_once_its_time_has_come() {
    let scene = Scene::new();
    let later = NOW + 10;
    let issued = Claims { iat: later, ..scene.claims() };
    let begins = Claims { nbf: Some(later), ..scene.claims() };
    for (claims, reason) in [(issued, Reason::IssuedInFuture), (begins, Reason::NotYetValid)] {
        let token = scene.forge.sign(&claims);
        scene.clock.set(Time::from_seconds(NOW));
        assert_eq!(scene.verifier.verify(&token), Err(Rejection::Invalid(reason)));
        scene.clock.set(Time::from_seconds(later).minus(LEEWAY));
        assert!(scene.verifier.verify(&token).is_ok());
    }
}

#[test]
fn a_clock_that_is_set_back_refuses_cached_tokens_too() {
    let scene = Scene::new();
    let token = scene.token();
    assert!(scene.verifier.verify(&token).is_ok());
    scene.clock.set(scene.clock.now().minus(Duration::from_secs(6)));
    let future = Rejection::Invalid(Reason::IssuedInFuture);
    assert_eq!(scene.verifier.verify(&token), Err(future));
}

#[test]
fn an_unknown_key_is_foreign_while_the_issuer_was_heard_of_lately() {
    let scene = Scene::new();
    let stranger = Forge::new().sign(&scene.claims());
    for pause in [0, 1] {
        scene.clock.advance(Duration::from_secs(pause));
        assert_eq!(scene.verifier.verify(&stranger), Err(UNKNOWN), "after {pause} s");
    }
    assert!(scene.verifier.wanted().now_or_never().is_none(), "nothing to ask the issuer for");
}

#[test]
fn an_unknown_key_is_wanted_when_the_issuer_was_not_heard_of_lately() {
    let scene = Scene::new();
    let stranger = Forge::new();
    let token = stranger.sign(&scene.claims());
    scene.clock.advance(Duration::from_secs(1) + Duration::from_micros(1));
    assert_eq!(scene.verifier.verify(&token), Err(Rejection::Undecidable));
    assert!(scene.verifier.wanted().now_or_never().is_some());

    scene.verifier.learn(&named(vec![stranger.public()]));
    assert!(scene.verifier.verify(&token).is_ok());
}

#[test]
fn the_token_of_a_service_is_none_of_a_user() {
    let scene = Scene::new();
    let service = scene.forge.sign(&scene.service_claims("trust.watch erasure.confirm"));
    for look in ["fresh", "cached"] {
        assert_eq!(scene.verifier.verify(&service), Err(Rejection::NotAUser), "{look}");
        let caller = scene.verifier.verify_service(&service).unwrap();
        assert_eq!(caller.name(), "task-service");
        assert!(caller.has_scope("trust.watch") && caller.has_scope("erasure.confirm"));
        assert!(!caller.has_scope("trust") && !caller.has_scope(""));
    }
    let rejection = scene.verifier.verify_service(&scene.token());
    assert_eq!(rejection, Err(Rejection::NotAService));
}

#[test]
fn a_verifier_without_keys_decides_nothing_but_shape() {
    let scene = Scene::untrusting();
    assert!(!*scene.verifier.readiness().borrow());
    assert_eq!(scene.verifier.verify(&scene.token()), Err(Rejection::Undecidable));
    assert_eq!(scene.verifier.verify("x"), Err(Rejection::Invalid(Reason::Malformed)));
}

#[test]
fn a_cached_token_whose_key_was_lost_is_undecidable_until_the_issuer_is_heard_of() {
    let scene = Scene::new();
    let token = scene.token();
    assert!(scene.verifier.verify(&token).is_ok());
    let heard = scene.clock.now().minus(Duration::from_mins(1));
    scene.verifier.recall(&named(vec![scene.other.public()]), heard);
    assert_eq!(scene.verifier.verify(&token), Err(Rejection::Undecidable));
}

#[test]
fn a_thousand_unknown_keys_want_one_fetch() {
    let scene = Scene::untrusting();
    for _ in 0..1000 {
        let kid = format!("\"{}\"", Uuid::new_v4());
        let token = scene.with_header(scene.header().with("kid", kid).text());
        assert_eq!(scene.verifier.verify(&token), Err(Rejection::Undecidable));
    }
    assert!(scene.verifier.wanted().now_or_never().is_some());
    assert!(scene.verifier.wanted().now_or_never().is_none());
}

#[test]
fn inspection_ignores_the_audience_and_nothing_else() {
    let scene = Scene::new();
    let claims = Claims { aud: vec!["another".to_owned()], ..scene.claims() };
    let token = scene.forge.sign(&claims);
    assert_eq!(scene.verifier.inspect(&token), Ok(claims.clone()));
    assert_eq!(scene.verifier.verify(&token), Err(Rejection::Invalid(Reason::Audience)));
    assert_eq!(scene.verifier.inspect(&token), Ok(claims.clone()), "once cached");
    let issuer = Claims { iss: "another".to_owned(), ..claims };
    let issuer = scene.forge.sign(&issuer);
    assert_eq!(scene.verifier.inspect(&issuer), Err(Rejection::Invalid(Reason::Issuer)));
}

#[test]
fn a_key_that_was_revoked_stays_so_though_somebody_who_is_behind_still_names_it() {
    let scene = Scene::new();
    let token = scene.token();
    assert!(scene.verifier.verify(&token).is_ok());
    let expire_time = scene.clock.now().plus(MAX_TOKEN_LIFE);
    let revocation = Revocation { id: scene.forge.public().id(), expire_time };
    scene.verifier.learn(&News { revocations: vec![revocation], ..News::default() });
    for another in [token, scene.token()] {
        assert_eq!(scene.verifier.verify(&another), Err(Reason::Revoked.into()));
    }
}

#[test]
fn a_good_token_that_comes_with_the_first_news_is_not_taken_for_foreign() {
    let (forge, clock) = (Forge::new(), Clock::manual(Time::from_seconds(NOW)));
    let token = forge.sign(&forge.claims(ANN, "testing", clock.now()));
    let news = named(vec![forge.public()]);
    for round in 0..100 {
        let verifier = Verifier::new(expected("testing"), clock.clone());
        std::thread::scope(|scope| {
            scope.spawn(|| verifier.learn(&news));
            while let Err(rejection) = verifier.verify(&token) {
                assert_eq!(rejection, Rejection::Undecidable, "round {round}");
            }
        });
    }
}
