//! How many connections there are, and for how long.

use tonic::Code;

use super::{
    Served,
    raw::{PREFACE, Raw},
};

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_and_a_place_is_given_back() {
    let server = Served::with([("MAX_CONNECTIONS", "2")]).await;
    let mut first = server.client().await;
    let second = server.client().await;
    // This machine has some of its own, for whoever asks after its health.
    let mut own = Vec::new();
    for _ in 0..8 {
        own.push(server.client().await);
    }
    assert_eq!(server.metric("server_connections").await, 2);
    for _ in 0..3 {
        assert_eq!(Raw::connect(server.addr).await.closed().await, None);
    }
    assert_eq!(server.metric("server_connections_refused_total").await, 3);
    assert_eq!(first.call().await, Code::Ok);
    drop(second);
    server.until("server_connections", 1).await;
    assert_eq!(server.client().await.call().await, Code::Ok);
    assert_eq!(first.call().await, Code::Ok);
    assert_eq!(server.metric("server_connections_refused_total").await, 3);
}

#[tokio::test]
async fn a_connection_without_a_call_is_let_go() {
    let server = Served::with([("IDLE_TIMEOUT", "1s")]).await;
    let (idle, mut busy) = (server.client().await, server.client().await);
    let watch = busy.watch(&[]).await.answered().await.unwrap();
    idle.closed().await.unwrap();
    server.until("server_connections", 1).await;
    assert_eq!(busy.call().await, Code::Ok);
    drop(watch);
    busy.closed().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_say_that_it_is_alive_is_let_go() {
    let settings = [("KEEPALIVE_INTERVAL", "1s"), ("KEEPALIVE_TIMEOUT", "1s")];
    let server = Served::with(settings).await;
    let mut honest = server.client().await;
    // Neither sends a frame after its first bytes: one says the preface alone.
    let mut preface = Raw::connect(server.addr).await;
    preface.write(PREFACE).await.unwrap();
    let silent = Raw::begun(server.addr, &[]).await;
    server.until("server_connections", 3).await;
    tokio::join!(preface.closed(), silent.closed());
    server.until("server_connections", 1).await;
    assert_eq!(honest.call().await, Code::Ok);
}
