//! Users in SQL, and the names that they have claimed.

use shared::{
    clock::Time,
    database::{Corrupt, Engine, Statement, get},
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
    users::{Email, ImageUrl, User, UserChange, Username},
};

impl<DB: Engine> SqlStore<DB> {
    /// Opens an account.
    ///
    /// # Errors
    /// [`Refusal::UsernameTaken`], [`Refusal::EmailTaken`], or when the database is away.
    pub async fn register(&self, user: User, password_hash: PasswordHash) -> Result<(), Failure> {
        let account = Account { user, password_hash, password_version: 0, is_disabled: false };
        Ok(self.submit(Register { account }).await??)
    }

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
    /// [`Refusal::SessionEnded`], or when the database is away.
    pub async fn update_user(
        &self,
        caller: &Caller,
        change: UserChange,
        password_version: Option<i64>,
    ) -> Result<User, Failure> {
        let (user_id, session_id) = (caller.user_id(), caller.session_id());
        Ok(self.submit(Update { user_id, session_id, change, password_version }).await??)
    }
}

struct Register {
    account: Account,
}

impl<DB: Engine> Act<DB> for Register {
    type Answer = Result<(), Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.account.user.id)
    }

    /// Claims the names and inserts the user.
    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<(), Refusal>, Error> {
        let user = &self.account.user;
        if let Some(refusal) = claim(at, user).await? {
            release(at, user.id, ["", ""].map(str::to_owned)).await?;
            return Ok(Err(refusal));
        }
        let insert = "insert into users
                          (id, username, email, image_url, password_hash, create_time, update_time)
                      values ($1, $2, $3, $4, $5, $6, $7)";
        let statement = Statement::new(insert)
            .bind(user.id)
            .bind(user.username.as_str().to_owned())
            .bind(user.email.as_str().to_owned())
            .bind(user.image_url.as_str().to_owned())
            .bind(self.account.password_hash.0.clone())
            .bind(user.create_time.micros())
            .bind(user.update_time.micros());
        at.all(statement).await?;
        Ok(Ok(()))
    }
}

struct Update {
    user_id: Uuid,
    session_id: Uuid,
    change: UserChange,
    /// The version of the password that the change depends upon, if any.
    password_version: Option<i64>,
}

impl<DB: Engine> Act<DB> for Update {
    type Answer = Result<User, Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<User, Refusal>, Error> {
        let id = self.user_id;
        let old = match lock_in(at, id, self.session_id, self.password_version).await? {
            Ok(account) => account.user,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let user = old.changed(self.change.clone(), at.now);
        if let Some(refusal) = claim(at, &user).await? {
            release(at, id, names(&old)).await?;
            return Ok(Err(refusal));
        }
        release(at, id, names(&user)).await?;
        let update = "update users
                      set username = $2, email = $3, image_url = $4, update_time = $5
                      where id = $1";
        let statement = Statement::new(update)
            .bind(id)
            .bind(user.username.as_str().to_owned())
            .bind(user.email.as_str().to_owned())
            .bind(user.image_url.as_str().to_owned())
            .bind(user.update_time.micros());
        at.all(statement).await?;
        Ok(Ok(user))
    }
}

/// Locks the user of a call, if the session that it is made in has not ended, and the password is
/// still of the version that was checked for it.
pub(super) async fn lock_in<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    id: Uuid,
    session_id: Uuid,
    password_version: Option<i64>,
) -> Result<Result<Account, Refusal>, Error> {
    let Some(account) = lock(at, id).await? else { return Ok(Err(Refusal::SessionEnded)) };
    if !sessions::is_open(at, id, session_id).await? {
        return Ok(Err(Refusal::SessionEnded));
    }
    if password_version.is_some_and(|version| version != account.password_version) {
        return Ok(Err(Refusal::PasswordChanged));
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

/// Claims the names that the user shall have and does not have yet. When somebody else has one,
/// the answer says which; what has been claimed until then is to be released.
async fn claim<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    user: &User,
) -> Result<Option<Refusal>, Error> {
    let [username, email] = names(user);
    let insert = "insert into user_names (name, user_id) values ($1, $3), ($2, $3)
                  on conflict do nothing";
    let statement = Statement::new(insert).bind(username.clone()).bind(email.clone());
    at.all(statement.bind(user.id)).await?;
    let select = "select name from user_names where user_id = $1";
    let rows = at.all(Statement::new(select).bind(user.id)).await?;
    let own =
        rows.iter().map(|row| get::<DB, String>(row, "name")).collect::<Result<Vec<_>, _>>()?;
    Ok(if !own.contains(&username) {
        Some(Refusal::UsernameTaken)
    } else if !own.contains(&email) {
        Some(Refusal::EmailTaken)
    } else {
        None
    })
}

/// Releases every name of the user but these.
async fn release<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    id: Uuid,
    [username, email]: [String; 2],
) -> Result<(), Error> {
    let delete = "delete from user_names where user_id = $1 and name not in ($2, $3)";
    at.all(Statement::new(delete).bind(id).bind(username).bind(email)).await?;
    Ok(())
}

fn names(user: &User) -> [String; 2] {
    [user.username.key(), user.email.key()]
}

pub(super) fn account<DB: Engine>(row: &DB::Row) -> Result<Account, Error> {
    let id: Uuid = get::<DB, _>(row, "id")?;
    let corrupt = |column| Corrupt { table: "users", column, id: id.to_string() };
    let text = |column| get::<DB, String>(row, column);
    let time = |column| -> Result<Time, Error> {
        Ok(Time::from_micros(get::<DB, _>(row, column)?).ok_or_else(|| corrupt(column))?)
    };
    let user = User {
        id,
        username: Username::parse(text("username")?).map_err(|_| corrupt("username"))?,
        email: Email::parse(text("email")?).map_err(|_| corrupt("email"))?,
        image_url: ImageUrl::parse(text("image_url")?).map_err(|_| corrupt("image_url"))?,
        create_time: time("create_time")?,
        update_time: time("update_time")?,
    };
    Ok(Account {
        user,
        password_hash: PasswordHash(text("password_hash")?),
        password_version: get::<DB, _>(row, "password_version")?,
        is_disabled: get::<DB, i64>(row, "disable_time")? != 0,
    })
}
