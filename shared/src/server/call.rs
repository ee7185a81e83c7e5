//! One call, from its request to its response.

use std::{any::Any, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body, service::Routes, transport::server::TcpConnectInfo};
use tower::ServiceExt;
use tracing::Instrument;

use super::{
    Settings,
    admission::Admission,
    answer::{Answer, End},
    call_id::CallId,
    deadline,
    drain::Drain,
    peer::Peer,
    record::Record,
    rpcs::{Kind, Rpc, Rpcs},
};
use crate::{metrics::Metrics, status};

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
        let under_way = self.drain.calls.token();
        let rpc = self.rpcs.find(request.uri().path());
        let id = CallId::of(request.headers());
        let mut record = Record::open(rpc, &id, peer.addr);
        let deadline = self.deadline(rpc, &request);
        let span = tracing::info_span!("call", rpc = rpc.path, id = id.as_str());
        let (response, place) = match self.admission.admit(rpc.kind, peer) {
            Ok(place) => {
                let answer = self.answer(peer.addr, request, deadline).instrument(span);
                (answer.await, Some(place))
            }
            Err(refusal) => (refusal.into_http(), None),
        };
        let mut response = self.explain(response, rpc, &id);
        id.tell(response.headers_mut());
        if let Some(status) = Status::from_header_map(response.headers()) {
            record.end(status.code());
        }
        let end = (rpc.kind == Kind::Stream).then(|| End::new(&self.drain, deadline));
        response.map(|body| Answer::new(body, record, place, end, peer, under_way))
    }

    /// When the call must be over. A stream has no end but the one that its client sets.
    fn deadline(&self, rpc: &Rpc, request: &Request<Incoming>) -> Option<Instant> {
        let given = deadline::of(request.headers());
        let patience = match rpc.kind {
            Kind::Unary | Kind::Check => Some(given.unwrap_or(self.timeout).min(self.timeout)),
            Kind::Stream => given,
        };
        Instant::now().checked_add(patience?)
    }

    async fn answer(
        &self,
        peer: SocketAddr,
        mut request: Request<Incoming>,
        deadline: Option<Instant>,
    ) -> Response<Body> {
        let info = TcpConnectInfo { local_addr: None, remote_addr: Some(peer) };
        request.extensions_mut().insert(info);
        // A panic is a bug in one call; the connection and its other calls live on.
        let answer = AssertUnwindSafe(self.routes.clone().oneshot(request)).catch_unwind();
        let answer = match deadline {
            Some(deadline) => match timeout_at(deadline, answer).await {
                Ok(answer) => answer,
                Err(_) => return status::deadline_exceeded().into_http(),
            },
            None => answer.await,
        };
        match answer {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => panicked(&*panic).into_http(),
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
            Code::OutOfRange if !is_ours => status::too_large(self.request_size),
            Code::Unimplemented if !is_ours && rpc.is_known => status::compressed(),
            Code::Unimplemented if !is_ours => status::unimplemented(),
            _ => return response,
        };
        better.into_http()
    }
}

/// Tells the log what a panic says, and the caller nothing.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Status {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of an unknown kind"), "a handler panicked");
    status::internal("")
}
