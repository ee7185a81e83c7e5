//! Sessions: one for each login, until it ends or is ended.

mod refresh;

use std::time::Duration;

use shared::{
    clock::{Clock, Time},
    ids::new_id,
};
use uuid::Uuid;

pub(crate) use refresh::nonce;
pub use refresh::{RefreshToken, Successors, TokenHash};

/// How many sessions a user may have. One more ends the oldest.
pub const MOST_SESSIONS: usize = 100;
/// The longest label of a client, in code points.
const MOST_LABEL: usize = 64;

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, a UUIDv7.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// What the client called itself.
    pub client_label: ClientLabel,
    /// What its tokens are good for.
    pub audiences: Vec<String>,
    /// When the user logged in.
    pub create_time: Time,
    /// When tokens were last issued in it.
    pub last_use_time: Time,
    /// When it ends unless it is used before; never later than [`Session::expire_time`].
    pub idle_expire_time: Time,
    /// When it ends in any case.
    pub expire_time: Time,
    /// When the last of its access tokens expires.
    pub token_expire_time: Time,
}

/// What the user will know a session by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientLabel(String);

/// A text that can not be a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be at most 64 characters, none of them a control character")]
pub struct LabelFault;

/// How long sessions and their tokens last.
#[derive(Debug, Clone)]
pub struct Lives {
    /// How long an access token lives.
    pub token: Duration,
    /// How long a session lasts without being used.
    pub idle: Duration,
    /// How long a session lasts.
    pub session: Duration,
}

impl ClientLabel {
    /// A label of this text, which may be empty.
    ///
    /// # Errors
    /// When it is too long, or would break a line.
    pub fn parse(text: String) -> Result<Self, LabelFault> {
        let fits = text.chars().count() <= MOST_LABEL && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(LabelFault) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Lives {
    /// A session that begins now.
    #[must_use]
    pub fn begin(
        &self,
        user_id: Uuid,
        client_label: ClientLabel,
        audiences: Vec<String>,
        clock: &Clock,
    ) -> Session {
        let now = clock.now();
        let start = Session {
            id: new_id(now),
            user_id,
            client_label,
            audiences,
            create_time: now,
            last_use_time: now,
            idle_expire_time: now,
            expire_time: now.plus(self.session),
            token_expire_time: now,
        };
        self.used(start, now)
    }

    /// The session after tokens have been issued in it at this time.
    #[must_use]
    pub fn used(&self, mut session: Session, now: Time) -> Session {
        let end = session.expire_time;
        session.last_use_time = now;
        session.idle_expire_time = now.plus(self.idle).min(end);
        // A token that was issued before may end later, if the clock has been set back.
        session.token_expire_time = session.token_expire_time.max(self.token_end(&session));
        session
    }

    /// When the token ends that was issued when the session was last used. It tells time in whole
    /// seconds, and lives for one at the least.
    #[must_use]
    pub fn token_end(&self, session: &Session) -> Time {
        let start = session.last_use_time;
        let end = start.plus(self.token).min(session.expire_time);
        Time::from_seconds(end.seconds().max(start.seconds() + 1))
    }
}

impl Session {
    /// Whether it has ended by itself.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.idle_expire_time
    }
}
