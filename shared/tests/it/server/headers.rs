//! Floods of headers.

use http::StatusCode;
use tonic::Code;

use super::{
    Served,
    client::order,
    raw::{CONTINUATION, ENHANCE_YOUR_CALM, HEADERS, Raw, field, frame, head},
    service::DO,
};

#[tokio::test]
async fn headers_beyond_the_limit_are_refused_and_the_connection_lives() {
    let server = Served::with([("MAX_HEADER_SIZE", "4096")]).await;
    let mut client = server.client().await;
    let (huge, some) = ("x".repeat(4_096), "x".repeat(64));
    let one = vec![("x-huge".to_owned(), huge.as_str())];
    let many: Vec<_> = (0..100).map(|i| (format!("x-{i}"), some.as_str())).collect();
    for headers in [one, many] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let call = client.begin(DO, &headers, &order("")).await;
        let refused = call.answered().await.unwrap();
        assert_eq!(refused.http, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert_eq!(client.call().await, Code::Ok);
    }
    let headers = [("x-large", some.as_str()), ("x-other", &huge[..2_000])];
    let good = client.begin(DO, &headers, &order("")).await.end().await;
    assert_eq!(good.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection_and_no_other() {
    let server = Served::with([("MAX_HEADER_SIZE", "4096")]).await;
    let mut honest = server.client().await;
    let empty: Vec<u8> = Vec::new();
    let some = field("x-flood", "1");
    let large = field("x-flood", &"x".repeat(16_000));
    for part in [empty, some, large] {
        let mut raw = Raw::begun(server.addr, &[]).await;
        raw.write(&frame(HEADERS, 0, 1, &head(DO))).await.unwrap();
        let part = frame(CONTINUATION, 0, 1, &part);
        for _ in 0..10_000 {
            if raw.write(&part).await.is_err() {
                break;
            }
        }
        let reason = raw.closed().await;
        assert!(reason.is_none_or(|reason| reason == ENHANCE_YOUR_CALM), "{reason:?}");
        assert_eq!(honest.call().await, Code::Ok);
    }
    server.until("server_connections", 1).await;
}
