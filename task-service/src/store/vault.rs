//! What the service keeps for itself, out of every caller's reach: the key of its page tokens, and
//! what the issuer of tokens has said, for starting while it is away.

use aws_lc_rs::rand;
use shared::{
    database::{Database, Door, Engine, Statement, get},
    trust::{News, Snapshot, SnapshotStore, Update},
};

use super::{
    operation::Operation,
    trust::{self, Said, Step},
    trust_rows::CHUNK,
};
use crate::{error::Error, pages::PageKey};

/// What is the service's own.
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

    /// Leaves the data in one place: the last thing that the service does.
    pub async fn settle(&self) {
        self.database.settle().await;
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
