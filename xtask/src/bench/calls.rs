//! What is called.

use std::sync::Arc;

use bytes::Bytes;
use e2e::Chance;
use shared::pb::task::GetTaskRequest;
use uuid::Uuid;

use super::load::{Work, framed};

/// Reads tasks all over the place.
pub(super) struct Get {
    requests: Arc<[Bytes]>,
    chance: Chance,
}

/// The requests for these tasks.
pub(super) fn gets(ids: &[Uuid]) -> Arc<[Bytes]> {
    ids.iter().map(|id| framed(&GetTaskRequest { id: id.to_string() })).collect()
}

impl Get {
    pub(super) fn new(requests: &Arc<[Bytes]>, caller: usize) -> Self {
        let seed = u64::try_from(caller).unwrap_or_default();
        Self { requests: Arc::clone(requests), chance: Chance::new(seed) }
    }
}

impl Work for Get {
    fn next(&mut self) -> Bytes {
        self.chance.pick(&self.requests)
    }
}
