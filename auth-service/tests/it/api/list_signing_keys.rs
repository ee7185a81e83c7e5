//! `AuthService.ListSigningKeys`, and how keys come and go.

use std::time::Duration;

use auth_service::{StartError, commands::CommandFault, keeper::KeeperFault};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::{AuthServer, Engine, PASSWORD, Person, on_every_engine};
use shared::{
    pb::auth::{
        ListSigningKeysRequest, SigningKey,
        SigningKeyState::{Active, Pending, Retiring},
    },
    trust::{LEEWAY, MAX_TOKEN_LIFE, PublicKey},
};

use super::{credentials, me, tokens};

on_every_engine!(
    a_key_is_published_as_a_json_web_key,
    a_restart_keeps_the_keys,
    a_running_server_takes_over_a_new_key_which_signs_after_the_delay,
    a_key_leaves_the_list_when_its_last_token_has_ended,
);

/// How long a server may take to see what another process has done; it looks every second.
const PATIENCE: Duration = Duration::from_secs(20);
/// `AUTH_KEY_PUBLISH_DELAY`.
const DELAY: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

async fn keys(server: &AuthServer) -> Vec<SigningKey> {
    let answer = server.anonymous().auth.list_signing_keys(ListSigningKeysRequest {}).await;
    answer.unwrap().into_inner().signing_keys
}

/// The keys once there are so many.
async fn keys_when(server: &AuthServer, count: usize) -> Vec<SigningKey> {
    let mut somebody = server.anonymous();
    let poll = async {
        loop {
            let answer = somebody.auth.list_signing_keys(ListSigningKeysRequest {}).await.unwrap();
            let keys = answer.into_inner().signing_keys;
            if keys.len() == count {
                return keys;
            }
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("the server sees what has changed")
}

fn states(keys: &[SigningKey]) -> Vec<shared::pb::auth::SigningKeyState> {
    keys.iter().map(SigningKey::state).collect()
}

/// The key that signs what a login gives now.
async fn signs(person: &mut Person) -> String {
    let token = tokens(person, credentials("ann", PASSWORD)).await.access_token;
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn a_key_is_published_as_a_json_web_key(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let keys = keys(&server).await;
    assert_eq!(states(&keys), [Active]);
    let key = &keys[0];
    assert_eq!(PublicKey::try_from(key).unwrap().kid(), key.kid, "the thumbprint");
    let expected = SigningKey {
        kid: key.kid.clone(),
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        r#use: "sig".to_owned(),
        x: key.x.clone(),
        state: Active.into(),
        activate_time: Some(server.clock.now().into()),
    };
    assert_eq!(*key, expected);
    let other = AuthServer::start_on(on).await;
    assert_ne!(self::keys(&other).await[0].kid, key.kid, "each database has keys of its own");
}

async fn a_restart_keeps_the_keys(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let before = keys(&server).await;
    let server = server.restart_with([]).await;
    assert_eq!(keys(&server).await, before);
}

async fn a_running_server_takes_over_a_new_key_which_signs_after_the_delay(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let first = keys(&server).await.remove(0);
    let made = server.operate("keys rotate").await.unwrap();
    let both = keys_when(&server, 2).await;
    assert_eq!(both[0], first);
    assert!(made.starts_with(&format!("{} signs from ", both[1].kid)), "{made}");
    assert_eq!(both[1].activate_time, Some(server.clock.now().plus(DELAY).into()));
    assert_eq!(states(&both), [Active, Pending]);
    let again = server.operate("keys rotate").await;
    let Err(StartError::Command(CommandFault::Keys(KeeperFault::Pending(kid)))) = again else {
        panic!("{again:?}");
    };
    assert_eq!(kid, both[1].kid);

    server.clock.advance(DELAY.saturating_sub(SECOND));
    assert_eq!(states(&keys(&server).await), [Active, Pending]);
    assert_eq!(signs(&mut ann).await, first.kid);
    server.clock.advance(SECOND);
    assert_eq!(states(&keys(&server).await), [Retiring, Active]);
    assert_eq!(signs(&mut ann).await, both[1].kid);
    me(&mut ann).await;
}

async fn a_key_leaves_the_list_when_its_last_token_has_ended(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let first = keys(&server).await.remove(0);
    server.operate("keys rotate").await.unwrap();
    keys_when(&server, 2).await;
    server.clock.advance(DELAY + MAX_TOKEN_LIFE + LEEWAY);
    assert_eq!(states(&keys(&server).await), [Retiring, Active]);
    server.clock.advance(SECOND);
    let left = keys(&server).await;
    assert_eq!(states(&left), [Active]);
    assert_ne!(left[0].kid, first.kid);

    // It is forgotten when the next key is made.
    let states = async || {
        let list = server.operate("keys list").await.unwrap();
        let state = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
        list.lines().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["ENDED", "ACTIVE"]);
    server.operate("keys rotate").await.unwrap();
    assert_eq!(states().await, ["ACTIVE", "PENDING"]);
}
