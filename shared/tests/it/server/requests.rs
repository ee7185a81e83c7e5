//! Requests that are too large, or no requests at all.

use bytes::{BufMut, Bytes, BytesMut};
use http::Method;
use tonic::Code;

use super::{
    Served,
    client::{Answer, CHECK, WATCH, framed, order},
    service::DO,
};

/// Calls with these bytes as the whole request.
async fn send(server: &Served, headers: &[(&str, &str)], bytes: impl Into<Bytes>) -> Answer {
    let mut client = server.client().await;
    let mut call = client.open(DO, headers).await;
    call.request.send_data(bytes.into(), true).unwrap();
    let answer = call.end().await;
    // Whatever it was, the connection is as good as before.
    assert_eq!(client.call().await, Code::Ok);
    answer
}

/// A message of which only these bytes are sent.
fn announced(flag: u8, length: u32, sent: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(flag);
    bytes.put_u32(length);
    bytes.put_slice(sent);
    bytes.freeze()
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_refused() {
    let server = Served::with([("MAX_REQUEST_SIZE", "65536")]).await;
    // The message has four bytes around the text.
    let largest = framed(&order(&"x".repeat(65_532)));
    assert_eq!(largest.len(), 5 + 65_536);
    assert_eq!(send(&server, &[], largest).await.status.code(), Code::Ok);
    let too_large = (Code::InvalidArgument, "REQUEST_TOO_LARGE".to_owned());
    let larger = framed(&order(&"x".repeat(65_533)));
    let refused = send(&server, &[], larger).await;
    assert_eq!(refused.kind(), too_large);
    assert_eq!(refused.status.message(), "the request is larger than 65536 bytes");
    // It is not waited for, nor is room made for it.
    let mut client = server.client().await;
    let mut call = client.open(DO, &[]).await;
    call.request.send_data(announced(0, u32::MAX, &[0; 64]), false).unwrap();
    assert_eq!(call.end().await.kind(), too_large);
}

#[tokio::test]
async fn a_question_for_health_is_small() {
    let server = Served::with([]).await;
    let mut client = server.client().await;
    for path in [CHECK, WATCH] {
        let mut call = client.open(path, &[]).await;
        call.request.send_data(announced(0, 16 * 1024 + 1, &[0; 64]), false).unwrap();
        let refused = call.end().await;
        assert_eq!(refused.kind().1, "REQUEST_TOO_LARGE", "{path}");
        assert_eq!(refused.status.message(), "the request is larger than 16384 bytes");
    }
}

#[tokio::test]
async fn what_is_no_grpc_is_not_answered_as_if_it_were() {
    let server = Served::with([]).await;
    let mut client = server.client().await;
    for (method, kind, answer) in [
        (Method::POST, "application/grpc", 200),
        (Method::POST, "application/grpc+proto", 200),
        (Method::POST, "application/grpc-web", 415),
        (Method::POST, "application/json", 415),
        (Method::POST, "", 415),
        (Method::GET, "application/grpc", 415),
    ] {
        assert_eq!(client.http(method, kind).await.as_u16(), answer, "{kind}");
    }
}

#[tokio::test]
async fn a_request_that_can_not_be_read_is_refused() {
    let server = Served::with([]).await;
    let unreadable = (Code::InvalidArgument, "REQUEST_UNREADABLE".to_owned());
    let half = announced(0, 100, &[b'x'; 50]);
    let malformed = announced(0, 2, &[0xff, 0xff]);
    let flagged = announced(1, 2, &[0, 0]);
    for bytes in [half, malformed, flagged, Bytes::from_static(&[0; 3]), Bytes::new()] {
        assert_eq!(send(&server, &[], bytes.clone()).await.kind(), unreadable, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_compressed_request_is_refused_before_it_becomes_large() {
    let server = Served::with([]).await;
    for encoding in ["gzip", "deflate", "zstd", "br"] {
        let bomb = announced(1, 60_000, &vec![0x1f; 60_000]);
        let refused = send(&server, &[("grpc-encoding", encoding)], bomb).await;
        let unsupported = (Code::Unimplemented, "COMPRESSION_UNSUPPORTED".to_owned());
        assert_eq!(refused.kind(), unsupported, "{encoding}");
    }
}

#[tokio::test]
async fn a_request_that_does_not_end_is_not_waited_for() {
    let server = Served::with([("CALL_TIMEOUT", "200ms"), ("MAX_CALLS", "1")]).await;
    let mut client = server.client().await;
    for sent in [announced(0, 100, &[b'x'; 50]), Bytes::new()] {
        let mut call = client.open(DO, &[]).await;
        call.request.send_data(sent, false).unwrap();
        let ended = call.end().await;
        let late = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned());
        assert_eq!(ended.kind(), late);
        assert_eq!(client.call().await, Code::Ok);
    }
    assert_eq!(server.metric("server_calls").await, 0);
}

#[tokio::test]
async fn an_answer_that_clients_would_not_take_is_a_bug_and_never_leaves() {
    let server = Served::with([]).await;
    let mut client = server.client().await;
    let large = client.order("big 4194000").await.end().await;
    assert_eq!((large.status.code(), large.data.len() > 4_194_000), (Code::Ok, true));
    let larger = client.order("big 4194304").await.end().await;
    assert_eq!(larger.kind(), (Code::Internal, "INTERNAL".to_owned()));
    assert_eq!(larger.data.len(), 0);
    super::panics::names_the_call(&larger);
    assert_eq!(client.call().await, Code::Ok);
}
