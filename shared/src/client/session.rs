//! The tokens of a login, refreshed in time.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::JoinHandle,
    time::timeout,
};
use tonic::{
    Code, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_types::StatusExt;

use super::attempts::{Attempts, Budget, Policy};
use crate::{
    clock::{Clock, Time},
    pb::auth::{RefreshTokenRequest, Tokens, auth_service_client::AuthServiceClient},
};

/// How long before its end an access token is refreshed; a short one in the last quarter of its life.
const RESERVE: Duration = Duration::from_secs(30);
/// How long a token has just been issued.
const JUST: Duration = Duration::from_mins(1);
/// How long a refresh token is good once more when the answer was lost.
const FORGIVEN: Duration = Duration::from_mins(1);
/// How long an answer to a refresh is waited for before it is taken as lost.
const ANSWER: Duration = Duration::from_secs(5);

/// A login, for as long as it lasts. Its clones are the same session.
///
/// It refreshes its tokens as the comment on the message `Tokens` says: shortly before the access token
/// ends, and when a service refuses it; once, however many calls wait for it. A refresh that has begun
/// is seen through although nobody waits for it any more, for its answer is the only way on.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    auth: AuthServiceClient<Channel>,
    clock: Clock,
    policy: Policy,
    token: ArcSwap<Token>,
    /// Held by the one refresh that is under way.
    refreshing: Arc<Mutex<()>>,
    over: OnceLock<Status>,
}

/// What one attempt proves itself with.
pub(super) struct Pass {
    session: Session,
    token: Arc<Token>,
}

/// An access token, and what the next one is had for.
struct Token {
    /// The value of the authorization header. It is marked as sensitive, and so never shown.
    bearer: MetadataValue<Ascii>,
    /// The refresh token that came with it.
    next: SecretString,
    received: Time,
    /// From when on it is refreshed. None if it was old when it came: the clock may be wrong, and then
    /// only the services can tell.
    due: Option<Time>,
    end: Time,
    /// Whether it came in the place of one that was invalid.
    is_second: bool,
}

/// Tokens that no server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tokens are malformed")]
pub struct MalformedTokens;

impl Session {
    /// The session of these tokens, which are refreshed at the auth-service at the other end of this
    /// channel.
    ///
    /// # Errors
    /// When these are no tokens of a login.
    pub fn new(tokens: Tokens, auth: Channel, clock: Clock) -> Result<Self, MalformedTokens> {
        let token = Token::new(tokens, clock.now(), false)?;
        let policy = Policy { timeout: FORGIVEN, ..Policy::default() };
        Ok(Self(Arc::new(Inner {
            auth: AuthServiceClient::new(auth),
            clock,
            policy,
            token: ArcSwap::from_pointee(token),
            refreshing: Arc::default(),
            over: OnceLock::new(),
        })))
    }

    /// The refresh token that came last: to go on with in another process, or to log out.
    #[must_use]
    pub fn refresh_token(&self) -> SecretString {
        self.0.token.load().next.clone()
    }

    /// Why the user must log in anew: what auth-service has answered to a refresh. No call is made with
    /// this session any more.
    #[must_use]
    pub fn over(&self) -> Option<&Status> {
        self.0.over.get()
    }

    /// The value of the authorization header, for what no [`Client`](super::Client) calls: streams.
    ///
    /// # Errors
    /// When the token has ended and can not be refreshed.
    pub async fn authorization(&self) -> Result<MetadataValue<Ascii>, Status> {
        self.pass().await.map(|pass| pass.bearer())
    }

    /// A token that is good, as far as one can see from here.
    pub(super) async fn pass(&self) -> Result<Pass, Status> {
        self.is_not_over()?;
        let (token, now) = (self.0.token.load_full(), self.0.clock.now());
        if token.due.is_some_and(|due| due <= now) {
            if token.end <= now {
                self.replace(&token, false).await?;
            } else if let Ok(turn) = Arc::clone(&self.0.refreshing).try_lock_owned()
                && self.has_still(&token)
            {
                // It is still good: nobody has to wait, and auth-service may be away for a while.
                drop(self.refresh(turn, false));
            }
        }
        Ok(Pass { session: self.clone(), token: self.0.token.load_full() })
    }

    /// Waits until there is another token than this.
    async fn replace(&self, token: &Arc<Token>, is_invalid: bool) -> Result<(), Status> {
        let turn = Arc::clone(&self.0.refreshing).lock_owned().await;
        self.is_not_over()?;
        if !self.has_still(token) {
            return Ok(());
        }
        let refreshed = self.refresh(turn, is_invalid).await;
        refreshed.unwrap_or_else(|_| Err(Status::unavailable("the refresh was given up")))
    }

    /// Refreshes the token, also when nobody waits for it any more.
    fn refresh(
        &self,
        turn: OwnedMutexGuard<()>,
        is_invalid: bool,
    ) -> JoinHandle<Result<(), Status>> {
        let session = Arc::clone(&self.0);
        tokio::spawn(async move {
            let done = session.refresh(is_invalid).await;
            drop(turn);
            done
        })
    }

    fn has_still(&self, token: &Arc<Token>) -> bool {
        Arc::ptr_eq(token, &self.0.token.load())
    }

    fn is_not_over(&self) -> Result<(), Status> {
        self.over().map_or(Ok(()), |status| Err(status.clone()))
    }
}

impl Pass {
    /// The value of the authorization header.
    pub(super) fn bearer(&self) -> MetadataValue<Ascii> {
        self.token.bearer.clone()
    }

    /// Whether there is another token, in place of this that was refused like that.
    pub(super) async fn renewed(&self, refusal: &Status) -> Result<bool, Status> {
        let is_invalid = match reason(refusal).as_deref() {
            Some("TOKEN_EXPIRED" | "TOKEN_REVOKED") => false,
            Some("TOKEN_INVALID") if self.token.is_new(self.session.0.clock.now()) => true,
            _ => return Ok(false),
        };
        self.session.replace(&self.token, is_invalid).await?;
        Ok(true)
    }
}

impl Inner {
    async fn refresh(&self, is_invalid: bool) -> Result<(), Status> {
        match self.tokens().await {
            Ok(tokens) => {
                let token = Token::new(tokens, self.clock.now(), is_invalid);
                let token = token.map_err(|error| Status::internal(error.to_string()))?;
                self.token.store(Arc::new(token));
                Ok(())
            }
            Err(status) => {
                if status.code() == Code::Unauthenticated {
                    self.over.get_or_init(|| status.clone());
                }
                Err(status)
            }
        }
    }

    /// The next tokens. The same refresh token is sent until there is an answer: it gives the same
    /// successor, for as long as a lost answer is forgiven.
    async fn tokens(&self) -> Result<Tokens, Status> {
        let refresh_token = self.token.load().next.expose_secret().to_owned();
        let request = RefreshTokenRequest { refresh_token, ..Default::default() };
        // There is one at a time: each has a budget of its own.
        let budget = Budget::of(&self.policy);
        let mut attempts = Attempts::new(&self.policy, &budget, true);
        loop {
            let mut auth = self.auth.clone();
            let ask = timeout(ANSWER, auth.refresh_token(request.clone()));
            let answer = async { ask.await.unwrap_or_else(|_| Err(Status::unavailable("lost"))) };
            match attempts.in_time(answer).await {
                Ok(answer) => return Ok(answer.into_inner().tokens.unwrap_or_default()),
                Err(status) => attempts.again(status).await?,
            }
        }
    }
}

impl Token {
    fn new(tokens: Tokens, received: Time, is_second: bool) -> Result<Self, MalformedTokens> {
        let bearer = format!("Bearer {}", tokens.access_token);
        let mut bearer = MetadataValue::try_from(bearer).map_err(|_| MalformedTokens)?;
        bearer.set_sensitive(true);
        let end = tokens.access_token_expire_time.ok_or(MalformedTokens)?;
        let end = Time::try_from(end).map_err(|_| MalformedTokens)?;
        let due = end.minus(RESERVE.min(end.since(received) / 4));
        let due = Some(due).filter(|due| *due > received);
        let next = tokens.refresh_token.into();
        Ok(Self { bearer, next, received, due, end, is_second })
    }

    /// Whether it has just been issued, and not in the place of one that was invalid too.
    fn is_new(&self, now: Time) -> bool {
        !self.is_second && now.since(self.received) < JUST
    }
}

/// Why a token is refused, if it is.
fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info().filter(|_| status.code() == Code::Unauthenticated);
    info.map(|info| info.reason)
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("over", &self.0.over).finish_non_exhaustive()
    }
}
