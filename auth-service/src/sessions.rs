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
    /// What its tokens are good for; none stands for everything that tokens are issued for.
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: Lives = Lives {
        token: Duration::from_mins(15),
        idle: Duration::from_secs(10_000),
        session: Duration::from_secs(20_000),
    };

    fn at(millis: i64) -> Time {
        Time::from_micros(millis * 1_000).unwrap()
    }

    fn session(clock: &Clock) -> Session {
        LIVES.begin(Uuid::nil(), ClientLabel::default(), vec!["a".to_owned()], clock)
    }

    #[test]
    fn a_session_begins_with_a_token() {
        let session = session(&Clock::manual(at(1_500)));
        assert_eq!((session.create_time, session.last_use_time), (at(1_500), at(1_500)));
        assert_eq!(
            (session.idle_expire_time, session.expire_time),
            (at(10_001_500), at(20_001_500))
        );
        // Tokens tell time in whole seconds, and are not longer than they may be.
        assert_eq!(LIVES.token_end(&session), at(901_000));
        assert_eq!(session.token_expire_time, at(901_000));
        assert!(!session.is_over(at(10_001_499)) && session.is_over(at(10_001_500)));
    }

    #[test]
    fn a_use_moves_the_end_but_never_past_the_last_one() {
        let session = session(&Clock::manual(at(0)));
        let used = LIVES.used(session.clone(), at(9_999_000));
        assert_eq!((used.idle_expire_time, used.expire_time), (at(19_999_000), at(20_000_000)));
        assert_eq!(used.token_expire_time, at(10_899_000));
        let used = LIVES.used(used, at(19_500_000));
        assert_eq!(used.idle_expire_time, at(20_000_000));
        assert_eq!(
            (used.token_expire_time, LIVES.token_end(&used)),
            (at(20_000_000), at(20_000_000))
        );
    }

    #[test]
    fn a_token_of_the_last_second_lives_for_one() {
        let session = session(&Clock::manual(at(0)));
        for (now, end) in [(19_998_999, 20_000), (19_999_000, 20_000), (19_999_999, 20_000)] {
            let used = LIVES.used(session.clone(), at(now));
            assert_eq!(LIVES.token_end(&used), Time::from_seconds(end), "at {now}");
        }
        let odd = LIVES.begin(
            Uuid::nil(),
            ClientLabel::default(),
            vec!["a".to_owned()],
            &Clock::manual(at(500)),
        );
        // It ends at 20,000.5 s: a token that is issued after 20,000 s outlives it by half a second.
        let used = LIVES.used(odd, at(20_000_200));
        assert_eq!(LIVES.token_end(&used), Time::from_seconds(20_001));
        assert_eq!(used.token_expire_time, Time::from_seconds(20_001));
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_no_token() {
        let session = session(&Clock::manual(at(5_000_000)));
        let used = LIVES.used(session, at(1_000_000));
        assert_eq!(LIVES.token_end(&used), at(1_900_000));
        assert_eq!(used.token_expire_time, at(5_900_000), "the first token still lives");
        assert_eq!(used.idle_expire_time, at(11_000_000));
    }

    #[test]
    fn a_label_fits_a_line() {
        for good in ["", "Ann's phone", "🦀 Größe", &"é".repeat(64)] {
            assert_eq!(ClientLabel::parse(good.to_owned()).unwrap().as_str(), good);
        }
        for bad in ["a\nb", "\0", "\u{1b}[31m", "\u{85}", &"é".repeat(65)] {
            assert_eq!(ClientLabel::parse(bad.to_owned()), Err(LabelFault), "{bad:?}");
        }
    }
}
