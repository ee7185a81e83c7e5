//! Accounts, sessions, signing keys, services and revocations in SQL.
//!
//! Every method that a caller with a token reaches takes the [`Caller`](shared::trust::Caller) first,
//! and does nothing for a session that has ended. Reads run at once. Writes are values that go through
//! the door: `group.rs` runs those that are waiting as one transaction, at whose end `trust.rs` writes
//! down what it has revoked. A write that may be asked for again keeps its answer in the same
//! transaction, and gives it again: `answers.rs`.

mod operation;
mod group;
mod users;
mod passwords;
mod sessions;
mod refresh;
mod keys;
mod services;
mod trust;
mod guesses;
mod answers;
mod erasures;
mod operators;

use std::{convert::Infallible, sync::Arc};

use shared::{
    clock::Clock,
    database::{Announcer, Database, Door, Engine, Migrations, OpenError, Settings},
    metrics::Metrics,
};
use tokio::sync::Notify;

pub use erasures::{DeletedUser, Pending};
pub use keys::KeyRevoked;
pub use refresh::{Refresh, Refreshed, TokenPlace};
pub use sessions::StoredToken;
pub use trust::TrustState;
pub use users::{Earlier, Registered};

use crate::{error::Error, passwords::PasswordHash, users::User};
use group::Tables;
use operation::{Act, Operation};

/// The schema, step by step.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &[
        ("users and keys", include_str!("../migrations/sqlite/0001_users_and_keys.sql")),
        ("sessions and trust", include_str!("../migrations/sqlite/0002_sessions_and_trust.sql")),
        ("guesses", include_str!("../migrations/sqlite/0003_guesses.sql")),
        ("answers", include_str!("../migrations/sqlite/0004_answers.sql")),
        ("erasures", include_str!("../migrations/sqlite/0005_erasures.sql")),
    ],
    postgres: &[
        ("users and keys", include_str!("../migrations/postgres/0001_users_and_keys.sql")),
        ("sessions and trust", include_str!("../migrations/postgres/0002_sessions_and_trust.sql")),
        ("guesses", include_str!("../migrations/postgres/0003_guesses.sql")),
        ("answers", include_str!("../migrations/postgres/0004_answers.sql")),
        ("erasures", include_str!("../migrations/postgres/0005_erasures.sql")),
    ],
};

/// What processes tell each other by that they have changed what verifiers must know.
const TOPIC: &str = "taskmanager_trust";

/// A user and what their password is checked against.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The password as it is stored.
    pub password_hash: PasswordHash,
    /// How often the password has been changed: a change that was checked against one password must
    /// not be made under another.
    pub password_version: i64,
    /// Whether an operator keeps the user from logging in.
    pub is_disabled: bool,
}

/// The store of this service on any engine.
#[derive(Debug)]
pub struct SqlStore<DB: Engine> {
    database: Database<DB>,
    door: Door<Operation<DB>>,
    clock: Clock,
    changed: Arc<Notify>,
}

impl<DB: Engine> Clone for SqlStore<DB> {
    fn clone(&self) -> Self {
        Self {
            database: self.database.clone(),
            door: self.door.clone(),
            clock: self.clock.clone(),
            changed: Arc::clone(&self.changed),
        }
    }
}

impl<DB: Engine> SqlStore<DB> {
    /// Opens the database that the settings name, with every migration applied.
    ///
    /// # Errors
    /// See [`OpenError`]; or when the database does not answer.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, StoreFault> {
        let database = Database::open(settings, &MIGRATIONS).await?;
        let changed = Arc::<Notify>::default();
        let tables = Tables::new(clock.clone(), Arc::clone(&changed));
        let door = Door::open(database.clone(), tables);
        let store = Self { database, door, clock, changed };
        store.begin_trust().await?;
        Ok(store)
    }

    /// Leaves the data in one place: the last thing that the service does.
    ///
    /// # Errors
    /// When others are in the way for too long, or the database is away.
    pub async fn settle(&self) -> Result<(), Error> {
        Ok(self.database.settle().await?)
    }

    /// Leaves nothing in any file of what has been deleted.
    ///
    /// # Errors
    /// When others are in the way for too long, or the database is away.
    pub async fn purge(&self) -> Result<(), Error> {
        Ok(self.database.purge().await?)
    }

    /// Shows how the database is used.
    pub fn report(&self, metrics: &mut Metrics) {
        self.database.report(metrics);
        self.door.report(metrics);
    }

    /// Waits until a write of this process has changed what verifiers must know.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What tells the other processes on the database of such a write.
    #[must_use]
    pub fn announcer(&self) -> Announcer<DB> {
        self.database.announcer(TOPIC)
    }

    /// Hears of such writes of other processes, for as long as it is polled.
    pub async fn listen(&self, heard: Arc<Notify>) -> Infallible {
        self.database.listen(TOPIC, heard).await
    }

    async fn submit<A: Act<DB>>(&self, act: A) -> Result<A::Answer, Error> {
        Ok(self.door.submit(|slot| Operation::new(act, slot)).await?)
    }
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It opens, and does not answer.
    #[error(transparent)]
    Write(#[from] Error),
}
