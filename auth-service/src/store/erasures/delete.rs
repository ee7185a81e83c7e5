//! The end of an account.

use shared::{
    clock::Time,
    database::{Engine, Statement},
    trust::Caller,
};
use sqlx::Error;
use uuid::Uuid;

use crate::{
    erasures::Counts,
    error::{Error as Failure, Refusal},
    revocations::Cause,
    store::{
        SqlStore,
        operation::{Act, Transaction},
        sessions::{self, Which},
        users,
    },
};

impl<DB: Engine> SqlStore<DB> {
    /// Deletes the caller, if the password is still the one that was checked: every session ends, the
    /// names are free, and nothing of them is left but a note that there was a user of this id. The answer
    /// is when that was, and when the erasure began that [`SqlStore::erasure`] tells of.
    ///
    /// # Errors
    /// [`Refusal::PasswordChanged`], [`Refusal::SessionEnded`], [`Refusal::ErasureIdTaken`], or when the
    /// database is away.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        password_version: i64,
        erasure_id: Uuid,
    ) -> Result<Time, Failure> {
        let (user_id, session_id) = (caller.user_id(), caller.session_id());
        let delete = Delete { user_id, session_id, password_version, erasure_id };
        Ok(self.submit(delete).await??)
    }
}

struct Delete {
    user_id: Uuid,
    session_id: Uuid,
    /// The version of the password that was checked.
    password_version: i64,
    erasure_id: Uuid,
}

impl<DB: Engine> Act<DB> for Delete {
    type Answer = Result<Time, Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Self::Answer, Error> {
        let id = self.user_id;
        match users::lock_in(at, id, self.session_id).await? {
            Ok(account) if account.password_version == self.password_version => {}
            Ok(_) => return Ok(Err(Refusal::PasswordChanged)),
            Err(refusal) => return Ok(Err(refusal)),
        }
        let insert = "insert into erasures (user_id, id, delete_time) values ($1, $2, $3)
                      on conflict do nothing returning user_id";
        let tombstone = Statement::new(insert).bind(id).bind(self.erasure_id).bind(at.now.micros());
        if at.all(tombstone).await?.is_empty() {
            return Ok(Err(Refusal::ErasureIdTaken));
        }
        let sessions = sessions::end(at, id, Which::All, Cause::UserDelete).await?;
        // The answers that are kept for the user hold names. What is kept of the registration does not.
        for delete in [
            "delete from answers where owner_id = $1",
            "delete from user_names where user_id = $1",
            "delete from users where id = $1",
        ] {
            at.all(Statement::new(delete).bind(id)).await?;
        }
        let sessions = i64::try_from(sessions).unwrap_or(i64::MAX);
        let counts = [("accounts", 1), ("sessions", sessions)];
        let counts = counts.map(|(kind, count)| (kind.to_owned(), count));
        at.change.erase(id, Counts::from(counts));
        Ok(Ok(at.now))
    }
}
