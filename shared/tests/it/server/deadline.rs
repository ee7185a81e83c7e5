//! Calls that take too long, by the client's measure and by ours.

use std::time::{Duration, Instant};

use tonic::Code;

use super::{
    Served,
    client::{WATCH, health, order},
    service::DO,
};

fn late() -> (Code, String) {
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned())
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_at_the_servers_if_that_is_sooner() {
    let server = Served::with([("CALL_TIMEOUT", "1s")]).await;
    let mut client = server.client().await;
    for (timeout, least) in [("100m", 100), ("1H", 1_000), ("nonsense", 1_000)] {
        let begun = Instant::now();
        let headers = [("grpc-timeout", timeout), ("x-request-id", "late")];
        let answer = client.begin(DO, &headers, &order("wait")).await.end().await;
        assert_eq!((answer.kind(), answer.id.as_str()), (late(), "late"));
        let (took, least) = (begun.elapsed(), Duration::from_millis(least));
        assert!(took >= least && took < least + Duration::from_millis(800), "{timeout}: {took:?}");
        // Whatever the handler was at is over.
        server.service.until_running(0).await;
    }
    assert_eq!(client.call().await, Code::Ok);
}

#[tokio::test]
async fn a_call_that_comes_too_late_is_not_begun() {
    let server = Served::with([]).await;
    let mut client = server.client().await;
    for timeout in ["0S", "0n"] {
        let call = client.begin(DO, &[("grpc-timeout", timeout)], &order("panic")).await;
        assert_eq!(call.end().await.kind(), late());
    }
}

#[tokio::test]
async fn a_stream_that_is_never_asked_for_anything_is_not_waited_for() {
    let settings = [("CALL_TIMEOUT", "300ms"), ("SHUTDOWN_DELAY", "0ms"), ("DRAIN_TIMEOUT", "60s")];
    let server = Served::with(settings).await;
    let mut client = server.client().await;
    assert_eq!(client.open(WATCH, &[]).await.end().await.kind(), late());
    server.until("server_streams", 0).await;
    // Nor does it hold the end up.
    let silent = client.open(WATCH, &[]).await;
    server.until("server_streams", 1).await;
    server.stop();
    assert_eq!(silent.end().await.kind().0, Code::Unavailable);
    server.ended().await;
}

#[tokio::test]
async fn a_stream_ends_at_the_clients_deadline_and_at_no_other() {
    let server = Served::with([("CALL_TIMEOUT", "100ms")]).await;
    let mut client = server.client().await;
    let mut endless = client.watch(&[]).await.answered().await.unwrap();
    endless.next().await.unwrap().unwrap();
    let headers = [("grpc-timeout", "300m"), ("x-request-id", "watch")];
    let watch = client.watch(&headers).await;
    let answer = watch.end().await;
    assert_eq!((answer.kind(), answer.id.as_str()), (late(), "watch"));
    assert_eq!(health(&answer.data), 1);
    // The other has been open for longer by now, and still tells of changes.
    server.stop();
    assert_eq!(health(&endless.next().await.unwrap().unwrap()), 2);
}
