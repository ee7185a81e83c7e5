//! Answers that their clients do not take.

use std::time::Duration;

use h2::client::Builder;
use tokio::time::interval;
use tonic::Code;

use super::{
    Served,
    client::{Client, framed, order},
    raw::{self, END_HEADERS, END_STREAM, HEADERS, Raw, frame},
    service::DO,
};

const MAX_WINDOW: u32 = (1 << 31) - 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
const WINDOW_UPDATE: u8 = 8;

const STARTED: &str = "grpc_server_started_total{grpc_type=\"unary\",\
    grpc_service=\"taskmanager.auth.v1.AuthService\",grpc_method=\"ValidateToken\"}";

fn window(size: u32) -> Builder {
    let mut settings = Builder::new();
    settings.initial_window_size(size);
    settings
}

#[tokio::test]
async fn a_large_answer_keeps_its_place_until_its_client_is_cut_off() {
    let server = Served::with([("CALL_TIMEOUT", "500ms"), ("MAX_CALLS", "1")]).await;
    let mut honest = server.client().await;
    // None of it, the first bytes, and some parts of it.
    for size in [0, 10, 50_000] {
        let mut greedy = Client::connect_as(server.addr, &window(size)).await;
        let answer = greedy.order("big 1048576").await.answered().await.unwrap();
        assert_eq!(honest.call().await, Code::ResourceExhausted, "{size}");
        drop(greedy.closed().await);
        assert!(answer.end().await.is_err(), "{size}");
        server.until("server_calls", 0).await;
        server.until("server_connections", 1).await;
        assert_eq!(honest.call().await, Code::Ok);
    }
}

/// A client that lets everything come, asks for this as often as it may, and reads nothing.
async fn mute(server: &Served, orders: u32, text: &str) -> Raw {
    let mut mute = Raw::begun(server.addr, &[(INITIAL_WINDOW_SIZE, MAX_WINDOW)]).await;
    // Beside the honest one.
    server.until("server_connections", 2).await;
    let all = (MAX_WINDOW - 65_535).to_be_bytes();
    mute.write(&frame(WINDOW_UPDATE, 0, 0, &all)).await.unwrap();
    let calls = (0..orders).map(|order| 2 * order + 1).flat_map(|stream| {
        let head = frame(HEADERS, END_HEADERS, stream, &raw::head(DO));
        let body = frame(raw::DATA, END_STREAM, stream, &framed(&order(text)));
        [head, body].concat()
    });
    // It may be cut off before it has said all of that.
    drop(mute.write(&calls.collect::<Vec<_>>()).await);
    mute
}

#[tokio::test]
async fn a_client_that_opens_its_window_and_reads_nothing_is_cut_off() {
    let settings =
        [("CALL_TIMEOUT", "500ms"), ("KEEPALIVE_INTERVAL", "1s"), ("KEEPALIVE_TIMEOUT", "1s")];
    let server = Served::with(settings).await;
    let mut honest = server.client().await;
    // More than the system takes for it: in large answers, and in small ones.
    for (orders, text) in [(16, "big 4000000"), (2_000, "big 16000")] {
        let mute = mute(&server, orders, text).await;
        server.until("server_connections", 1).await;
        server.until("server_calls", 0).await;
        assert_eq!(honest.call().await, Code::Ok);
        drop(mute);
    }
}

#[tokio::test]
async fn an_answer_that_waits_for_the_network_keeps_its_place() {
    let server = Served::with([("MAX_CALLS_PER_CONNECTION", "256")]).await;
    let mut honest = server.client().await;
    let mute = mute(&server, 200, "big 200000").await;
    server.until(STARTED, 200).await;
    for _ in 0..100 {
        assert_eq!(honest.call().await, Code::Ok);
    }
    assert!(server.metric("server_calls").await > 0);
    drop(mute);
    server.until("server_calls", 0).await;
}

#[tokio::test]
async fn a_small_answer_gives_its_place_back_and_its_client_is_cut_off_all_the_same() {
    let server = Served::with([("CALL_TIMEOUT", "500ms"), ("MAX_CALLS", "1")]).await;
    let mut honest = server.client().await;
    let mut greedy = Client::connect_as(server.addr, &window(0)).await;
    let mut untaken = Vec::new();
    for _ in 0..10 {
        untaken.push(greedy.order("big 1000").await.answered().await.unwrap());
        server.until("server_calls", 0).await;
    }
    assert_eq!(honest.call().await, Code::Ok);
    drop(greedy.closed().await);
    for answer in untaken {
        assert!(answer.end().await.is_err());
    }
}

#[tokio::test]
async fn a_client_that_is_slow_for_too_long_gets_no_more_of_it() {
    let server = Served::with([("CALL_TIMEOUT", "100ms"), ("MAX_CALLS", "1")]).await;
    let mut slow = Client::connect_as(server.addr, &window(16_384)).await;
    let mut answer = slow.order("big 4000000").await.answered().await.unwrap();
    let mut bits = interval(Duration::from_millis(20));
    while let Ok(Some(_)) = answer.next().await {
        bits.tick().await;
    }
    assert!(answer.end().await.is_err());
    server.until("server_calls", 0).await;
    assert_eq!(slow.call().await, Code::Ok);
}

#[tokio::test]
async fn a_client_that_is_slow_but_moves_on_is_borne() {
    let server = Served::with([("CALL_TIMEOUT", "500ms")]).await;
    let mut slow = Client::connect_as(server.addr, &window(16_384)).await;
    let mut answer = slow.order("big 400000").await.answered().await.unwrap();
    // Longer than the timeout in all.
    let mut bits = interval(Duration::from_millis(40));
    let mut taken = 0;
    while let Some(part) = answer.next().await.unwrap() {
        taken += part.len();
        bits.tick().await;
    }
    assert!(taken > 400_000);
    assert_eq!(answer.end().await.unwrap().status.code(), Code::Ok);
}
