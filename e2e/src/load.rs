//! A program that is ended while it is busy, and what that cost its clients.
//!
//! A client can not always tell a call that the server had begun from one that never reached it: both
//! end with a broken connection. The server can: it logs each call once, under the id that the client
//! gave it. A call that failed and is in the log was lost; one that is not there may be made again.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tonic::{Code, Request, Status, metadata::AsciiMetadataValue, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::program::{Running, calls};

/// How many sockets say nothing, or not all that opens a connection.
const IDLE: usize = 50;
/// How many clients watch the health.
const WATCHES: usize = 4;
/// How many clients call, each on a connection of its own, and how many calls each has under way.
const CLIENTS: usize = 4;
const CALLS: usize = 4;
/// How many calls are answered before the end begins.
const ENOUGH: usize = 100;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a program has ended under load.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// How long it took to end.
    pub took: Duration,
    /// How many calls were answered.
    pub answered: usize,
    /// The calls whose answer and whose line in the log do not go together.
    pub lost: Vec<String>,
    /// How each of the open streams ended.
    pub streams: Vec<(Code, String)>,
}

/// What a client was told of each of its calls, by its id.
type Told = Vec<(String, Code)>;

/// Keeps a program busy with this call, until it is ended. Its log must be JSON.
pub async fn end_under_load<F>(
    running: Running,
    call: impl Fn(Channel, AsciiMetadataValue) -> F + Clone + Send + Sync + 'static,
) -> Ended
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let idle = idle(running.addr).await;
    let watches = watches(&running).await;
    let answered = watch::Sender::new(0);
    let mut calls = JoinSet::new();
    for client in 0..CLIENTS {
        let channel = running.channel();
        for place in 0..CALLS {
            let name = format!("{client}-{place}");
            calls.spawn(busy(name, channel.clone(), call.clone(), answered.clone()));
        }
    }
    let mut count = answered.subscribe();
    let enough = timeout(PATIENCE, count.wait_for(|count| *count >= ENOUGH)).await;
    drop(enough.expect("enough calls are answered in time"));

    let begun = Instant::now();
    let (said, code) = running.end().await;
    let took = begun.elapsed();
    drop(idle);
    let told = timeout(PATIENCE, calls.join_all()).await.expect("every client is told").concat();
    let mut streams = Vec::new();
    for watch in watches {
        streams.push(timeout(PATIENCE, watch).await.expect("every stream ends").expect("a status"));
    }
    let answered = told.iter().filter(|(_, code)| *code == Code::Ok).count();
    Ended { code, took, answered, lost: lost(&told, &said), streams }
}

/// A request whose call has this id.
pub fn with_id<T>(message: T, id: AsciiMetadataValue) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-request-id", id);
    request
}

/// Calls again and again, until a call fails.
async fn busy<F>(
    name: String,
    channel: Channel,
    call: impl Fn(Channel, AsciiMetadataValue) -> F,
    answered: watch::Sender<usize>,
) -> Told
where
    F: Future<Output = Result<(), Status>>,
{
    let mut told = Vec::new();
    for number in 0.. {
        let id = format!("{name}-{number}");
        let answer = call(channel.clone(), id.parse().expect("a header value")).await;
        told.push((id, answer.as_ref().map_or_else(Status::code, |()| Code::Ok)));
        if answer.is_err() {
            break;
        }
        answered.send_modify(|count| *count += 1);
    }
    told
}

/// Sockets that never get as far as HTTP/2.
async fn idle(addr: SocketAddr) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for number in 0..IDLE {
        let mut socket = TcpStream::connect(addr).await.expect("a connection");
        let half = b"PRI * HTTP/2.0".get(..number % 14).unwrap_or_default();
        socket.write_all(half).await.expect("a connection");
        sockets.push(socket);
    }
    sockets
}

/// Streams that end with the server.
async fn watches(running: &Running) -> Vec<JoinHandle<(Code, String)>> {
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let mut client = HealthClient::new(running.channel());
        let watch = client.watch(HealthCheckRequest::default()).await.expect("a watch");
        let mut states = watch.into_inner();
        states.message().await.expect("a state");
        watches.push(tokio::spawn(async move {
            loop {
                match states.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return (Code::Ok, String::new()),
                    Err(end) => {
                        let reason = end.get_details_error_info().map(|info| info.reason);
                        return (end.code(), reason.unwrap_or_default());
                    }
                }
            }
        }));
    }
    watches
}

/// The calls of which client and log tell different things.
fn lost(told: &Told, said: &str) -> Vec<String> {
    let mut logged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for call in calls(said) {
        logged.entry(call.id).or_default().push(call.code);
    }
    let mut lost = Vec::new();
    for (id, code) in told {
        let logged = logged.remove(id).unwrap_or_default();
        let as_told: &[&str] = if *code == Code::Ok { &["OK"] } else { &[] };
        if logged != as_told {
            lost.push(format!("{id}: {code:?}, in the log {logged:?}"));
        }
    }
    lost
}
