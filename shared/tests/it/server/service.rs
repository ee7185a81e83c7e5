//! A service that does what its requests say, and tells how many of them it is at.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use shared::{
    pb::auth::{
        GetErasureRequest, GetErasureResponse, IssueServiceTokenRequest, IssueServiceTokenResponse,
        ListSigningKeysRequest, ListSigningKeysResponse, LoginRequest, LoginResponse,
        LogoutRequest, LogoutResponse, RefreshTokenRequest, RefreshTokenResponse, RegisterRequest,
        RegisterResponse, ValidateTokenRequest, ValidateTokenResponse,
        auth_service_server::{AuthService, AuthServiceServer, SERVICE_NAME},
    },
    server::MAX_RESPONSE_SIZE,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, body::Body, server::NamedService};
use tower::Service;

/// The name of the service. It borrows the one of auth-service, whose RPCs the shell knows.
pub(crate) const NAME: &str = SERVICE_NAME;
/// The RPC whose request says what to do.
pub(crate) const DO: &str = "/taskmanager.auth.v1.AuthService/ValidateToken";
/// The RPC whose answer begins and then panics.
pub(crate) const HALF: &str = "/taskmanager.auth.v1.AuthService/Register";

/// Handlers that do what they are told: `wait` until the gate is open, `panic`, answer `big N`
/// bytes, or answer at once.
#[derive(Clone)]
pub(crate) struct Obedient {
    /// Lets those that wait go on.
    pub(crate) gate: watch::Sender<bool>,
    running: watch::Sender<usize>,
}

impl Default for Obedient {
    fn default() -> Self {
        Self { gate: watch::Sender::new(false), running: watch::Sender::new(0) }
    }
}

/// One handler at work.
struct Running<'s>(&'s watch::Sender<usize>);

impl<'s> Running<'s> {
    fn new(count: &'s watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Obedient {
    /// Waits until this many handlers are at work.
    pub(crate) async fn until_running(&self, count: usize) {
        let mut running = self.running.subscribe();
        let reached = crate::support::soon(running.wait_for(|running| *running == count)).await;
        drop(reached.unwrap());
    }

    pub(crate) fn server(self, request_size: usize) -> Odd {
        let server = AuthServiceServer::new(self).max_decoding_message_size(request_size);
        Odd(server.max_encoding_message_size(MAX_RESPONSE_SIZE))
    }
}

#[tonic::async_trait]
impl AuthService for Obedient {
    async fn validate_token(
        &self,
        request: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        let _running = Running::new(&self.running);
        let order = request.into_inner().access_token;
        let mut answer = ValidateTokenResponse::default();
        match order.split_once(' ').unwrap_or((&order, "")) {
            ("wait", _) => drop(self.gate.subscribe().wait_for(|open| *open).await),
            ("panic", text) => panic!("{text}"),
            ("big", size) => answer.subject = "x".repeat(size.parse().unwrap()),
            _ => {}
        }
        Ok(Response::new(answer))
    }

    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        unreachable!("answered by Odd")
    }

    async fn login(&self, _: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_signing_keys(
        &self,
        _: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn issue_service_token(
        &self,
        _: Request<IssueServiceTokenRequest>,
    ) -> Result<Response<IssueServiceTokenResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn refresh_token(
        &self,
        _: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn logout(&self, _: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_erasure(
        &self,
        _: Request<GetErasureRequest>,
    ) -> Result<Response<GetErasureResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// The service, with an RPC that no generated server would have.
#[derive(Clone)]
pub(crate) struct Odd(AuthServiceServer<Obedient>);

impl NamedService for Odd {
    const NAME: &'static str = NAME;
}

impl Service<http::Request<Body>> for Odd {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<http::Request<Body>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != HALF {
            return self.0.call(request);
        }
        let response = http::Response::builder().header("content-type", "application/grpc");
        let response = response.body(Body::new(Half { begun: false })).unwrap();
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// An answer that panics after its first message.
struct Half {
    begun: bool,
}

impl http_body::Body for Half {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        assert!(!self.begun, "in the middle of an answer");
        self.begun = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 5])))))
    }
}
