//! What an issuer says: its keys, what it has revoked, and how far that goes.

use uuid::Uuid;

use super::{KeyFault, PublicKey};
use crate::{
    clock::{Time, TimeOutOfRange},
    pb::auth,
};

/// How far somebody knows what has been revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The database that the sequence counts in. It is another one after a restore.
    pub epoch: Uuid,
    /// How many changes there have been.
    pub sequence: i64,
}

/// The end of a session or of a signing key, with every token of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// What has ended: a session's id, or [`PublicKey::id`].
    pub id: Uuid,
    /// When its last token expires.
    pub expire_time: Time,
}

/// A message of the issuer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// How far its hearer knows everything, with this message and those before. `None` when there is
    /// more to come before that can be said.
    pub head: Option<Head>,
    /// Whether it is part of a snapshot: of all that there is, instead of what is new.
    pub is_snapshot: bool,
    /// Every key that a good token may be signed with; `None` when they are the same as before.
    pub keys: Option<Vec<PublicKey>>,
    /// What has been revoked.
    pub revocations: Vec<Revocation>,
    /// Revocations that had expired before this time have been forgotten. In a snapshot that comes in
    /// several messages, the last says so for all of them.
    pub forgotten: Option<Time>,
}

/// Why a message is none of the issuer's.
#[derive(Debug, thiserror::Error)]
pub enum NewsFault {
    /// A key is none.
    #[error("a signing key is {0}")]
    Key(#[from] KeyFault),
    /// An id is none.
    #[error("an id is malformed")]
    Id,
    /// A sequence is none.
    #[error("a sequence is negative")]
    Sequence,
    /// A time is none.
    #[error("a time {0}")]
    Time(#[from] TimeOutOfRange),
}

impl From<Head> for auth::TrustHead {
    fn from(head: Head) -> Self {
        Self { epoch: head.epoch.to_string(), sequence: head.sequence }
    }
}

impl TryFrom<auth::TrustHead> for Head {
    type Error = NewsFault;

    fn try_from(head: auth::TrustHead) -> Result<Self, NewsFault> {
        let epoch = Uuid::try_parse(&head.epoch).map_err(|_| NewsFault::Id)?;
        if head.sequence < 0 {
            return Err(NewsFault::Sequence);
        }
        Ok(Self { epoch, sequence: head.sequence })
    }
}

impl From<Revocation> for auth::Revocation {
    fn from(revocation: Revocation) -> Self {
        Self {
            id: revocation.id.as_bytes().to_vec(),
            expire_time: Some(revocation.expire_time.into()),
        }
    }
}

impl TryFrom<auth::Revocation> for Revocation {
    type Error = NewsFault;

    fn try_from(revocation: auth::Revocation) -> Result<Self, NewsFault> {
        Ok(Self {
            id: Uuid::from_slice(&revocation.id).map_err(|_| NewsFault::Id)?,
            expire_time: revocation.expire_time.ok_or(TimeOutOfRange)?.try_into()?,
        })
    }
}

impl TryFrom<auth::WatchTrustResponse> for News {
    type Error = NewsFault;

    fn try_from(message: auth::WatchTrustResponse) -> Result<Self, NewsFault> {
        let keys = message.signing_keys.iter().map(PublicKey::try_from);
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let revocations = message.revocations.into_iter().map(Revocation::try_from);
        Ok(Self {
            head: message.head.map(Head::try_from).transpose()?,
            is_snapshot: message.is_snapshot,
            // An issuer without a key issues nothing; it can not be what is meant.
            keys: Some(keys).filter(|keys| !keys.is_empty()),
            revocations: revocations.collect::<Result<_, _>>()?,
            forgotten: message.forgotten_time.map(Time::try_from).transpose()?,
        })
    }
}
