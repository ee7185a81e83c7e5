//! What operators do with users, in SQL. No RPC reaches it.

use shared::database::{Engine, Statement, get};
use sqlx::Error;
use uuid::Uuid;

use super::{
    Account, SqlStore,
    operation::{Act, Transaction},
    sessions::{self, Which},
    users,
};
use crate::{
    error::{Error as Failure, Refusal},
    revocations::Cause,
};

impl<DB: Engine> SqlStore<DB> {
    /// A page of users in the order of their registration, each with the number of their sessions.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn users(&self, after: Uuid, most: i64) -> Result<Vec<(Account, i64)>, Failure> {
        let statement = Statement::new(
            "select u.id, u.username, u.email, u.image_url, u.password_hash, u.password_version,
                    u.disable_time, u.create_time, u.update_time,
                    (select count(*) from sessions s where s.user_id = u.id) as sessions
             from users u where u.id > $1 order by u.id limit $2",
        );
        let rows = self.database.read(statement.bind(after).bind(most)).await?;
        let user = |row| Ok((users::account::<DB>(row)?, get::<DB, i64>(row, "sessions")?));
        Ok(rows.iter().map(user).collect::<Result<_, Error>>()?)
    }

    /// Keeps a user from logging in, and ends every session; or lets them log in again.
    ///
    /// # Errors
    /// [`Refusal::UserNotFound`], or when the database is away.
    pub async fn set_disabled(&self, user_id: Uuid, disabled: bool) -> Result<(), Failure> {
        Ok(self.submit(SetDisabled { user_id, disabled }).await??)
    }
}

struct SetDisabled {
    user_id: Uuid,
    disabled: bool,
}

impl<DB: Engine> Act<DB> for SetDisabled {
    type Answer = Result<(), Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<(), Refusal>, Error> {
        let time = if self.disabled { at.now.micros() } else { 0 };
        let update = "update users set disable_time = $2 where id = $1 returning id";
        let rows = at.all(Statement::new(update).bind(self.user_id).bind(time)).await?;
        if rows.is_empty() {
            return Ok(Err(Refusal::UserNotFound));
        }
        if self.disabled {
            sessions::end(at, self.user_id, Which::All, Cause::Disable).await?;
        }
        Ok(Ok(()))
    }
}
