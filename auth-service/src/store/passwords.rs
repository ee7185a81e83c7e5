//! Passwords in SQL: replaced by their users, by operators, and by better hashes of themselves.

use shared::{
    database::{Engine, Statement},
    trust::Caller,
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    SqlStore,
    operation::{Act, Transaction},
    sessions::{self, Which},
    users,
};
use crate::{
    error::{Error as Failure, Refusal},
    passwords::PasswordHash,
    revocations::Cause,
};

impl<DB: Engine> SqlStore<DB> {
    /// Replaces the caller's password, if it is still the one that was checked, and ends every other
    /// session.
    ///
    /// # Errors
    /// [`Refusal::PasswordChanged`], [`Refusal::SessionEnded`], or when the database is away.
    pub async fn change_password(
        &self,
        caller: &Caller,
        version: i64,
        new: PasswordHash,
    ) -> Result<(), Failure> {
        let (user_id, session_id) = (caller.user_id(), caller.session_id());
        Ok(self.submit(Change { user_id, session_id, version, new }).await??)
    }

    /// Replaces a stored password by a better hash of the same one, if it is still there.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn rehash(
        &self,
        user_id: Uuid,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), Failure> {
        self.submit(Rehash { user_id, old, new }).await
    }

    /// Sets a user's password and ends every session, as an operator does.
    ///
    /// # Errors
    /// [`Refusal::UserNotFound`], or when the database is away.
    pub async fn set_password(&self, user_id: Uuid, new: PasswordHash) -> Result<(), Failure> {
        Ok(self.submit(Set { user_id, new }).await??)
    }
}

struct Change {
    user_id: Uuid,
    session_id: Uuid,
    version: i64,
    new: PasswordHash,
}

impl<DB: Engine> Act<DB> for Change {
    type Answer = Result<(), Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<(), Refusal>, Error> {
        let (id, session_id) = (self.user_id, self.session_id);
        match users::lock_in(at, id, session_id).await? {
            Ok(account) if account.password_version == self.version => {}
            Ok(_) => return Ok(Err(Refusal::PasswordChanged)),
            Err(refusal) => return Ok(Err(refusal)),
        }
        replace(at, id, &self.new).await?;
        sessions::end(at, id, Which::AllBut(session_id), Cause::PasswordChange).await?;
        Ok(Ok(()))
    }
}

struct Set {
    user_id: Uuid,
    new: PasswordHash,
}

impl<DB: Engine> Act<DB> for Set {
    type Answer = Result<(), Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<(), Refusal>, Error> {
        if users::lock(at, self.user_id).await?.is_none() {
            return Ok(Err(Refusal::UserNotFound));
        }
        replace(at, self.user_id, &self.new).await?;
        sessions::end(at, self.user_id, Which::All, Cause::SetPassword).await?;
        Ok(Ok(()))
    }
}

struct Rehash {
    user_id: Uuid,
    old: PasswordHash,
    new: PasswordHash,
}

impl<DB: Engine> Act<DB> for Rehash {
    type Answer = ();

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<(), Error> {
        let update = "update users set password_hash = $3 where id = $1 and password_hash = $2";
        let statement = Statement::new(update).bind(self.user_id).bind(self.old.0.clone());
        at.all(statement.bind(self.new.0.clone())).await?;
        Ok(())
    }
}

async fn replace<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    user_id: Uuid,
    new: &PasswordHash,
) -> Result<(), Error> {
    let update = "update users set password_hash = $2, password_version = password_version + 1
                  where id = $1";
    at.all(Statement::new(update).bind(user_id).bind(new.0.clone())).await?;
    Ok(())
}
