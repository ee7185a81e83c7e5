//! The RPCs: parse, act, answer.

mod auth;
mod users;
mod trust;
mod erasures;
mod sessions;
mod guard;

use std::sync::Arc;

use shared::{
    database::Engine,
    metrics::Metrics,
    pb::auth::{
        SigningKey, SigningKeyState,
        auth_service_server::{self, AuthServiceServer},
        trust_service_server::{self, TrustServiceServer},
        user_service_server::{self, UserServiceServer},
    },
    server::{MAX_RESPONSE_SIZE, Service},
    trust::Bearer,
};
use tonic::service::{Routes, interceptor::InterceptedService};

pub use auth::{Auth, Turns};
pub use guard::Guard;
pub use sessions::Sessions;
pub use trust::{MOST_STREAMS, Trust};
pub use users::Users;

use crate::keys::{Key, State};

/// The three services; that of the users behind the interceptor that lets nobody in without a token,
/// that of the other services behind the one that lets services in.
pub fn service<DB: Engine>(
    auth: Auth<DB>,
    users: Users<DB>,
    trust: Trust<DB>,
    request_size: usize,
    metrics: Metrics,
) -> Service {
    let verifier = Arc::clone(&auth.verifier);
    let auth = AuthServiceServer::new(auth)
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let users = UserServiceServer::new(users)
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let trust = TrustServiceServer::new(trust)
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let services = Bearer::of_services(Arc::clone(&verifier));
    let mut routes = Routes::builder();
    routes
        .add_service(auth)
        .add_service(InterceptedService::new(users, Bearer::new(verifier)))
        .add_service(InterceptedService::new(trust, services));
    let names = vec![
        auth_service_server::SERVICE_NAME,
        user_service_server::SERVICE_NAME,
        trust_service_server::SERVICE_NAME,
    ];
    Service { routes, names, metrics }
}

fn key_to_wire((state, key): (State, Key)) -> SigningKey {
    let state = match state {
        State::Pending => SigningKeyState::Pending,
        State::Active => SigningKeyState::Active,
        State::Retiring => SigningKeyState::Retiring,
        State::Ended => SigningKeyState::Unspecified,
    };
    SigningKey {
        kid: key.public.kid().to_owned(),
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        r#use: "sig".to_owned(),
        x: key.public.x(),
        state: state.into(),
        activate_time: Some(key.activate_time.into()),
    }
}
