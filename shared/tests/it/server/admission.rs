//! How much is under way at once.

use std::time::Duration;

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;

use super::{
    Served,
    client::{CHECK, Call, Client, framed, health, order},
    raw::{self, END_HEADERS, END_STREAM, HEADERS, REFUSED_STREAM, RST_STREAM, Raw, frame, number},
    service::DO,
};
use crate::support::soon;

const SERVING: i32 = 1;

/// Refused for now, as a client is told.
async fn is_overloaded(call: Call) {
    let answer = call.end().await;
    assert_eq!(answer.kind(), (Code::ResourceExhausted, "OVERLOADED".to_owned()));
    let retry = answer.details().retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_call_beyond_the_limit_is_told_to_come_back_and_health_still_answers() {
    let server = Served::with([("MAX_CALLS", "2")]).await;
    let (mut ann, mut bob) = (server.client().await, server.client().await);
    let (first, second) = (ann.order("wait").await, bob.order("wait").await);
    server.service.until_running(2).await;
    assert_eq!(server.metric("server_calls").await, 2);
    for client in [&mut ann, &mut bob] {
        is_overloaded(client.order("").await).await;
        assert_eq!(client.check().await, SERVING);
    }
    // A client that goes away leaves its place.
    drop(second);
    server.until("server_calls", 1).await;
    assert_eq!(bob.call().await, Code::Ok);
    server.service.gate.send_replace(true);
    assert_eq!(first.end().await.status.code(), Code::Ok);
    server.until("server_calls", 0).await;
    let handled = "grpc_server_handled_total{grpc_type=\"unary\",\
        grpc_service=\"taskmanager.auth.v1.AuthService\",grpc_method=\"ValidateToken\",\
        grpc_code=\"ResourceExhausted\"}";
    assert_eq!(server.metric(handled).await, 2);
}

#[tokio::test]
async fn questions_for_health_are_bounded_too() {
    let server = Served::with([("MAX_CALLS", "1")]).await;
    let (mut greedy, mut honest) = (server.client().await, server.client().await);
    let mut asking = Vec::new();
    for _ in 0..16 {
        asking.push(greedy.open(CHECK, &[]).await);
    }
    is_overloaded(greedy.open(CHECK, &[]).await).await;
    assert_eq!(honest.check().await, SERVING);
    assert_eq!(greedy.call().await, Code::Ok);
    drop(asking);
    let again = async {
        while greedy
            .begin(CHECK, &[], &HealthCheckRequest::default())
            .await
            .end()
            .await
            .status
            .code()
            != Code::Ok
        {}
    };
    soon(again).await;
}

#[tokio::test]
async fn a_client_is_told_how_many_calls_one_connection_may_have() {
    let server = Served::with([("MAX_CALLS_PER_CONNECTION", "3")]).await;
    let mut honest = server.client().await;
    assert_eq!(honest.most_calls(), 3);
    // One that does not hold back: the fourth call is refused, so that it may be made elsewhere.
    let mut raw = Raw::begun(server.addr, &[]).await;
    for stream in [1, 3, 5, 7] {
        raw.write(&frame(HEADERS, END_HEADERS, stream, &raw::head(DO))).await.unwrap();
        let body = framed(&order("wait"));
        raw.write(&frame(raw::DATA, END_STREAM, stream, &body)).await.unwrap();
    }
    let refused = raw.next_of(RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, number(&refused.payload)), (7, REFUSED_STREAM));
    server.service.until_running(3).await;
    assert_eq!(honest.call().await, Code::Ok);
    server.service.gate.send_replace(true);
    for _ in 0..3 {
        assert_eq!(raw.next_of(HEADERS).await.map(|head| head.stream < 7), Some(true));
    }
}

async fn serving(client: &mut Client) -> super::client::Stream {
    let mut watch = client.watch(&[]).await.answered().await.unwrap();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(health(&first), SERVING);
    watch
}

#[tokio::test]
async fn a_stream_beyond_the_limits_is_told_to_come_back() {
    let settings = [("MAX_STREAMS", "3"), ("MAX_STREAMS_PER_CONNECTION", "2"), ("MAX_CALLS", "1")];
    let server = Served::with(settings).await;
    let (mut ann, mut bob) = (server.client().await, server.client().await);
    let first = serving(&mut ann).await;
    let _second = serving(&mut ann).await;
    let refused = ann.watch(&[]).await.end().await;
    assert_eq!(refused.kind(), (Code::ResourceExhausted, "OVERLOADED".to_owned()));
    assert_eq!(refused.status.message(), "this connection has too many streams");
    let _third = serving(&mut bob).await;
    let refused = bob.watch(&[]).await.end().await;
    assert_eq!(refused.status.message(), "too many streams are open");
    assert_eq!(server.metric("server_streams").await, 3);
    // Streams take no place of a call.
    assert_eq!(bob.call().await, Code::Ok);
    drop(first);
    server.until("server_streams", 2).await;
    serving(&mut bob).await;
}
