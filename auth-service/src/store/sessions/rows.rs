//! The rows of sessions and refresh tokens.

use shared::{
    clock::Time,
    database::{Corrupt, Engine, Statement, get},
};
use sqlx::Error;
use uuid::Uuid;

use super::StoredToken;
use crate::{
    sessions::{ClientLabel, Session},
    store::operation::Transaction,
};

/// Writes down a session that has begun.
pub(super) async fn insert<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    session: &Session,
) -> Result<(), Error> {
    let insert = "insert into sessions
                      (id, user_id, client_label, audiences, create_time, last_use_time,
                       idle_expire_time, expire_time, token_expire_time)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let statement = Statement::new(insert)
        .bind(session.id)
        .bind(session.user_id)
        .bind(session.client_label.as_str().to_owned())
        .bind(session.audiences.join(","))
        .bind(session.create_time.micros())
        .bind(session.last_use_time.micros())
        .bind(session.idle_expire_time.micros())
        .bind(session.expire_time.micros())
        .bind(session.token_expire_time.micros());
    at.all(statement).await?;
    Ok(())
}

/// Writes down a refresh token that has not been used.
pub(in crate::store) async fn insert_token<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    session_id: Uuid,
    generation: i64,
    token: &StoredToken,
) -> Result<(), Error> {
    let insert = "insert into refresh_tokens (hash, session_id, generation, nonce, use_time)
                  values ($1, $2, $3, $4, 0)";
    let statement = Statement::new(insert)
        .bind(token.hash.0.to_vec())
        .bind(session_id)
        .bind(generation)
        .bind(token.nonce.to_vec());
    at.all(statement).await?;
    Ok(())
}

/// Deletes the refresh tokens of a session that has ended.
pub(super) async fn forget_tokens<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    session_id: Uuid,
) -> Result<(), Error> {
    let delete = "delete from refresh_tokens where session_id = $1";
    at.all(Statement::new(delete).bind(session_id)).await?;
    Ok(())
}

/// A session as its row has it.
pub(in crate::store) fn session<DB: Engine>(row: &DB::Row) -> Result<Session, Error> {
    let id: Uuid = get::<DB, _>(row, "id")?;
    let label = ClientLabel::parse(get::<DB, _>(row, "client_label")?);
    let corrupt = |column| Corrupt { table: "sessions", column, id: id.to_string() };
    Ok(Session {
        id,
        user_id: get::<DB, _>(row, "user_id")?,
        client_label: label.map_err(|_| corrupt("client_label"))?,
        audiences: audiences::<DB>(row)?,
        create_time: time::<DB>(row, "create_time", id)?,
        last_use_time: time::<DB>(row, "last_use_time", id)?,
        idle_expire_time: time::<DB>(row, "idle_expire_time", id)?,
        expire_time: time::<DB>(row, "expire_time", id)?,
        token_expire_time: time::<DB>(row, "token_expire_time", id)?,
    })
}

/// What a session's tokens are good for.
pub(in crate::store) fn audiences<DB: Engine>(row: &DB::Row) -> Result<Vec<String>, Error> {
    let names: String = get::<DB, _>(row, "audiences")?;
    Ok(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// One of a session's times.
pub(super) fn time<DB: Engine>(
    row: &DB::Row,
    column: &'static str,
    id: Uuid,
) -> Result<Time, Error> {
    let corrupt = || Corrupt { table: "sessions", column, id: id.to_string() };
    Ok(Time::from_micros(get::<DB, _>(row, column)?).ok_or_else(corrupt)?)
}
