//! What a service tells Prometheus, under the names that gRPC dashboards know.

mod exposition;
mod rpc;

pub use prometheus_client::metrics::counter::Counter;

pub(crate) use rpc::{RpcMetrics, code_name};

use std::{convert::Infallible, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tokio::net::TcpListener;

use rpc::RpcFamilies;

/// Everything that is counted or measured.
#[derive(Debug, Default)]
pub struct Metrics(Registry);

impl Metrics {
    /// Shows a number that goes up and down, as it is when it is read.
    pub fn gauge<N: Number>(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> N + Send + Sync + 'static,
    ) {
        let read = Box::new(move || read().as_f64());
        self.0.register_collector(Box::new(Gauge { name, help, read }));
    }

    /// A number that only grows; its name gets `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help.trim_end_matches('.'), counter.clone());
        counter
    }

    /// Shows a number that only grows and that somebody else counts; its name gets `_total`.
    pub fn count(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.0.register_collector(Box::new(Count { name, help, read: Box::new(read) }));
    }

    pub(crate) fn rpcs(&mut self) -> RpcFamilies {
        RpcFamilies::register(&mut self.0)
    }

    /// Answers Prometheus on this listener, if there is one, for as long as it is polled.
    pub(crate) async fn serve(&self, listener: Option<TcpListener>) -> Infallible {
        match listener {
            Some(listener) => exposition::serve(listener, || self.text()).await,
            None => std::future::pending().await,
        }
    }

    /// Everything, in the text format that Prometheus reads.
    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail; a collector that does leaves the rest out.
        if encode(&mut text, &self.0).is_err() {
            tracing::warn!("the metrics can not be written");
        }
        text
    }
}

/// What can be shown as a measured number.
pub trait Number {
    /// The number itself. What is too large for it is shown rounded.
    fn as_f64(&self) -> f64;
}

impl Number for f64 {
    fn as_f64(&self) -> f64 {
        *self
    }
}

impl Number for usize {
    fn as_f64(&self) -> f64 {
        u32::try_from(*self).map_or(f64::MAX, f64::from)
    }
}

struct Gauge {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

struct Count {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Collector for Gauge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = ConstGauge::new((self.read)());
        gauge.encode(encoder.encode_descriptor(self.name, self.help, None, gauge.metric_type())?)
    }
}

impl Collector for Count {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let count = ConstCounter::new((self.read)());
        count.encode(encoder.encode_descriptor(self.name, self.help, None, count.metric_type())?)
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.name).finish()
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Count").field(&self.name).finish()
    }
}
