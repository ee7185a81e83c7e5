//! Clients that take their calls back.

use tonic::Code;

use super::{
    Served,
    client::{framed, order},
    raw::{self, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, RST_STREAM, Raw, frame},
    service::DO,
};

const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn begun(stream: u32, text: &str) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &raw::head(DO));
    [head, frame(raw::DATA, END_STREAM, stream, &framed(&order(text)))].concat()
}

fn taken_back(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL)
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_leaves_nothing_behind() {
    let server = Served::with([]).await;
    let mut honest = server.client().await;
    let waiting = honest.order("wait").await;
    let mut flood = Raw::begun(server.addr, &[]).await;
    let calls = (1..20_000).step_by(2);
    let calls: Vec<u8> =
        calls.flat_map(|stream| [begun(stream, "wait"), taken_back(stream)].concat()).collect();
    // The server may not take all of it.
    drop(flood.write(&calls).await);
    let reason = flood.closed().await;
    assert!(reason.is_none_or(|reason| reason == ENHANCE_YOUR_CALM), "{reason:?}");
    server.until("server_connections", 1).await;
    assert_eq!(honest.call().await, Code::Ok);
    server.service.until_running(1).await;
    server.until("server_calls", 1).await;
    server.service.gate.send_replace(true);
    assert_eq!(waiting.end().await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_client_that_takes_all_its_calls_back_at_once_keeps_its_connection() {
    let server = Served::with([]).await;
    let mut client = Raw::begun(server.addr, &[]).await;
    client.write(&begun(1, "wait")).await.unwrap();
    server.service.until_running(1).await;
    // As many as the connection may have beside it.
    let streams = || (3..513).step_by(2);
    let begin = streams().flat_map(|stream| begun(stream, "wait"));
    let calls: Vec<u8> = begin.chain(streams().flat_map(taken_back)).collect();
    client.write(&calls).await.unwrap();
    client.write(&begun(513, "")).await.unwrap();
    assert_eq!(client.next_of(HEADERS).await.map(|head| head.stream), Some(513));
    server.service.until_running(1).await;
    server.service.gate.send_replace(true);
    while client.next_of(HEADERS).await.unwrap().stream != 1 {}
    server.until("server_calls", 0).await;
}

#[tokio::test]
async fn a_call_that_is_taken_back_ends_and_is_counted_as_cancelled() {
    let server = Served::with([]).await;
    let mut client = server.client().await;
    let call = client.order("wait").await;
    server.service.until_running(1).await;
    drop(call);
    server.service.until_running(0).await;
    let cancelled = "grpc_server_handled_total{grpc_type=\"unary\",\
        grpc_service=\"taskmanager.auth.v1.AuthService\",grpc_method=\"ValidateToken\",\
        grpc_code=\"Canceled\"}";
    server.until(cancelled, 1).await;
    server.until("server_calls", 0).await;
    assert_eq!(client.call().await, Code::Ok);
}
