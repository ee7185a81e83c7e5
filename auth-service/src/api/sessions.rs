//! How a session begins and goes on: what `Login` and `RefreshToken` have in common.

use std::sync::Arc;

use shared::{clock::Clock, database::Engine, fields::Violations};

use crate::{
    error::{Error, Refusal},
    sessions::{ClientLabel, Lives, RefreshToken, Session, Successors, nonce},
    store::{Account, Refresh, SqlStore, StoredToken},
    tokens::{AccessToken, TokenIssuer},
};

/// The most audiences that may be asked for.
const MAX_AUDIENCES: usize = 16;

/// Opens sessions, and goes on with them.
#[derive(Debug)]
pub struct Sessions<DB: Engine> {
    /// Where they are kept.
    pub store: SqlStore<DB>,
    /// What issues their access tokens.
    pub issuer: TokenIssuer,
    /// What makes their refresh tokens: under the secret key in force, and the one before it.
    pub successors: Arc<[Successors]>,
    /// How long they last.
    pub lives: Lives,
    /// The time.
    pub clock: Clock,
}

/// A session that has begun, or gone on, and what proves it.
pub(super) struct Begun {
    pub(super) session: Session,
    pub(super) access: AccessToken,
    pub(super) refresh: RefreshToken,
}

impl<DB: Engine> Sessions<DB> {
    /// How long tokens and sessions last.
    pub(super) fn lives(&self) -> &Lives {
        &self.lives
    }

    /// Opens a session of a user whose password has been checked.
    pub(super) async fn begin(
        &self,
        account: &Account,
        client_label: ClientLabel,
        audiences: Vec<String>,
    ) -> Result<Begun, Error> {
        let signer = self.issuer.signer()?;
        let refresh = RefreshToken::random()?;
        let first = StoredToken { hash: refresh.hash(), nonce: nonce()? };
        let session = self.lives.begin(account.user.id, client_label, audiences, &self.clock);
        self.store.open_session(session.clone(), first, account.password_version).await?;
        let audiences = self.audiences(&session.audiences);
        let access = signer.user(&session, audiences, self.lives.token_end(&session))?;
        Ok(Begun { session, access, refresh })
    }

    /// Exchanges a refresh token for the next tokens of its session, for some of its audiences.
    pub(super) async fn refresh(
        &self,
        token: Option<RefreshToken>,
        audiences: Vec<String>,
    ) -> Result<Begun, Error> {
        let signer = self.issuer.signer()?;
        let token = token.ok_or(Refusal::RefreshUnknown)?;
        let place = self.store.place_of(token.hash()).await?.ok_or(Refusal::RefreshUnknown)?;
        // What is asked for in vain must not cost the token.
        let mut violations = Violations::new();
        let audiences = narrow(&self.audiences(&place.audiences), &audiences, &mut violations);
        violations.finish(Some(()))?;
        if audiences.is_empty() {
            // The operator has taken away all that the session was for.
            return Err(Refusal::RefreshUnknown.into());
        }
        let mut successors: Vec<RefreshToken> =
            self.successors.iter().map(|key| key.of(&token, &place.nonce)).collect();
        let refresh = Refresh {
            user_id: place.user_id,
            presented: token.hash(),
            successors: successors.iter().map(RefreshToken::hash).collect(),
            nonce: nonce()?,
            lives: self.lives.clone(),
        };
        let refreshed = self.store.refresh(refresh).await?;
        let session = refreshed.session;
        let access = signer.user(&session, audiences, self.lives.token_end(&session))?;
        let refresh = successors.swap_remove(refreshed.successor);
        Ok(Begun { session, access, refresh })
    }
}

impl<DB: Engine> Sessions<DB> {
    /// What the tokens of a session are good for now: those of its audiences that there still are, or
    /// all that there are if it names none.
    fn audiences(&self, of_session: &[String]) -> Vec<String> {
        let all = self.issuer.audiences().iter();
        let is_meant = |name: &&String| of_session.is_empty() || of_session.contains(*name);
        all.filter(is_meant).cloned().collect()
    }
}

/// The audiences of these that are asked for; all of them, when none is.
pub(super) fn narrow(
    known: &[String],
    asked: &[String],
    violations: &mut Violations,
) -> Vec<String> {
    if asked.len() > MAX_AUDIENCES {
        violations.add("audiences", "must be at most 16");
    }
    for (place, audience) in asked.iter().enumerate() {
        if !known.contains(audience) {
            violations
                .add(&format!("audiences[{place}]"), "is no service that tokens can be had for");
        }
    }
    let is_asked = |audience: &&String| asked.is_empty() || asked.contains(*audience);
    known.iter().filter(is_asked).cloned().collect()
}
