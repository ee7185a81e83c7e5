//! Accounts, opened once.

use serde::{Deserialize, Serialize};
use shared::{
    clock::{Time, TimeOutOfRange},
    database::{Answers, Engine, Statement},
    once::{Once, Reused},
};
use sqlx::Error;
use uuid::Uuid;

use super::names::{claim, release};
use crate::{
    error::{Error as Failure, Refusal},
    passwords::PasswordHash,
    store::{
        Account, SqlStore,
        operation::{Act, Transaction},
    },
    users::User,
};

/// What is kept of an account that was opened: with the request, which is the same, it is the whole
/// answer. No name is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct Registered {
    /// The user's id.
    pub id: Uuid,
    /// When the account was opened.
    pub create_time: Time,
}

/// What there is of a registration that was asked for before: the account, or that it was another one.
pub type Earlier = Result<Registered, Reused>;

impl<DB: Engine> SqlStore<DB> {
    /// Opens an account, unless this has been asked for before. Who asks again must still prove to be
    /// the same.
    ///
    /// # Errors
    /// [`Refusal::UsernameTaken`], [`Refusal::EmailTaken`], or when the database is away.
    pub async fn register(
        &self,
        user: User,
        password_hash: PasswordHash,
        once: Option<Once>,
    ) -> Result<Option<Earlier>, Failure> {
        let account = Account { user, password_hash, password_version: 0, is_disabled: false };
        Ok(self.submit(Register { account, once }).await??)
    }

    /// What there is of this registration, if it has been asked for before.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn earlier_registration(&self, once: &Once) -> Result<Option<Earlier>, Failure> {
        Ok(Answers::read(&self.database, once).await?.find(once)?)
    }
}

struct Register {
    account: Account,
    once: Option<Once>,
}

impl<DB: Engine> Act<DB> for Register {
    type Answer = Result<Option<Earlier>, Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.account.user.id)
    }

    /// Claims the names and inserts the user.
    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Self::Answer, Error> {
        let user = &self.account.user;
        let taken = claim(at, user).await?;
        // Not before: of two that ask the same at once, the claim of the later one waits for the
        // earlier to commit, and from then on its answer is seen.
        let earlier = at.find(self.once.as_ref()).await?;
        if taken.is_some() || earlier.is_some() {
            release(at, user.id, ["", ""].map(str::to_owned)).await?;
            return Ok(match (earlier, taken) {
                (None, Some(refusal)) => Err(refusal),
                (earlier, _) => Ok(earlier),
            });
        }
        insert(at, &self.account).await?;
        let registered = Registered { id: user.id, create_time: user.create_time };
        at.keep(self.once.as_ref(), &registered).await?;
        Ok(Ok(None))
    }
}

async fn insert<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    Account { user, password_hash, .. }: &Account,
) -> Result<(), Error> {
    let insert = "insert into users
                      (id, username, email, image_url, password_hash, create_time, update_time)
                  values ($1, $2, $3, $4, $5, $6, $7)";
    let statement = Statement::new(insert)
        .bind(user.id)
        .bind(user.username.as_str().to_owned())
        .bind(user.email.as_str().to_owned())
        .bind(user.image_url.as_str().to_owned())
        .bind(password_hash.0.clone())
        .bind(user.create_time.micros())
        .bind(user.update_time.micros());
    at.all(statement).await?;
    Ok(())
}

/// A [`Registered`] as it is kept, the time in microseconds.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: Uuid,
    create_time: i64,
}

impl From<Registered> for Kept {
    fn from(Registered { id, create_time }: Registered) -> Self {
        Self { id, create_time: create_time.micros() }
    }
}

impl TryFrom<Kept> for Registered {
    type Error = TimeOutOfRange;

    fn try_from(Kept { id, create_time }: Kept) -> Result<Self, TimeOutOfRange> {
        Ok(Self { id, create_time: Time::from_micros(create_time).ok_or(TimeOutOfRange)? })
    }
}
