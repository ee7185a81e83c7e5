//! One call, from its request to its response.

use std::{any::Any, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, body::Body, service::Routes, transport::server::TcpConnectInfo};
use tower::ServiceExt;
use tracing::Instrument;

use super::{
    COMMON_REQUEST_SIZE, Settings,
    admission::Admission,
    answer::{Answer, Calling},
    call_id::CallId,
    deadline,
    drain::Drain,
    end::End,
    peer::Peer,
    record::Record,
    rpcs::{Kind, Rpc, Rpcs},
};
use crate::{metrics::Metrics, status};

/// How many times as long as a call may take its peer may take the answer, if it moves on.
const TAKING: u32 = 4;

/// Which part of that time a peer may leave a part of a stream untaken. Beyond it the stream ends, which
/// the peer can still be told; beyond the whole of it the connection does.
const SLOW: u32 = 2;

/// What is done for every RPC, around the service that answers it.
pub(super) struct Shell {
    routes: Routes,
    rpcs: Rpcs,
    admission: Admission,
    drain: Drain,
    timeout: Duration,
    request_size: usize,
}

impl Shell {
    pub(super) fn new(
        routes: Routes,
        services: &[&str],
        settings: &Settings,
        metrics: &mut Metrics,
    ) -> Self {
        Self {
            routes: routes.prepare(),
            rpcs: Rpcs::of(services, metrics),
            admission: Admission::new(&settings.limits, metrics),
            drain: Drain::default(),
            timeout: settings.limits.call_timeout,
            request_size: settings.limits.request_size,
        }
    }

    pub(super) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Answers a request. Outermost first: call id, record, admission, deadline, panics.
    pub(super) async fn call(
        &self,
        peer: &Arc<Peer>,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        let rpc = self.rpcs.find(request.uri().path());
        let in_all = (rpc.kind == Kind::Unary).then(|| self.drain.calls.token());
        let under_way = Calling { _of_peer: peer.call(), _in_all: in_all };
        let id = CallId::of(request.headers());
        let mut record = Record::open(rpc, &id, peer.addr);
        let given = deadline::of(request.headers());
        let deadline = given.and_then(|given| Instant::now().checked_add(given));
        let span = tracing::info_span!("call", rpc = rpc.path, id = id.as_str());
        let (response, place) = match self.admission.admit(rpc.kind, peer) {
            Ok(place) => {
                let answer = self.answer(rpc, peer.addr, request, given).instrument(span);
                (answer.await, Some(place))
            }
            Err(refusal) => (refusal.into_http(), None),
        };
        let mut response = self.explain(response, rpc, &id);
        id.tell(response.headers_mut());
        if response.status() != StatusCode::OK {
            record.end(Code::Unimplemented);
        } else if let Some(status) = Status::from_header_map(response.headers()) {
            record.end(status.code());
        }
        let end = (rpc.kind == Kind::Stream).then(|| End::new(&self.drain, deadline));
        let patience = match rpc.kind {
            Kind::Stream => self.timeout / SLOW,
            Kind::Unary | Kind::Check => self.timeout.saturating_mul(TAKING),
        };
        response.map(|body| Answer::new(body, record, place, end, peer, patience, under_way))
    }

    async fn answer(
        &self,
        rpc: &Rpc,
        peer: SocketAddr,
        mut request: Request<Incoming>,
        given: Option<Duration>,
    ) -> Response<Body> {
        if !is_grpc(&request) {
            return unsupported_media_type();
        }
        // However long a stream may last, its first response has to come like any other.
        let patience = given.unwrap_or(self.timeout).min(self.timeout);
        if patience.is_zero() {
            return status::deadline_exceeded().into_http();
        }
        let info = TcpConnectInfo { local_addr: None, remote_addr: Some(peer) };
        request.extensions_mut().insert(info);
        // A panic is a bug in one call; the connection and its other calls live on.
        let answer = AssertUnwindSafe(self.routes.clone().oneshot(request)).catch_unwind();
        let answer = tokio::select! {
            answer = timeout(patience, answer) => answer,
            () = self.drain.begun.cancelled(), if rpc.kind != Kind::Unary => {
                return status::draining().into_http();
            }
        };
        match answer {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(panic)) => panicked(&*panic).into_http(),
            Err(_) => status::deadline_exceeded().into_http(),
        }
    }

    /// Gives the refusals of the framework the details that ours have. What it can not read it
    /// calls an internal error, or out of range, though the request is at fault.
    fn explain(&self, response: Response<Body>, rpc: &Rpc, id: &CallId) -> Response<Body> {
        let Some(refusal) = Status::from_header_map(response.headers()) else { return response };
        let is_ours = !refusal.details().is_empty();
        #[expect(clippy::wildcard_enum_match_arm, reason = "all other codes are what they seem")]
        let better = match refusal.code() {
            Code::Internal if is_ours => status::internal(id.as_str()),
            Code::Internal => status::unreadable(),
            Code::OutOfRange if !is_ours && rpc.is_own => status::too_large(self.request_size),
            Code::OutOfRange if !is_ours => status::too_large(COMMON_REQUEST_SIZE),
            Code::Unimplemented if !is_ours && rpc.is_known => status::compressed(),
            Code::Unimplemented if !is_ours => status::unimplemented(),
            _ => return response,
        };
        better.into_http()
    }
}

/// Whether a request is one of gRPC, over HTTP/2 as it is specified.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    request.method() == Method::POST && rest.is_some_and(|it| matches!(it, [] | [b'+' | b';', ..]))
}

fn unsupported_media_type() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// Tells the log what a panic says, and the caller nothing.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Status {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of an unknown kind"), "a handler panicked");
    status::internal("")
}
