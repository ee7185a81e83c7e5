//! What the commands say to the services.

use shared::pb::auth::LoginRequest;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// The password of everybody whom a command registers.
pub(crate) const PASSWORD: &str = "a plain horse eats staples";

/// What logs somebody in.
pub(crate) fn login(login: &str, password: &str) -> LoginRequest {
    let (login, password) = (login.to_owned(), password.to_owned());
    LoginRequest { login, password, ..LoginRequest::default() }
}

/// A request of whoever has this token.
pub(crate) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = format!("Bearer {token}").parse() {
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// Whether a call is refused because its token has been revoked.
pub(crate) fn is_revoked(status: &Status) -> bool {
    let info = status.get_details_error_info();
    status.code() == Code::Unauthenticated && info.is_some_and(|it| it.reason == "TOKEN_REVOKED")
}

/// A refusal, without its details.
pub(crate) fn told(status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    format!("{:?} {reason}: {}", status.code(), status.message())
}
