//! Writes as values, on their way through the door.

use shared::database::{Slot, Write, WriteError};
use uuid::Uuid;

use super::Account;
use crate::{
    error::Refusal,
    keys::SealedKey,
    passwords::PasswordHash,
    users::{User, UserChange},
};

/// A write and where its answer waits.
#[derive(Debug)]
pub(super) enum Operation {
    Register {
        account: Account,
        slot: Slot<Result<(), Refusal>>,
    },
    Update {
        id: Uuid,
        change: UserChange,
        /// The stored password that was checked for this change, if it needs one.
        checked: Option<PasswordHash>,
        slot: Slot<Result<User, Refusal>>,
    },
    SetPassword {
        id: Uuid,
        checked: PasswordHash,
        new: PasswordHash,
        slot: Slot<Result<(), Refusal>>,
    },
    AddKey {
        key: SealedKey,
        first_kept: i64,
        slot: Slot<bool>,
    },
}

impl Operation {
    /// The user whose rows it locks, if any.
    pub(super) fn user_id(&self) -> Option<Uuid> {
        match self {
            Self::Register { account, .. } => Some(account.user.id),
            Self::Update { id, .. } | Self::SetPassword { id, .. } => Some(*id),
            Self::AddKey { .. } => None,
        }
    }
}

impl Write for Operation {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Register { slot, .. } | Self::SetPassword { slot, .. } => slot.is_abandoned(),
            Self::Update { slot, .. } => slot.is_abandoned(),
            Self::AddKey { slot, .. } => slot.is_abandoned(),
        }
    }

    fn settle(self, outcome: Result<(), WriteError>) {
        match self {
            Self::Register { slot, .. } | Self::SetPassword { slot, .. } => slot.settle(outcome),
            Self::Update { slot, .. } => slot.settle(outcome),
            Self::AddKey { slot, .. } => slot.settle(outcome),
        }
    }
}
