//! The names that users have claimed.

use shared::database::{Engine, Statement, get};
use sqlx::Error;
use uuid::Uuid;

use crate::{error::Refusal, store::operation::Transaction, users::User};

/// Claims the names that the user shall have and does not have yet. When somebody else has one,
/// the answer says which; what has been claimed until then is to be released.
pub(super) async fn claim<DB: Engine>(
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
pub(super) async fn release<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    id: Uuid,
    [username, email]: [String; 2],
) -> Result<(), Error> {
    let delete = "delete from user_names where user_id = $1 and name not in ($2, $3)";
    at.all(Statement::new(delete).bind(id).bind(username).bind(email)).await?;
    Ok(())
}

/// What the user is looked up by.
pub(super) fn names(user: &User) -> [String; 2] {
    [user.username.key(), user.email.key()]
}
