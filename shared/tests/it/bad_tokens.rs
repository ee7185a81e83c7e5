//! Tokens that must be refused, each with what is wrong with it, and their good neighbours.

mod claims;
mod header;
mod payload;
mod shape;
mod signature;

use std::collections::HashSet;

use shared::trust::{Bearer, Reason, Rejection};
use tonic::{Code, Request, metadata::MetadataValue, service::Interceptor};

use crate::support::{Scene, told};

/// A token that is wrong in one way.
pub(crate) struct Bad {
    name: String,
    token: String,
    reason: Reason,
}

fn bad(name: impl Into<String>, token: impl Into<String>, reason: Reason) -> Bad {
    Bad { name: name.into(), token: token.into(), reason }
}

fn every_bad_token(scene: &Scene) -> Vec<Bad> {
    [shape::bad_ones, header::bad_ones, signature::bad_ones, payload::bad_ones, claims::bad_ones]
        .iter()
        .flat_map(|theme| theme(scene))
        .collect()
}

#[test]
fn the_table_is_long_and_repeats_nothing() {
    let table = every_bad_token(&Scene::new());
    assert!(table.len() >= 100, "{} bad tokens", table.len());
    let mut names = HashSet::new();
    let mut tokens = HashSet::new();
    for Bad { name, token, .. } in &table {
        assert!(names.insert(name), "two are named {name}");
        assert!(tokens.insert(token), "{name}: the token is there already");
    }
}

#[test]
fn every_bad_token_is_refused_for_its_own_reason() {
    let scene = Scene::new();
    let wrong: Vec<String> = every_bad_token(&scene)
        .into_iter()
        .filter_map(|Bad { name, token, reason }| {
            let verdict = scene.verifier.verify(&token).map(|_| "accepted");
            let expected = Err(Rejection::Invalid(reason));
            (verdict != expected).then(|| format!("{name}: {verdict:?}, not {reason:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A second look may come from the cache.
#[test]
fn a_bad_token_is_no_better_the_second_time() {
    let scene = Scene::new();
    for Bad { name, token, reason } in every_bad_token(&scene) {
        let first = scene.verifier.verify(&token);
        assert_eq!(first, scene.verifier.verify(&token), "{name}");
        assert_eq!(first, Err(Rejection::Invalid(reason)), "{name}");
    }
}

#[test]
fn every_good_neighbour_is_accepted() {
    let scene = Scene::new();
    let themes = [shape::good_ones, header::good_ones, payload::good_ones, claims::good_ones];
    for (name, token) in themes.iter().flat_map(|theme| theme(&scene)) {
        assert!(
            scene.verifier.verify(&token).is_ok(),
            "{name}: {:?}",
            scene.verifier.verify(&token)
        );
    }
}

/// All but the expired ones look alike to the last byte, so nothing can be learnt by trying.
#[test]
fn a_caller_is_not_told_what_is_wrong_with_a_bad_token() {
    let scene = Scene::new();
    let mut bearer = Bearer::new(scene.verifier.clone());
    let mut looks = HashSet::new();
    let mut sent = 0;
    for Bad { name, token, reason } in every_bad_token(&scene) {
        let value = format!("Bearer {token}");
        let Ok(value) = MetadataValue::try_from(value.as_bytes()) else {
            assert!(token.contains(char::is_control), "{name}: HTTP forbids no more than that");
            continue;
        };
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", value);
        let status = bearer.call(request).expect_err(&name);
        sent += 1;
        let expected = if reason == Reason::Expired { "TOKEN_EXPIRED" } else { "TOKEN_INVALID" };
        assert_eq!(told(&status), (Code::Unauthenticated, expected.to_owned()), "{name}");
        looks.insert((status.message().to_owned(), status.details().to_vec()));
    }
    assert!(sent >= 100, "{sent} were sent");
    assert_eq!(looks.len(), 2, "one look for expired, one for everything else");
}
