//! The RPCs: parse, act, answer.

mod auth;
mod users;

use shared::{
    database::Engine,
    metrics::Metrics,
    pb::auth::{
        auth_service_server::{self, AuthServiceServer},
        user_service_server::{self, UserServiceServer},
    },
    server::{MAX_RESPONSE_SIZE, Service},
    trust::Bearer,
};
use tonic::service::{Routes, interceptor::InterceptedService};

pub use auth::Auth;
pub use users::Users;

/// Both services; that of the users behind the interceptor that lets nobody in without a token.
pub fn service<DB: Engine>(
    auth: Auth<DB>,
    users: Users<DB>,
    bearer: Bearer,
    request_size: usize,
    metrics: Metrics,
) -> Service {
    let auth = AuthServiceServer::new(auth)
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let users = UserServiceServer::new(users)
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let mut routes = Routes::builder();
    routes.add_service(auth).add_service(InterceptedService::new(users, bearer));
    Service {
        routes,
        names: vec![auth_service_server::SERVICE_NAME, user_service_server::SERVICE_NAME],
        metrics,
    }
}
