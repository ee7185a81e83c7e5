//! Clients that take their calls back.

use tonic::Code;

use super::{
    Served,
    client::{framed, order},
    raw::{self, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Raw, frame},
    service::DO,
};

const CANCEL: [u8; 4] = [0, 0, 0, 8];

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_leaves_nothing_behind() {
    let server = Served::with([]).await;
    let mut honest = server.client().await;
    let waiting = honest.order("wait").await;
    let mut flood = Raw::begun(server.addr, &[]).await;
    let (head, body) = (raw::head(DO), framed(&order("wait")));
    let mut sent = 0;
    for stream in (1..20_000).step_by(2) {
        let call = [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(raw::DATA, END_STREAM, stream, &body),
            frame(RST_STREAM, 0, stream, &CANCEL),
        ];
        if flood.write(&call.concat()).await.is_err() {
            break;
        }
        sent += 1;
    }
    flood.closed().await;
    server.until("server_connections", 1).await;
    // Of 10,000 calls.
    assert!(sent > 0);
    assert_eq!(honest.call().await, Code::Ok);
    server.service.until_running(1).await;
    server.until("server_calls", 1).await;
    server.service.gate.send_replace(true);
    assert_eq!(waiting.end().await.status.code(), Code::Ok);
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
