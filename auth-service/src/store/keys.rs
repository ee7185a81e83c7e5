//! Signing keys in SQL.

use shared::{
    clock::Time,
    database::{Corrupt, Database, Engine, Statement, get},
    trust::PublicKey,
};
use sqlx::Error;

use crate::keys::{Key, SealedKey};

/// Every key, in the order in which they sign.
pub(super) async fn list<DB: Engine>(database: &Database<DB>) -> Result<Vec<SealedKey>, Error> {
    let statement = Statement::new(
        "select seq, kid, public_key, sealed_seed, create_time, activate_time
         from signing_keys order by seq",
    );
    database.read(statement).await?.iter().map(key::<DB>).collect()
}

/// Adds a key and forgets those before `first_kept`, if nobody has taken its place.
pub(super) async fn add<DB: Engine>(
    connection: &mut DB::Connection,
    sealed: &SealedKey,
    first_kept: i64,
) -> Result<bool, Error> {
    let rows = Statement::<DB>::new(
        "insert into signing_keys
             (seq, kid, public_key, sealed_seed, create_time, activate_time)
         values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing returning seq",
    )
    .bind(sealed.key.seq)
    .bind(sealed.key.public.kid().to_owned())
    .bind(sealed.key.public.bytes().to_vec())
    .bind(sealed.sealed_seed.clone())
    .bind(sealed.key.create_time.micros())
    .bind(sealed.key.activate_time.micros())
    .all(connection)
    .await?;
    if rows.is_empty() {
        return Ok(false);
    }
    Statement::<DB>::new("delete from signing_keys where seq < $1")
        .bind(first_kept)
        .all(connection)
        .await?;
    Ok(true)
}

fn key<DB: Engine>(row: &DB::Row) -> Result<SealedKey, Error> {
    let kid: String = get::<DB, _>(row, "kid")?;
    let corrupt = |column| Corrupt { table: "signing_keys", column, id: kid.clone() };
    let time = |column| -> Result<Time, Error> {
        Ok(Time::from_micros(get::<DB, _>(row, column)?).ok_or_else(|| corrupt(column))?)
    };
    let bytes: Vec<u8> = get::<DB, _>(row, "public_key")?;
    let public = PublicKey::new(bytes.try_into().map_err(|_| corrupt("public_key"))?);
    if public.kid() != kid {
        return Err(corrupt("kid").into());
    }
    let key = Key {
        seq: get::<DB, _>(row, "seq")?,
        public,
        create_time: time("create_time")?,
        activate_time: time("activate_time")?,
    };
    Ok(SealedKey { key, sealed_seed: get::<DB, _>(row, "sealed_seed")? })
}
