//! The interceptor, header by header.

use std::time::Duration;

use shared::{
    erasure::CONFIRM_SCOPE,
    testing::Forge,
    trust::{Bearer, Caller, ServiceCaller, WATCH_SCOPE},
};
use tonic::{
    Code, Request, Status,
    metadata::{AsciiMetadataValue, MetadataValue},
    service::Interceptor,
};
use tonic_types::StatusExt;

use crate::support::{ANN, SESSION, Scene, told};

/// Calls the interceptor of users with these authorization headers.
fn call(scene: &Scene, headers: &[&[u8]]) -> Result<Request<()>, Status> {
    call_on(Bearer::new(scene.verifier.clone()), headers)
}

fn call_on(mut bearer: Bearer, headers: &[&[u8]]) -> Result<Request<()>, Status> {
    let mut request = Request::new(());
    for header in headers {
        let value: AsciiMetadataValue = MetadataValue::try_from(*header).unwrap();
        request.metadata_mut().append("authorization", value);
    }
    bearer.call(request)
}

#[test]
fn the_caller_of_a_good_token_is_in_the_request() {
    let scene = Scene::new();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let header = format!("{scheme} {}", scene.token());
        let request = call(&scene, &[header.as_bytes()]).unwrap();
        let caller = Caller::of(&request).unwrap();
        assert_eq!((caller.user_id(), caller.session_id()), (ANN, SESSION), "{scheme}");
    }
}

#[test]
fn a_request_without_a_header_lacks_a_token() {
    let status = call(&Scene::new(), &[]).unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
}

#[test]
fn anything_but_one_bearer_header_is_invalid() {
    let scene = Scene::new();
    let token = scene.token();
    let good = format!("Bearer {token}");
    let headers: [(&str, Vec<Vec<u8>>); 15] = [
        ("two that are alike", vec![good.clone().into(), good.clone().into()]),
        ("a good and a bad one", vec![good.clone().into(), b"Bearer x".into()]),
        ("a bad and a good one", vec![b"Bearer x".into(), good.clone().into()]),
        ("a good one and another scheme", vec![good.clone().into(), b"Basic eDp5".into()]),
        ("two in one", vec![format!("{good}, {good}").into()]),
        ("another scheme", vec![format!("Basic {token}").into()]),
        ("a longer scheme", vec![format!("Bearers {token}").into()]),
        ("no scheme", vec![token.clone().into()]),
        ("no space", vec![format!("Bearer{token}").into()]),
        ("a tab for a space", vec![format!("Bearer\t{token}").into()]),
        ("two spaces", vec![format!("Bearer  {token}").into()]),
        ("a space before", vec![format!(" {good}").into()]),
        ("scheme alone", vec![b"Bearer".into()]),
        ("an empty token", vec![b"Bearer ".into()]),
        ("not ASCII", vec![[good.as_bytes(), b"\xff"].concat()]),
    ];
    for (name, headers) in headers {
        let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
        let status = call(&scene, &headers).expect_err(name);
        assert_eq!(told(&status), (Code::Unauthenticated, "TOKEN_INVALID".to_owned()), "{name}");
    }
}

#[test]
fn an_expired_token_is_told_from_an_invalid_one() {
    let scene = Scene::new();
    let header = format!("Bearer {}", scene.token());
    scene.clock.advance(Duration::from_hours(1));
    let status = call(&scene, &[header.as_bytes()]).unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()));
}

#[test]
fn a_token_that_can_not_be_decided_upon_may_be_sent_again() {
    let scene = Scene::new();
    let stranger = Forge::new().sign(&scene.claims());
    scene.clock.advance(Duration::from_secs(11));
    let status = call(&scene, &[format!("Bearer {stranger}").as_bytes()]).unwrap_err();
    assert_eq!(told(&status), (Code::Unavailable, "TRUST_UNAVAILABLE".to_owned()));
    let retry = status.get_details_retry_info().unwrap();
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
}

#[test]
fn a_revoked_token_is_told_from_an_invalid_one() {
    let scene = Scene::new();
    scene.revoke(SESSION);
    let status = call(&scene, &[format!("Bearer {}", scene.token()).as_bytes()]).unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "TOKEN_REVOKED".to_owned()));
}

#[test]
fn users_and_services_are_let_in_where_they_belong() {
    let scene = Scene::new();
    let services = || Bearer::of_services(scene.verifier.clone());
    let bearer = |token: String| format!("Bearer {token}");
    let user = bearer(scene.token());
    let watcher = bearer(scene.forge.sign(&scene.service_claims(WATCH_SCOPE)));

    let request = call_on(services(), &[watcher.as_bytes()]).unwrap();
    assert_eq!(ServiceCaller::of(&request, WATCH_SCOPE).unwrap().name(), "task-service");
    assert!(Caller::of(&request).is_err(), "a service is no user");
    let refusals = [
        (call(&scene, &[watcher.as_bytes()]), "USER_TOKEN_REQUIRED"),
        (call_on(services(), &[user.as_bytes()]), "SERVICE_TOKEN_REQUIRED"),
    ];
    for (answer, reason) in refusals {
        let status = answer.expect_err(reason);
        assert_eq!(told(&status), (Code::PermissionDenied, reason.to_owned()));
    }
    let status = call_on(services(), &[]).unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
}

#[test]
fn a_service_may_do_what_its_scopes_say() {
    let scene = Scene::new();
    let let_in = |scopes: &str| {
        let token = format!("Bearer {}", scene.forge.sign(&scene.service_claims(scopes)));
        call_on(Bearer::of_services(scene.verifier.clone()), &[token.as_bytes()]).unwrap()
    };
    let missing = (Code::PermissionDenied, "SCOPE_MISSING".to_owned());
    for (scopes, scope) in [
        ("trust.watcher watch", WATCH_SCOPE),
        (WATCH_SCOPE, CONFIRM_SCOPE),
        (CONFIRM_SCOPE, WATCH_SCOPE),
    ] {
        let refused = ServiceCaller::of(&let_in(scopes), scope).unwrap_err();
        assert_eq!(told(&refused), missing, "{scopes} is not {scope}");
    }
    let both = let_in("trust.watch erasure.confirm");
    for scope in [WATCH_SCOPE, CONFIRM_SCOPE] {
        assert_eq!(ServiceCaller::of(&both, scope).unwrap().name(), "task-service");
    }
    let nobody = ServiceCaller::of(&Request::new(()), WATCH_SCOPE).unwrap_err();
    assert_eq!(told(&nobody), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
}

#[test]
fn a_request_that_passed_no_interceptor_has_no_caller() {
    let status = Caller::of(&Request::new(())).unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
}

#[test]
fn a_refused_request_leaves_no_caller_behind() {
    let scene = Scene::new();
    let mut request = Request::new(());
    let earlier = call(&scene, &[format!("Bearer {}", scene.token()).as_bytes()]).unwrap();
    *request.extensions_mut() = earlier.extensions().clone();
    assert!(Bearer::new(scene.verifier.clone()).call(request).is_err());
}
