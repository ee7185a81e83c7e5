//! Users in SQL, and the names that they have claimed.

use shared::{
    clock::Time,
    database::{Corrupt, Database, Engine, Statement, get},
};
use sqlx::Error;
use uuid::Uuid;

use super::Account;
use crate::{
    error::Refusal,
    passwords::PasswordHash,
    users::{Email, ImageUrl, User, UserChange, Username},
};

/// Finds an account by its id.
pub(super) async fn find<DB: Engine>(
    database: &Database<DB>,
    id: Uuid,
) -> Result<Option<Account>, Error> {
    let statement = Statement::new(
        "select id, username, email, image_url, password_hash, create_time, update_time
         from users where id = $1",
    );
    let rows = database.read(statement.bind(id)).await?;
    rows.first().map(account::<DB>).transpose()
}

/// Finds an account by the key of its username or address.
pub(super) async fn find_by_name<DB: Engine>(
    database: &Database<DB>,
    key: String,
) -> Result<Option<Account>, Error> {
    let statement = Statement::new(
        "select u.id, u.username, u.email, u.image_url, u.password_hash,
                u.create_time, u.update_time
         from user_names n join users u on u.id = n.user_id
         where n.name = $1",
    );
    let rows = database.read(statement.bind(key)).await?;
    rows.first().map(account::<DB>).transpose()
}

/// Claims the names and inserts the user.
pub(super) async fn register<DB: Engine>(
    connection: &mut DB::Connection,
    account: &Account,
) -> Result<Result<(), Refusal>, Error> {
    let user = &account.user;
    if let Some(refusal) = claim::<DB>(connection, user).await? {
        release::<DB>(connection, user.id, ["", ""].map(str::to_owned)).await?;
        return Ok(Err(refusal));
    }
    Statement::<DB>::new(
        "insert into users
             (id, username, email, image_url, password_hash, create_time, update_time)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(user.id)
    .bind(user.username.as_str().to_owned())
    .bind(user.email.as_str().to_owned())
    .bind(user.image_url.as_str().to_owned())
    .bind(account.password_hash.0.clone())
    .bind(user.create_time.micros())
    .bind(user.update_time.micros())
    .all(connection)
    .await?;
    Ok(Ok(()))
}

/// Changes a user. `checked` is the stored password that the change depends upon, if any.
pub(super) async fn update<DB: Engine>(
    connection: &mut DB::Connection,
    id: Uuid,
    change: UserChange,
    checked: Option<&PasswordHash>,
    now: Time,
) -> Result<Result<User, Refusal>, Error> {
    let Some(Account { user: old, password_hash }) = lock::<DB>(connection, id).await? else {
        return Ok(Err(Refusal::AccountGone));
    };
    if checked.is_some_and(|checked| *checked != password_hash) {
        return Ok(Err(Refusal::PasswordChanged));
    }
    let user = old.changed(change, now);
    if let Some(refusal) = claim::<DB>(connection, &user).await? {
        release::<DB>(connection, id, names(&old)).await?;
        return Ok(Err(refusal));
    }
    release::<DB>(connection, id, names(&user)).await?;
    Statement::<DB>::new(
        "update users set username = $2, email = $3, image_url = $4, update_time = $5
         where id = $1",
    )
    .bind(id)
    .bind(user.username.as_str().to_owned())
    .bind(user.email.as_str().to_owned())
    .bind(user.image_url.as_str().to_owned())
    .bind(user.update_time.micros())
    .all(connection)
    .await?;
    Ok(Ok(user))
}

/// Replaces a stored password, if it is still the one that was checked.
pub(super) async fn set_password<DB: Engine>(
    connection: &mut DB::Connection,
    id: Uuid,
    checked: &PasswordHash,
    new: &PasswordHash,
) -> Result<Result<(), Refusal>, Error> {
    let rows = Statement::<DB>::new(
        "update users set password_hash = $3 where id = $1 and password_hash = $2 returning id",
    )
    .bind(id)
    .bind(checked.0.clone())
    .bind(new.0.clone())
    .all(connection)
    .await?;
    Ok(if rows.is_empty() { Err(Refusal::PasswordChanged) } else { Ok(()) })
}

/// Reads a user and locks the row, on every engine, by a write that changes nothing.
async fn lock<DB: Engine>(
    connection: &mut DB::Connection,
    id: Uuid,
) -> Result<Option<Account>, Error> {
    let rows = Statement::<DB>::new(
        "update users set update_time = update_time where id = $1
         returning id, username, email, image_url, password_hash, create_time, update_time",
    )
    .bind(id)
    .all(connection)
    .await?;
    rows.first().map(account::<DB>).transpose()
}

/// Claims the names that the user shall have and does not have yet. When somebody else has one,
/// the answer says which; what has been claimed until then is to be released.
async fn claim<DB: Engine>(
    connection: &mut DB::Connection,
    user: &User,
) -> Result<Option<Refusal>, Error> {
    let [username, email] = names(user);
    Statement::<DB>::new(
        "insert into user_names (name, user_id) values ($1, $3), ($2, $3) on conflict do nothing",
    )
    .bind(username.clone())
    .bind(email.clone())
    .bind(user.id)
    .all(connection)
    .await?;
    let rows = Statement::<DB>::new("select name from user_names where user_id = $1")
        .bind(user.id)
        .all(connection)
        .await?;
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
    connection: &mut DB::Connection,
    id: Uuid,
    [username, email]: [String; 2],
) -> Result<(), Error> {
    Statement::<DB>::new("delete from user_names where user_id = $1 and name not in ($2, $3)")
        .bind(id)
        .bind(username)
        .bind(email)
        .all(connection)
        .await?;
    Ok(())
}

fn names(user: &User) -> [String; 2] {
    [user.username.key(), user.email.key()]
}

fn account<DB: Engine>(row: &DB::Row) -> Result<Account, Error> {
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
    Ok(Account { user, password_hash: PasswordHash(text("password_hash")?) })
}
