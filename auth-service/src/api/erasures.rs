//! Erasures as they go over the wire.

use shared::{
    clock::Time,
    pb::auth::{
        Erasure as WireErasure, ErasureConfirmation, ErasureConfirmationState, ErasureState,
    },
};
use uuid::Uuid;

use crate::erasures::{Erasure, Part};

/// An erasure that has just begun.
pub(super) fn begun(id: Uuid, delete_time: Time) -> WireErasure {
    WireErasure {
        id: id.to_string(),
        state: ErasureState::Pending.into(),
        create_time: Some(delete_time.into()),
        complete_time: None,
        confirmations: Vec::new(),
    }
}

impl From<Erasure> for WireErasure {
    fn from(erasure: Erasure) -> Self {
        let complete_time = erasure.complete_time();
        let state = match complete_time {
            Some(_) => ErasureState::Complete,
            None => ErasureState::Pending,
        };
        Self {
            id: erasure.id.to_string(),
            state: state.into(),
            create_time: Some(erasure.delete_time.into()),
            complete_time: complete_time.map(Into::into),
            confirmations: erasure.parts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Part> for ErasureConfirmation {
    fn from(part: Part) -> Self {
        let state = match (&part.confirmation, part.settle_time) {
            (Some(_), _) => ErasureConfirmationState::Confirmed,
            (None, Some(_)) => ErasureConfirmationState::Removed,
            (None, None) => ErasureConfirmationState::Pending,
        };
        let (confirm_time, counts) =
            part.confirmation.map(|it| (it.time.into(), it.counts)).unzip();
        Self {
            service: part.service,
            state: state.into(),
            confirm_time,
            deleted_counts: counts.unwrap_or_default(),
        }
    }
}
