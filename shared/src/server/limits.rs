//! How much a server lets be asked of it.

use std::time::Duration;

use crate::env::Env;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// What a server bears before it refuses. Each limit is a setting.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `MAX_CONNECTIONS`: open connections. One more is closed at once.
    pub connections: usize,
    /// `MAX_CALLS`: calls under way, streams aside. One more is `RESOURCE_EXHAUSTED`.
    pub calls: usize,
    /// `MAX_CALLS_PER_CONNECTION`: calls and streams under way on one connection. A client is told
    /// the number, and holds back.
    pub calls_per_connection: u32,
    /// `MAX_STREAMS`: open streams. One more is `RESOURCE_EXHAUSTED`.
    pub streams: usize,
    /// `MAX_STREAMS_PER_CONNECTION`: open streams on one connection.
    pub streams_per_connection: usize,
    /// `MAX_REQUEST_SIZE`: bytes of one message. A larger one is `INVALID_ARGUMENT`.
    pub request_size: usize,
    /// `MAX_HEADER_SIZE`: bytes of the headers of one call.
    pub header_size: u32,
    /// `CALL_TIMEOUT`: how long a call may take until its answer begins, whatever deadline it
    /// brings; then it is `DEADLINE_EXCEEDED`. It is also how long a peer may take nothing of an
    /// answer that it has asked for; all of it within four times as long.
    pub call_timeout: Duration,
    /// `HANDSHAKE_TIMEOUT`: how long a peer may take for TLS, and again for the HTTP/2 preface.
    pub handshake_timeout: Duration,
    /// `IDLE_TIMEOUT`: how long a connection without a call is kept.
    pub idle_timeout: Duration,
    /// `KEEPALIVE_INTERVAL`: how often a silent peer is asked whether it is alive.
    pub keepalive_interval: Duration,
    /// `KEEPALIVE_TIMEOUT`: how long it may take to say so.
    pub keepalive_timeout: Duration,
    /// `SHUTDOWN_DELAY`: how long `NOT_SERVING` is shown before the listener closes.
    pub shutdown_delay: Duration,
    /// `DRAIN_TIMEOUT`: how long calls under way may take to end after that.
    pub drain_timeout: Duration,
}

impl Limits {
    pub(super) fn read(env: &mut Env) -> Self {
        let hour = 60 * MINUTE;
        Self {
            connections: count(env, "MAX_CONNECTIONS", 4_096, 1, 65_536),
            calls: count(env, "MAX_CALLS", 1_024, 1, 65_536),
            calls_per_connection: count(env, "MAX_CALLS_PER_CONNECTION", 100, 1, 65_536),
            streams: count(env, "MAX_STREAMS", 1_024, 1, 65_536),
            streams_per_connection: count(env, "MAX_STREAMS_PER_CONNECTION", 16, 1, 65_536),
            request_size: count(env, "MAX_REQUEST_SIZE", 131_072, 65_536, 4_194_304),
            header_size: count(env, "MAX_HEADER_SIZE", 16_384, 4_096, 65_536),
            call_timeout: time(env, "CALL_TIMEOUT", 30 * SECOND, SECOND / 10, hour),
            handshake_timeout: time(env, "HANDSHAKE_TIMEOUT", 10 * SECOND, SECOND / 10, MINUTE),
            idle_timeout: time(env, "IDLE_TIMEOUT", 10 * MINUTE, SECOND, 24 * hour),
            keepalive_interval: time(env, "KEEPALIVE_INTERVAL", 30 * SECOND, SECOND, hour),
            keepalive_timeout: time(env, "KEEPALIVE_TIMEOUT", 10 * SECOND, SECOND, MINUTE),
            shutdown_delay: time(env, "SHUTDOWN_DELAY", SECOND / 2, Duration::ZERO, MINUTE),
            drain_timeout: time(env, "DRAIN_TIMEOUT", 10 * SECOND, Duration::ZERO, 10 * MINUTE),
        }
    }
}

fn count<T: TryFrom<i64> + Default>(
    env: &mut Env,
    name: &str,
    default: i64,
    least: i64,
    most: i64,
) -> T {
    let name = env.full_name(name);
    T::try_from(env.number(&name, default, least, most)).unwrap_or_default()
}

fn time(env: &mut Env, name: &str, default: Duration, least: Duration, most: Duration) -> Duration {
    let name = env.full_name(name);
    env.duration(&name, default, least, most)
}
