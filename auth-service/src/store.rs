//! Users and signing keys in SQL.
//!
//! Every method that a caller with a token reaches takes the [`Caller`] first. Reads run at once.
//! Writes are values that go through the door: `group.rs` runs those that are waiting as one
//! transaction.

mod operation;
mod group;
mod users;
mod keys;

use shared::{
    clock::Clock,
    database::{Database, Door, Engine, Migrations, OpenError, Settings},
    metrics::Metrics,
    trust::Caller,
};
use uuid::Uuid;

use crate::{
    error::{Error, Refusal},
    keys::SealedKey,
    passwords::PasswordHash,
    users::{User, UserChange},
};
use operation::Operation;

/// The schema, step by step.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &[("users and keys", include_str!("../migrations/sqlite/0001_users_and_keys.sql"))],
    postgres: &[("users and keys", include_str!("../migrations/postgres/0001_users_and_keys.sql"))],
};

/// A user and what their password is checked against.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The password as it is stored.
    pub password_hash: PasswordHash,
}

/// The store of this service on any engine.
#[derive(Debug)]
pub struct SqlStore<DB: Engine> {
    database: Database<DB>,
    door: Door<Operation>,
}

impl<DB: Engine> Clone for SqlStore<DB> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), door: self.door.clone() }
    }
}

impl<DB: Engine> SqlStore<DB> {
    /// Opens the database that the settings name, with every migration applied.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, OpenError> {
        let database = Database::open(settings, &MIGRATIONS).await?;
        let door = Door::open(database.clone(), group::Tables { clock });
        Ok(Self { database, door })
    }

    /// Shows how the database is used.
    pub fn report(&self, metrics: &mut Metrics) {
        self.database.report(metrics);
        self.door.report(metrics);
    }

    /// Opens an account.
    ///
    /// # Errors
    /// [`Refusal::UsernameTaken`], [`Refusal::EmailTaken`], or when the database is away.
    pub async fn register(&self, user: User, password_hash: PasswordHash) -> Result<(), Error> {
        let account = Account { user, password_hash };
        Ok(self.door.submit(|slot| Operation::Register { account, slot }).await??)
    }

    /// Finds the account that is logged into by this name or address, given as its key.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn find_by_name(&self, key: String) -> Result<Option<Account>, Error> {
        Ok(users::find_by_name(&self.database, key).await?)
    }

    /// Reads the caller's account.
    ///
    /// # Errors
    /// [`Refusal::AccountGone`], or when the database is away.
    pub async fn account(&self, caller: &Caller) -> Result<Account, Error> {
        let account = users::find(&self.database, caller.user_id()).await?;
        Ok(account.ok_or(Refusal::AccountGone)?)
    }

    /// Changes the caller, if the stored password is still the one that was checked for it.
    ///
    /// # Errors
    /// [`Refusal::UsernameTaken`], [`Refusal::EmailTaken`], [`Refusal::PasswordChanged`],
    /// [`Refusal::AccountGone`], or when the database is away.
    pub async fn update_user(
        &self,
        caller: &Caller,
        change: UserChange,
        checked: Option<PasswordHash>,
    ) -> Result<User, Error> {
        let id = caller.user_id();
        Ok(self.door.submit(|slot| Operation::Update { id, change, checked, slot }).await??)
    }

    /// Replaces the caller's password, if the stored one is still the one that was checked.
    ///
    /// # Errors
    /// [`Refusal::PasswordChanged`], or when the database is away.
    pub async fn change_password(
        &self,
        caller: &Caller,
        checked: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), Error> {
        self.rehash(caller.user_id(), checked, new).await
    }

    /// Replaces a stored password, if it is still the one that was checked.
    ///
    /// # Errors
    /// [`Refusal::PasswordChanged`], or when the database is away.
    pub async fn rehash(
        &self,
        id: Uuid,
        checked: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), Error> {
        Ok(self.door.submit(|slot| Operation::SetPassword { id, checked, new, slot }).await??)
    }

    /// The signing keys, in the order in which they sign.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn signing_keys(&self) -> Result<Vec<SealedKey>, Error> {
        Ok(keys::list(&self.database).await?)
    }

    /// Adds a signing key and forgets those whose place is before `first_kept`. When its own place
    /// is taken, by another process at the same moment, nothing is done and the answer is `false`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn add_signing_key(&self, key: SealedKey, first_kept: i64) -> Result<bool, Error> {
        Ok(self.door.submit(|slot| Operation::AddKey { key, first_kept, slot }).await?)
    }
}
