//! What is kept of a call when it is over: its metrics, and one line in the log.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use tonic::Code;

use super::{call_id::CallId, rpcs::Rpc};
use crate::metrics::code_name;

/// A call under way. It is counted when it begins, and told when it is dropped.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) rpc: Arc<Rpc>,
    pub(super) id: CallId,
    peer: SocketAddr,
    begun: Instant,
    code: Option<Code>,
}

impl Record {
    pub(super) fn open(rpc: &Arc<Rpc>, id: &CallId, peer: SocketAddr) -> Self {
        rpc.metrics.started();
        Self { rpc: Arc::clone(rpc), id: id.clone(), peer, begun: Instant::now(), code: None }
    }

    /// Notes how the call ends. Without it, the client has gone away.
    pub(super) fn end(&mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let (code, took) = (self.code.unwrap_or(Code::Cancelled), self.begun.elapsed());
        self.rpc.metrics.handled(code, took);
        let (rpc, id, peer) = (self.rpc.path.as_str(), self.id.as_str(), self.peer);
        let (code, ms) = (code_name(code), (took.as_secs_f64() * 1e6).round() / 1e3);
        if self.rpc.is_own {
            tracing::info!(target: "access", rpc, code, ms, id, %peer);
        } else {
            tracing::debug!(target: "access", rpc, code, ms, id, %peer);
        }
    }
}
