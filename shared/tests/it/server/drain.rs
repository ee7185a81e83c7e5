//! The end of a server.

use std::time::{Duration, Instant};

use h2::client::Builder;
use tokio::time::timeout;
use tonic::Code;

use super::{
    Served,
    client::{Client, framed, health, order},
    raw::{self, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, Raw, frame},
    service::DO,
};

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

#[tokio::test]
async fn the_end_is_shown_first_then_streams_end_and_calls_may_finish() {
    let server = Served::with([("SHUTDOWN_DELAY", "1s"), ("DRAIN_TIMEOUT", "60s")]).await;
    let (mut ann, mut bob) = (server.client().await, server.client().await);
    let mut watch = ann.watch(&[]).await.answered().await.unwrap();
    assert_eq!(health(&watch.next().await.unwrap().unwrap()), SERVING);
    let under_way = bob.order("wait").await;
    server.service.until_running(1).await;

    let begun = Instant::now();
    server.stop();
    assert_eq!(health(&watch.next().await.unwrap().unwrap()), NOT_SERVING);
    // All is served until the delay is over, and whoever looks for another server finds it out.
    let mut late = server.client().await;
    assert_eq!(late.check().await, NOT_SERVING);
    assert_eq!(late.call().await, Code::Ok);

    let ended = watch.end().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(ended.kind(), (Code::Unavailable, "DRAINING".to_owned()));
    assert!(ended.may_be_retried());
    // Neither has a call any more, and the end does not wait until they have noticed.
    ann.closed().await.unwrap();
    late.closed().await.unwrap();
    assert!(Client::try_connect(server.addr, &Builder::new()).await.is_err());
    server.service.gate.send_replace(true);
    assert_eq!(under_way.end().await.status.code(), Code::Ok);
    bob.closed().await.unwrap();
    server.ended().await;
}

#[tokio::test]
async fn health_says_whether_the_service_is_ready_until_the_end_begins() {
    let server = Served::with([("SHUTDOWN_DELAY", "60s")]).await;
    let mut client = server.client().await;
    let mut watch = client.watch(&[]).await.answered().await.unwrap();
    assert_eq!(health(&watch.next().await.unwrap().unwrap()), SERVING);
    for (ready, shown) in [(false, NOT_SERVING), (true, SERVING)] {
        server.ready.send_replace(ready);
        assert_eq!(health(&watch.next().await.unwrap().unwrap()), shown);
    }
    server.stop();
    assert_eq!(health(&watch.next().await.unwrap().unwrap()), NOT_SERVING);
    server.ready.send_replace(false);
    server.ready.send_replace(true);
    assert_eq!(client.check().await, NOT_SERVING, "it is ending, whatever it knows");
    server.ready.send_replace(true);
    assert_eq!(client.check().await, NOT_SERVING);
}

#[tokio::test]
async fn a_call_that_does_not_finish_is_cut_off() {
    let server = Served::with([("SHUTDOWN_DELAY", "0ms"), ("DRAIN_TIMEOUT", "300ms")]).await;
    let mut client = server.client().await;
    let call = client.order("wait").await;
    server.service.until_running(1).await;
    let begun = Instant::now();
    server.stop();
    call.broken().await;
    server.service.until_running(0).await;
    server.ended().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn nobody_who_has_no_call_holds_the_end_up() {
    let settings =
        [("SHUTDOWN_DELAY", "0ms"), ("DRAIN_TIMEOUT", "10m"), ("HANDSHAKE_TIMEOUT", "60s")];
    let server = Served::with(settings).await;
    let mut peers = Vec::new();
    for i in 0..50 {
        let mut silent = Raw::connect(server.addr).await;
        silent.write(&PREFACE[..i % PREFACE.len()]).await.unwrap();
        peers.push(silent);
        // It never answers a ping.
        peers.push(Raw::begun(server.addr, &[]).await);
    }
    server.until("server_connections", 100).await;
    let begun = Instant::now();
    server.stop();
    server.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(peers);
}

#[tokio::test]
async fn a_call_that_crosses_the_farewell_is_under_way_like_any_other() {
    let server = Served::with([("SHUTDOWN_DELAY", "0ms"), ("DRAIN_TIMEOUT", "60s")]).await;
    let mut raw = Raw::begun(server.addr, &[]).await;
    // When this has gone through, the server knows that the connection has begun.
    raw.next_of(raw::SETTINGS).await.unwrap();
    server.stop();
    raw.next_of(GOAWAY).await.unwrap();
    let head = frame(HEADERS, END_HEADERS, 1, &raw::head(DO));
    let body = frame(raw::DATA, END_STREAM, 1, &framed(&order("wait")));
    raw.write(&[head, body].concat()).await.unwrap();
    server.service.until_running(1).await;
    // Longer than a peer without a call is waited for.
    assert!(timeout(Duration::from_millis(1_500), raw.next_of(HEADERS)).await.is_err());
    server.service.gate.send_replace(true);
    assert_eq!(raw.next_of(HEADERS).await.map(|head| head.stream), Some(1));
    server.ended().await;
}
