//! Signing keys in SQL.

use shared::{
    clock::Time,
    database::{Corrupt, Engine, Statement, get},
    trust::{MAX_TOKEN_LIFE, PublicKey},
};
use sqlx::Error;

use super::{
    SqlStore,
    operation::{Act, Transaction},
};
use crate::{
    error::Error as Failure,
    keys::{Key, SealedKey},
    revocations::Cause,
};

impl<DB: Engine> SqlStore<DB> {
    /// The signing keys, in the order in which they sign.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn signing_keys(&self) -> Result<Vec<SealedKey>, Failure> {
        let select = "select seq, kid, public_key, sealed_seed, create_time, activate_time
                      from signing_keys order by seq";
        let rows = self.database.read(Statement::new(select)).await?;
        Ok(rows.iter().map(key::<DB>).collect::<Result<_, _>>()?)
    }

    /// Adds a signing key and forgets those whose place is before `first_kept`. When its own place
    /// is taken, by another process at the same moment, nothing is done and the answer is `false`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn add_signing_key(&self, key: SealedKey, first_kept: i64) -> Result<bool, Failure> {
        self.submit(Add { key, first_kept }).await
    }

    /// Revokes a signing key with all its tokens, and adds another in its stead if that is given. It
    /// forgets those whose place is before `first_kept`: none that has ended may take over.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn revoke_signing_key(
        &self,
        key: PublicKey,
        successor: Option<SealedKey>,
        first_kept: i64,
    ) -> Result<KeyRevoked, Failure> {
        self.submit(Revoke { key, successor, first_kept }).await
    }

    /// Replaces what a signing key is sealed as. When it is sealed as anything else than `old`,
    /// nothing is done and the answer is `false`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn reseal_signing_key(
        &self,
        old: SealedKey,
        sealed_seed: Vec<u8>,
    ) -> Result<bool, Failure> {
        self.submit(Reseal { old, sealed_seed }).await
    }
}

/// What has become of a key that was to be revoked. Unless it is done, nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRevoked {
    /// It is revoked.
    Done,
    /// There is no such key.
    Unknown,
    /// Another process has added a key in the place of the successor.
    PlaceTaken,
}

struct Add {
    key: SealedKey,
    first_kept: i64,
}

impl<DB: Engine> Act<DB> for Add {
    type Answer = bool;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<bool, Error> {
        if !insert(at, &self.key).await? {
            return Ok(false);
        }
        let delete = "delete from signing_keys where seq < $1";
        at.all(Statement::new(delete).bind(self.first_kept)).await?;
        at.change.keys();
        Ok(true)
    }
}

struct Revoke {
    key: PublicKey,
    successor: Option<SealedKey>,
    first_kept: i64,
}

impl<DB: Engine> Act<DB> for Revoke {
    type Answer = KeyRevoked;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<KeyRevoked, Error> {
        let lock = "update signing_keys set kid = kid where kid = $1 returning kid";
        let statement = Statement::new(lock).bind(self.key.kid().to_owned());
        if at.all(statement).await?.is_empty() {
            return Ok(KeyRevoked::Unknown);
        }
        if let Some(successor) = &self.successor
            && !insert(at, successor).await?
        {
            return Ok(KeyRevoked::PlaceTaken);
        }
        let delete = "delete from signing_keys where kid = $1 or seq < $2";
        let statement = Statement::new(delete).bind(self.key.kid().to_owned());
        at.all(statement.bind(self.first_kept)).await?;
        end(at, &self.key);
        Ok(KeyRevoked::Done)
    }
}

/// Notes the end of a key that verifiers do not know any more: it tells them that they never will again.
fn end<DB: Engine>(at: &mut Transaction<'_, DB>, key: &PublicKey) {
    at.revoke(key.id(), Cause::KeyRevoke, at.now.plus(MAX_TOKEN_LIFE));
    at.change.keys();
}

/// Adds a key and revokes every other one, unless its place is taken.
pub(super) async fn replace_all<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    sealed: &SealedKey,
) -> Result<bool, Error> {
    if !insert(at, sealed).await? {
        return Ok(false);
    }
    let delete = "delete from signing_keys where seq <> $1
                  returning seq, kid, public_key, sealed_seed, create_time, activate_time";
    for row in &at.all(Statement::new(delete).bind(sealed.key.seq)).await? {
        end(at, &key::<DB>(row)?.key.public);
    }
    Ok(true)
}

struct Reseal {
    old: SealedKey,
    sealed_seed: Vec<u8>,
}

impl<DB: Engine> Act<DB> for Reseal {
    type Answer = bool;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<bool, Error> {
        let update = "update signing_keys set sealed_seed = $3
                      where kid = $1 and sealed_seed = $2 returning kid";
        let statement = Statement::new(update)
            .bind(self.old.key.public.kid().to_owned())
            .bind(self.old.sealed_seed.clone())
            .bind(self.sealed_seed.clone());
        Ok(!at.all(statement).await?.is_empty())
    }
}

/// Adds a key, unless its place is taken.
async fn insert<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    sealed: &SealedKey,
) -> Result<bool, Error> {
    let insert = "insert into signing_keys
                      (seq, kid, public_key, sealed_seed, create_time, activate_time)
                  values ($1, $2, $3, $4, $5, $6)
                  on conflict do nothing returning seq";
    let statement = Statement::new(insert)
        .bind(sealed.key.seq)
        .bind(sealed.key.public.kid().to_owned())
        .bind(sealed.key.public.bytes().to_vec())
        .bind(sealed.sealed_seed.clone())
        .bind(sealed.key.create_time.micros())
        .bind(sealed.key.activate_time.micros());
    Ok(!at.all(statement).await?.is_empty())
}

pub(super) fn key<DB: Engine>(row: &DB::Row) -> Result<SealedKey, Error> {
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
