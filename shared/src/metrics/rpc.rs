//! What is counted of every RPC, as go-grpc-middleware names it.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tonic::Code;

/// The upper bounds of the times that calls are counted by, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How many codes there are, from OK to UNAUTHENTICATED.
const CODES: i32 = 17;

/// The labels of a metric.
type Labels = Vec<(&'static str, String)>;

/// The metrics of all RPCs.
#[derive(Debug)]
pub(crate) struct RpcFamilies {
    started: Family<Labels, Counter>,
    handled: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
}

/// The metrics of one RPC, so that a call looks nothing up.
#[derive(Debug)]
pub(crate) struct RpcMetrics {
    started: Counter,
    handled: Vec<Counter>,
    seconds: Histogram,
}

impl RpcFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self {
            started: Family::default(),
            handled: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        };
        registry.register("grpc_server_started", "Calls that have begun", families.started.clone());
        registry.register("grpc_server_handled", "Calls that have ended", families.handled.clone());
        registry.register(
            "grpc_server_handling_seconds",
            "How long calls took, until their answer was taken",
            families.seconds.clone(),
        );
        families
    }

    /// The metrics of one RPC. Each code is there from the start, so that its rate has a zero.
    pub(crate) fn of(&self, service: &str, method: &str, is_stream: bool) -> RpcMetrics {
        let kind = if is_stream { "server_stream" } else { "unary" };
        let name = [("grpc_type", kind), ("grpc_service", service), ("grpc_method", method)];
        let name: Labels = name.map(|(label, value)| (label, value.to_owned())).into();
        let handled = |code| {
            let mut outcome = name.clone();
            outcome.push(("grpc_code", code_name(Code::from(code)).to_owned()));
            self.handled.get_or_create_owned(&outcome)
        };
        RpcMetrics {
            started: self.started.get_or_create_owned(&name),
            handled: (0..CODES).map(handled).collect(),
            seconds: self.seconds.get_or_create_owned(&name),
        }
    }
}

impl RpcMetrics {
    pub(crate) fn started(&self) {
        self.started.inc();
    }

    pub(crate) fn handled(&self, code: Code, took: Duration) {
        let code = usize::try_from(i32::from(code)).unwrap_or_default();
        if let Some(counter) = self.handled.get(code) {
            counter.inc();
        }
        self.seconds.observe(took.as_secs_f64());
    }
}

/// The name of a code as Go's gRPC prints it, which dashboards expect.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
