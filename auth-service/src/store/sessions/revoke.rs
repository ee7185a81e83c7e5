//! One session of a user, ended by the user.

use shared::{database::Engine, once::Once, trust::Caller};
use sqlx::Error;
use uuid::Uuid;

use super::{SqlStore, Which, end, is_open};
use crate::{
    error::{Error as Failure, Refusal},
    revocations::Cause,
    store::{
        operation::{Act, Transaction},
        users,
    },
};

impl<DB: Engine> SqlStore<DB> {
    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// [`Refusal::SessionNotFound`], [`Refusal::SessionEnded`], [`Refusal::RequestIdReused`], or when the
    /// database is away.
    pub async fn revoke_session(
        &self,
        caller: &Caller,
        id: Uuid,
        once: Option<Once>,
    ) -> Result<(), Failure> {
        let (user_id, by) = (caller.user_id(), caller.session_id());
        Ok(self.submit(Revoke { user_id, by, id, once }).await??)
    }
}

struct Revoke {
    user_id: Uuid,
    /// The session that the call is made in, which must not have ended.
    by: Uuid,
    id: Uuid,
    once: Option<Once>,
}

impl<DB: Engine> Act<DB> for Revoke {
    type Answer = Result<(), Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<(), Refusal>, Error> {
        users::lock(at, self.user_id).await?;
        if !is_open(at, self.user_id, self.by).await? {
            return Ok(Err(Refusal::SessionEnded));
        }
        if let Some(found) = at.find(self.once.as_ref()).await? {
            return Ok(found.map_err(Refusal::from));
        }
        if end(at, self.user_id, Which::One(self.id), Cause::Session).await? == 0 {
            return Ok(Err(Refusal::SessionNotFound));
        }
        at.keep(self.once.as_ref(), &()).await?;
        Ok(Ok(()))
    }
}
