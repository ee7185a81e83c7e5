//! What the service keeps for itself, out of every caller's reach: the key of its page tokens, and
//! the issuer's public keys, for starting while the issuer is away.

use aws_lc_rs::rand;
use shared::{
    database::{Database, Door, Engine, Statement, get},
    trust::{PublicKey, SnapshotStore},
};

use super::operation::Operation;
use crate::{error::Error, pages::PageKey};

/// The service's own keys.
#[derive(Debug)]
pub struct Vault<DB: Engine> {
    pub(super) database: Database<DB>,
    pub(super) door: Door<Operation>,
}

impl<DB: Engine> Vault<DB> {
    /// The key of the page tokens, made by whichever process comes first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn page_key(&self) -> Result<PageKey, Error> {
        let mut fresh = vec![0; PageKey::SIZE];
        // An error of the system's random source leaves nothing that could be kept as a key.
        rand::fill(&mut fresh).map_err(|_| sqlx::Error::Protocol("no random bytes".to_owned()))?;
        let key = self.door.submit(|slot| Operation::KeepPageKey { fresh, slot }).await?;
        Ok(PageKey::new(&key))
    }
}

impl<DB: Engine> SnapshotStore for Vault<DB> {
    type Error = Error;

    async fn load(&self) -> Result<Vec<PublicKey>, Error> {
        let rows =
            self.database.read(Statement::new("select public_key from trusted_keys")).await?;
        let key = |row| {
            let bytes = <[u8; 32]>::try_from(get::<DB, Vec<u8>>(row, "public_key")?);
            let bytes = bytes.map_err(|_| sqlx::Error::Decode("not an Ed25519 key".into()))?;
            Ok(PublicKey::new(bytes))
        };
        rows.iter().map(key).collect()
    }

    async fn save(&self, keys: &[PublicKey]) -> Result<(), Error> {
        let keys = keys.iter().map(|key| (key.kid().to_owned(), key.bytes().to_vec())).collect();
        Ok(self.door.submit(|slot| Operation::KeepTrustedKeys { keys, slot }).await?)
    }
}

/// Keeps a page key unless there is one, and returns the one that is kept.
pub(super) async fn keep_page_key<DB: Engine>(
    connection: &mut DB::Connection,
    fresh: Vec<u8>,
) -> Result<Vec<u8>, sqlx::Error> {
    Statement::<DB>::new(
        "insert into secrets (name, value) values ('page key', $1)
         on conflict (name) do nothing",
    )
    .bind(fresh)
    .all(connection)
    .await?;
    let key = Statement::<DB>::new("select value from secrets where name = 'page key'");
    let rows = key.all(connection).await?;
    get::<DB, _>(rows.first().ok_or(sqlx::Error::RowNotFound)?, "value")
}

/// Keeps these keys in place of those before.
pub(super) async fn keep_trusted_keys<DB: Engine>(
    connection: &mut DB::Connection,
    keys: &[(String, Vec<u8>)],
) -> Result<(), sqlx::Error> {
    Statement::<DB>::new("delete from trusted_keys").all(connection).await?;
    for (kid, key) in keys {
        // Another process may have learnt the same key at the same moment.
        let insert = "insert into trusted_keys (kid, public_key) values ($1, $2)
                      on conflict (kid) do nothing";
        let statement = Statement::<DB>::new(insert).bind(kid.clone()).bind(key.clone());
        statement.all(connection).await?;
    }
    Ok(())
}
