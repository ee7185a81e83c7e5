//! The page that Prometheus reads.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{Method, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

/// How many may read at once.
const READERS: usize = 16;
/// How long one may take, from the connection to the last byte.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one may take to ask.
const HEADERS: Duration = Duration::from_secs(1);
/// How long the listener rests when the system gives it no more sockets.
const REST: Duration = Duration::from_millis(50);
/// The format, by its media type.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers `GET /metrics` with what `page` gives, for as long as it is polled.
pub(super) async fn serve(
    listener: TcpListener,
    page: impl Fn() -> String + Send + Sync,
) -> Infallible {
    let page = &page;
    stream::unfold(listener, |listener| async { Some((accept(&listener).await, listener)) })
        .for_each_concurrent(READERS, |socket| async move {
            let answer = service_fn(async |request| Ok::<_, Infallible>(answer(&request, page)));
            let connection = http1::Builder::new()
                .keep_alive(false)
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .serve_connection(TokioIo::new(socket), answer);
            // Who breaks off or takes too long gets nothing, and that is all.
            drop(timeout(PATIENCE, connection).await);
        })
        .await;
    std::future::pending().await
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) => {
                tracing::warn!(%error, "a connection to the metrics can not be accepted");
                sleep(REST).await;
            }
        }
    }
}

fn answer(request: &Request<Incoming>, page: impl Fn() -> String) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    } else {
        *response.body_mut() = Full::from(page());
        response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    }
    response
}
