//! Users in SQL, and the names that they have claimed.

mod columns;
mod names;
mod register;

use shared::{
    database::{Corrupt, Engine, Statement, get},
    once::Once,
    trust::Caller,
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    Account, SqlStore,
    operation::{Act, Transaction},
    sessions,
};
use crate::{
    error::{Error as Failure, Refusal},
    passwords::PasswordHash,
    users::{User, UserChange},
};
use columns::{Columns, Kept};
use names::{claim, names, release};

pub use register::{Earlier, Registered};

impl<DB: Engine> SqlStore<DB> {
    /// Finds the account that is logged into by this name or address, given as its key.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn find_by_name(&self, key: String) -> Result<Option<Account>, Failure> {
        let statement = Statement::new(
            "select u.id, u.username, u.email, u.image_url, u.password_hash, u.password_version,
                    u.disable_time, u.create_time, u.update_time
             from user_names n join users u on u.id = n.user_id
             where n.name = $1",
        );
        let rows = self.database.read(statement.bind(key)).await?;
        Ok(rows.first().map(account::<DB>).transpose()?)
    }

    /// Finds the account of this id, as an operator does.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn find_by_id(&self, id: Uuid) -> Result<Option<Account>, Failure> {
        let statement = Statement::new(
            "select id, username, email, image_url, password_hash, password_version, disable_time,
                    create_time, update_time
             from users where id = $1",
        );
        let rows = self.database.read(statement.bind(id)).await?;
        Ok(rows.first().map(account::<DB>).transpose()?)
    }

    /// Reads the caller's account, if the session that the call is made in has not ended.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`], or when the database is away.
    pub async fn account(&self, caller: &Caller) -> Result<Account, Failure> {
        let statement = Statement::new(
            "select u.id, u.username, u.email, u.image_url, u.password_hash, u.password_version,
                    u.disable_time, u.create_time, u.update_time
             from sessions s join users u on u.id = s.user_id
             where s.id = $1 and s.user_id = $2",
        );
        let statement = statement.bind(caller.session_id()).bind(caller.user_id());
        let rows = self.database.read(statement).await?;
        let account = rows.first().map(account::<DB>).transpose()?;
        Ok(account.ok_or(Refusal::SessionEnded)?)
    }

    /// Changes the caller, if the password is still the one that was checked for it, if one was.
    ///
    /// # Errors
    /// [`Refusal::UsernameTaken`], [`Refusal::EmailTaken`], [`Refusal::PasswordChanged`],
    /// [`Refusal::SessionEnded`], [`Refusal::RequestIdReused`], or when the database is away.
    pub async fn update_user(
        &self,
        caller: &Caller,
        change: UserChange,
        password_version: Option<i64>,
        once: Option<Once>,
    ) -> Result<User, Failure> {
        let (user_id, session_id) = (caller.user_id(), caller.session_id());
        Ok(self.submit(Update { user_id, session_id, change, password_version, once }).await??)
    }
}

struct Update {
    user_id: Uuid,
    session_id: Uuid,
    change: UserChange,
    /// The version of the password that the change depends upon, if any.
    password_version: Option<i64>,
    once: Option<Once>,
}

impl<DB: Engine> Act<DB> for Update {
    type Answer = Result<User, Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<User, Refusal>, Error> {
        let id = self.user_id;
        let account = match lock_in(at, id, self.session_id).await? {
            Ok(account) => account,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(found) = at.find(self.once.as_ref()).await? {
            return Ok(found.map(|Kept(user)| user).map_err(Refusal::from));
        }
        if self.password_version.is_some_and(|version| version != account.password_version) {
            return Ok(Err(Refusal::PasswordChanged));
        }
        let old = account.user;
        let user = old.changed(self.change.clone(), at.now);
        if let Some(refusal) = claim(at, &user).await? {
            release(at, id, names(&old)).await?;
            return Ok(Err(refusal));
        }
        release(at, id, names(&user)).await?;
        write(at, &user).await?;
        let kept = Kept(user);
        at.keep(self.once.as_ref(), &kept).await?;
        Ok(Ok(kept.0))
    }
}

async fn write<DB: Engine>(at: &mut Transaction<'_, DB>, user: &User) -> Result<(), Error> {
    let update = "update users set username = $2, email = $3, image_url = $4, update_time = $5
                  where id = $1";
    let statement = Statement::new(update)
        .bind(user.id)
        .bind(user.username.as_str().to_owned())
        .bind(user.email.as_str().to_owned())
        .bind(user.image_url.as_str().to_owned())
        .bind(user.update_time.micros());
    at.all(statement).await?;
    Ok(())
}

/// Locks the user of a call, if the session that it is made in has not ended.
pub(super) async fn lock_in<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    id: Uuid,
    session_id: Uuid,
) -> Result<Result<Account, Refusal>, Error> {
    let Some(account) = lock(at, id).await? else { return Ok(Err(Refusal::SessionEnded)) };
    if !sessions::is_open(at, id, session_id).await? {
        return Ok(Err(Refusal::SessionEnded));
    }
    Ok(Ok(account))
}

/// Reads a user and locks the row, on every engine, by a write that changes nothing.
pub(super) async fn lock<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    id: Uuid,
) -> Result<Option<Account>, Error> {
    let statement = Statement::new(
        "update users set update_time = update_time where id = $1
         returning id, username, email, image_url, password_hash, password_version, disable_time,
                   create_time, update_time",
    );
    let rows = at.all(statement.bind(id)).await?;
    rows.first().map(account::<DB>).transpose()
}

pub(super) fn account<DB: Engine>(row: &DB::Row) -> Result<Account, Error> {
    let text = |column| get::<DB, String>(row, column);
    let number = |column| get::<DB, i64>(row, column);
    let columns = Columns {
        id: get::<DB, _>(row, "id")?,
        username: text("username")?,
        email: text("email")?,
        image_url: text("image_url")?,
        create_time: number("create_time")?,
        update_time: number("update_time")?,
    };
    let id = columns.id.to_string();
    Ok(Account {
        user: columns.try_into().map_err(|column| Corrupt { table: "users", column, id })?,
        password_hash: PasswordHash(text("password_hash")?),
        password_version: number("password_version")?,
        is_disabled: number("disable_time")? != 0,
    })
}
