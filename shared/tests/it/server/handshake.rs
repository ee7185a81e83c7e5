//! Peers that never get as far as a call.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::time::interval;
use tonic::Code;

use super::{
    Served,
    raw::{PREFACE, Raw},
};

/// The first bytes of a TLS client.
const CLIENT_HELLO: &[u8] =
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 and so on, for as long as it takes";

#[tokio::test]
async fn a_thousand_sockets_that_say_nothing_are_gone_in_time_and_hurt_nobody() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let server = Served::with([("HANDSHAKE_TIMEOUT", "2s"), ("MAX_CONNECTIONS", "1100")]).await;
    let mut honest = server.client().await;
    let begun = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(Raw::connect(server.addr).await);
    }
    server.until("server_connections", 1_001).await;
    let gone = join_all(idle.into_iter().map(Raw::closed));
    let serve = async {
        let mut calls = interval(Duration::from_millis(20));
        loop {
            calls.tick().await;
            assert_eq!(honest.call().await, Code::Ok);
            assert_eq!(server.client().await.call().await, Code::Ok);
        }
    };
    tokio::select! {
        _ = gone => {}
        () = serve => {}
    }
    let took = begun.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&took), "{took:?}");
    assert_eq!(honest.call().await, Code::Ok);
    assert_eq!(server.metric("server_connections_refused_total").await, 0);
}

#[tokio::test]
async fn a_peer_that_does_not_finish_the_preface_is_let_go() {
    let server = Served::with([("HANDSHAKE_TIMEOUT", "100ms")]).await;
    let mut half = Raw::connect(server.addr).await;
    half.write(&PREFACE[..12]).await.unwrap();
    assert_eq!(half.closed().await, None);
    // One byte now and then is no way to stay.
    let mut slow = Raw::connect(server.addr).await;
    let mut looks = interval(Duration::from_millis(20));
    let begun = Instant::now();
    for byte in PREFACE {
        looks.tick().await;
        if slow.write(&[*byte]).await.is_err() {
            break;
        }
    }
    slow.closed().await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    server.until("server_connections", 0).await;
    // Whoever has said it may be silent for longer.
    let mut patient = server.client().await;
    server.until("server_connections", 1).await;
    assert_eq!(patient.call().await, Code::Ok);
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_let_go_at_once() {
    // It would be a minute otherwise.
    let server = Served::with([("HANDSHAKE_TIMEOUT", "60s")]).await;
    let mut honest = server.client().await;
    let others: [&[u8]; 4] = [
        b"GET /taskmanager.auth.v1.AuthService/ValidateToken HTTP/1.1\r\nhost: server\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r!",
        &[0xff; 64],
        CLIENT_HELLO,
    ];
    for bytes in others {
        let mut peer = Raw::connect(server.addr).await;
        peer.write(bytes).await.unwrap();
        peer.closed().await;
        assert_eq!(honest.call().await, Code::Ok);
    }
    server.until("server_connections", 1).await;
}
