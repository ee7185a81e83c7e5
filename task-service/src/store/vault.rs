//! What the service keeps for itself, out of every caller's reach: the key of its tokens, what
//! the issuer of tokens has said, for starting while it is away, and who of the owners has changed.

use std::{convert::Infallible, sync::Arc};

use aws_lc_rs::{hmac, rand};
use shared::{
    database::{Announcer, Database, Door, Engine, Statement, get},
    once::Digests,
    trust::{News, Snapshot, SnapshotStore, Update},
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    changes,
    operation::Operation,
    trust::{self, Said, Step},
    trust_rows::CHUNK,
};
use crate::{error::Error, keys::Keys, sealed::SealKey};

/// What processes tell each other that they have written.
const TOPIC: &str = "tasks";

/// What is the service's own.
#[derive(Debug)]
pub struct Vault<DB: Engine> {
    pub(super) database: Database<DB>,
    pub(super) door: Door<Operation>,
}

impl<DB: Engine> Clone for Vault<DB> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), door: self.door.clone() }
    }
}

impl<DB: Engine> Vault<DB> {
    /// The keys of page tokens and of the digests of requests, made of what whichever process comes
    /// first has kept.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn keys(&self) -> Result<Keys, Error> {
        let mut fresh = vec![0; SealKey::SIZE];
        // An error of the system's random source leaves nothing that could be kept as a key.
        rand::fill(&mut fresh).map_err(|_| sqlx::Error::Protocol("no random bytes".to_owned()))?;
        let key = self.door.submit(|slot| Operation::KeepPageKey { fresh, slot }).await?;
        let own = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), b"digests of requests");
        Ok(Keys { seals: SealKey::new(&key), digests: Digests::new(own.as_ref()) })
    }

    /// The last revision of each of these owners.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn heads(&self, owners: &[Uuid]) -> Result<Vec<(Uuid, i64)>, Error> {
        Ok(changes::heads(&self.database, owners).await?)
    }

    /// What tells the other processes on the database of a write.
    #[must_use]
    pub fn announcer(&self) -> Announcer<DB> {
        self.database.announcer(TOPIC)
    }

    /// Hears of the writes of other processes, for as long as it is polled.
    pub async fn listen(&self, heard: Arc<Notify>) -> Infallible {
        self.database.listen(TOPIC, heard).await
    }

    /// Leaves the data in one place: the last thing that the service does.
    ///
    /// # Errors
    /// When others are in the way for too long, or the database is away.
    pub async fn settle(&self) -> Result<(), Error> {
        Ok(self.database.settle().await?)
    }

    /// Keeps what was heard, without holding up the writes of users for long. The answer is `false` if
    /// it does not fit to what is there.
    async fn keep(&self, step: Step, update: &Update<'_>, news: &News) -> Result<bool, Error> {
        let said = |step, news| Said { step, head: update.head, heard: update.heard, news };
        let (before, last) = match news.revocations.len().checked_sub(1) {
            Some(end) => news.revocations.split_at(end / CHUNK * CHUNK),
            None => (&[][..], &[][..]),
        };
        for part in before.chunks(CHUNK) {
            let news = News { revocations: part.to_vec(), ..News::default() };
            self.write(said(Step::Part, news)).await?;
        }
        let (keys, revocations) = (news.keys.clone(), last.to_vec());
        let news = News { keys, revocations, forgotten: news.forgotten, ..News::default() };
        self.write(said(step, news)).await
    }

    async fn write(&self, said: Said) -> Result<bool, Error> {
        Ok(self.door.submit(|slot| Operation::KeepTrust { said, slot }).await?)
    }
}

impl<DB: Engine> SnapshotStore for Vault<DB> {
    type Error = Error;

    async fn load(&self) -> Result<Option<Snapshot>, Error> {
        Ok(trust::load(&self.database).await?)
    }

    async fn save(&self, update: Update<'_>) -> Result<(), Error> {
        if let Some(since) = update.since
            && self.keep(Step::Delta(since), &update, update.news).await?
        {
            return Ok(());
        }
        self.keep(Step::Repair, &update, &News::default()).await?;
        self.keep(Step::Whole, &update, &(update.all)()).await?;
        Ok(())
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
