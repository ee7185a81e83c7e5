//! The shell that both services run in: limits, call ids, health, reflection, an end that comes.

use std::{any::Any, net::SocketAddr, time::Duration};

use http::{HeaderName, HeaderValue, Request, Response};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    body::Body,
    service::{Routes, RoutesBuilder},
    transport::Server,
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::Builder as Reflection;
use tower::ServiceBuilder;
use tower_http::{
    ServiceBuilderExt,
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, RequestId},
    trace::TraceLayer,
};

use crate::{pb::FILE_DESCRIPTOR_SET, status};

/// The largest request that is read, in bytes: a task with every field full fits.
pub const MAX_REQUEST_SIZE: usize = 128 * 1024;
/// How many calls one connection may have under way.
const MAX_STREAMS: u32 = 256;
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idle peer is asked whether it is alive, and how long it has to answer.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of headers that one call may have.
const MAX_HEADERS: u32 = 16 * 1024;
/// How long calls that are under way may take to end after a shutdown has begun.
const DRAIN: Duration = Duration::from_secs(10);
/// The name of the health service.
const HEALTH: &str = "grpc.health.v1.Health";
/// The id of a call, for logs.
const CALL_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A service without its listener: its RPCs and the names that its health is asked by.
#[derive(Debug)]
pub struct Service {
    /// The RPCs.
    pub routes: RoutesBuilder,
    /// The full names of the protobuf services.
    pub names: Vec<&'static str>,
}

/// Serves until `shutdown`, then until the calls that are under way have ended, at most
/// ten seconds. Health says `SERVING` once `ready` and `NOT_SERVING` from `shutdown` on.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    mut service: Service,
    ready: impl Future<Output = ()> + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let names: Vec<_> = service.names.iter().copied().chain([""]).collect();
    report(&reporter, &names, ServingStatus::NotServing).await;
    service
        .routes
        .add_service(health)
        .add_service(reflection(&service.names).build_v1()?)
        .add_service(reflection(&service.names).build_v1alpha()?);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = server(service.routes.routes(), listener, async { drop(stopped.await) });
    tokio::pin!(server, ready, shutdown);
    tokio::select! {
        ended = &mut server => return ended,
        () = &mut shutdown => {}
        () = async {
            ready.await;
            report(&reporter, &names, ServingStatus::Serving).await;
            std::future::pending::<()>().await;
        } => {}
    }
    report(&reporter, &names, ServingStatus::NotServing).await;
    drop(stop);
    // A peer that never ends its call must not hold the process.
    tokio::time::timeout(DRAIN, server).await.unwrap_or(Ok(()))
}

/// Shows the service's own RPCs, and the error details, which clients could not read otherwise.
fn reflection(names: &[&'static str]) -> Reflection<'static> {
    let reflection = Reflection::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
    let names = names.iter().copied().chain([HEALTH]);
    names.fold(reflection, Reflection::with_service_name)
}

async fn server(
    routes: Routes,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let layers = ServiceBuilder::new()
        .map_request(drop_odd_call_id)
        .set_request_id(CALL_ID, MakeRequestUuid)
        .layer(TraceLayer::new_for_grpc().make_span_with(span).on_failure(()))
        .propagate_request_id(CALL_ID)
        .layer(CatchPanicLayer::custom(panicked))
        .map_response(explain);
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .timeout(TIMEOUT)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADERS)
        .tcp_nodelay(true)
        .layer(layers)
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await?;
    Ok(())
}

async fn report(reporter: &HealthReporter, names: &[&str], status: ServingStatus) {
    for name in names {
        reporter.set_service_status(*name, status).await;
    }
}

/// Keeps the id that a client has given its call only if it can stand in a log as it is.
fn drop_odd_call_id<B>(mut request: Request<B>) -> Request<B> {
    let plain = |id: &HeaderValue| {
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
        (1..=64).contains(&id.len()) && id.as_bytes().iter().all(allowed)
    };
    if !request.headers().get(CALL_ID).is_some_and(plain) {
        request.headers_mut().remove(CALL_ID);
    }
    request
}

/// Gives the refusals of the framework the details that ours have. What it can not read it calls
/// an internal error, or out of range, though the request is at fault.
fn explain(response: Response<Body>) -> Response<Body> {
    let refusal = Status::from_header_map(response.headers()).filter(|it| it.details().is_empty());
    match refusal.map(|status| status.code()) {
        Some(Code::Internal | Code::OutOfRange) => status::unreadable().into_http(),
        Some(Code::Unimplemented) => status::unimplemented().into_http(),
        _ => response,
    }
}

fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    tracing::info_span!("call", rpc = request.uri().path(), id)
}

/// A panic is a bug in one call; the connection and its other calls live on.
#[expect(clippy::needless_pass_by_value, reason = "the layer asks for this signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of an unknown kind"), "a handler panicked");
    status::internal().into_http()
}

/// Listens on an address, and says who does and where.
///
/// # Errors
/// When the address is taken, or is none of this machine.
pub async fn listen(program: &str, addr: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(addr).await;
    let listener = listener.map_err(|source| ServeError::Listen { addr, source })?;
    // Port 0 has become a real one.
    tracing::info!(addr = %listener.local_addr().unwrap_or(addr), "{program} is listening");
    Ok(listener)
}

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can not be listened on.
    #[error("can not listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors that reflection shows are broken.
    #[error("reflection can not be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Begins to listen to signals, and returns what resolves when the operator asks the process to
/// end: SIGTERM, or Ctrl-C.
///
/// # Errors
/// When the process can not listen to signals.
pub fn ended_by_operator() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
