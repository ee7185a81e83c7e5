//! The RPCs that a server has, read from their descriptors.

use std::{collections::HashMap, sync::Arc};

use prost::Message;
use prost_types::FileDescriptorSet;

use super::health;
use crate::{
    metrics::{Metrics, RpcMetrics},
    pb::FILE_DESCRIPTOR_SET,
};

/// How an RPC is admitted and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One request, one response.
    Unary,
    /// Responses without a foreseeable end.
    Stream,
    /// A question for health, which is answered whatever the load.
    Check,
}

/// An RPC, for whoever has to know which it is.
#[derive(Debug)]
pub(super) struct Rpc {
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Whether it is one of the service's own: health and reflection are asked all the time.
    pub(super) is_own: bool,
    /// Whether the server has it.
    pub(super) is_known: bool,
    pub(super) metrics: RpcMetrics,
}

/// Every RPC by its path.
#[derive(Debug)]
pub(super) struct Rpcs {
    by_path: HashMap<String, Arc<Rpc>>,
    unknown: Arc<Rpc>,
}

impl Rpcs {
    /// The RPCs of these services, and those that every server has.
    pub(super) fn of(services: &[&str], metrics: &mut Metrics) -> Self {
        let own = [FILE_DESCRIPTOR_SET];
        let common = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let family = metrics.rpcs();
        let mut by_path = HashMap::new();
        for (set, is_own) in
            own.into_iter().map(|it| (it, true)).chain(common.map(|it| (it, false)))
        {
            for (service, method, is_stream) in methods(set) {
                if is_own && !services.contains(&service.as_str()) {
                    continue;
                }
                let path = format!("/{service}/{method}");
                let kind = match is_stream {
                    true => Kind::Stream,
                    false if service == health::NAME => Kind::Check,
                    false => Kind::Unary,
                };
                let metrics = family.of(&service, &method, is_stream);
                let rpc = Rpc { path: path.clone(), kind, is_own, is_known: true, metrics };
                by_path.insert(path, Arc::new(rpc));
            }
        }
        // One name for all that do not exist: what a client makes up must not become a time series.
        let unknown = Rpc {
            path: "unknown".to_owned(),
            kind: Kind::Unary,
            is_own: true,
            is_known: false,
            metrics: family.of("unknown", "unknown", false),
        };
        Self { by_path, unknown: Arc::new(unknown) }
    }

    pub(super) fn find(&self, path: &str) -> &Arc<Rpc> {
        self.by_path.get(path).unwrap_or(&self.unknown)
    }
}

/// Service, method, and whether it streams its responses.
fn methods(descriptors: &[u8]) -> impl Iterator<Item = (String, String, bool)> {
    // They are built into the program; what can not be read has no RPC.
    let files = FileDescriptorSet::decode(descriptors).unwrap_or_default().file;
    files.into_iter().flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let name = format!("{package}.{}", service.name());
            service.method.into_iter().map(move |method| {
                (name.clone(), method.name().to_owned(), method.server_streaming())
            })
        })
    })
}
