//! Users who are deleted everywhere, and the part of a service in it.
//!
//! auth-service tells each service with the scope [`CONFIRM_SCOPE`] of each user whose account has been
//! deleted. The service deletes what it holds of that user and confirms; the erasure is complete when all
//! have. [`follow_erasures`] sees to the telling and the confirming, through restarts of either side; what
//! is to be deleted, and where the cursor is kept, says an [`Eraser`].
//!
//! # How a service takes part
//!
//! `auth-service services add notes` registers a service with both scopes; it verifies tokens as
//! [`trust`](crate::trust) shows. With notes by owner, and two tables more in the same database,
//!
//! ```sql
//! create table gone_owners (id blob not null primary key, until integer not null, notes integer not null);
//! create table erasure_cursor (id integer primary key, epoch blob not null, sequence integer not null);
//! ```
//!
//! this is all that it takes:
//!
//! ```no_run
//! use shared::{
//!     clock::Clock,
//!     database::{Database, Engine, Sqlite, Statement, get},
//!     erasure::{Counts, Eraser, Erasure, follow_erasures},
//!     trust::{Credential, Head, Issuer, TrustSource},
//! };
//!
//! struct Notes {
//!     database: Database<Sqlite>,
//! }
//!
//! impl Eraser for Notes {
//!     type Error = sqlx::Error;
//!
//!     async fn cursor(&self) -> Result<Option<Head>, sqlx::Error> {
//!         let select = Statement::new("select epoch, sequence from erasure_cursor");
//!         let rows = self.database.read(select).await?;
//!         let cursor = |row| {
//!             let epoch = get::<Sqlite, _>(row, "epoch")?;
//!             Ok(Head { epoch, sequence: get::<Sqlite, _>(row, "sequence")? })
//!         };
//!         rows.first().map(cursor).transpose()
//!     }
//!
//!     async fn erase(&self, erasure: &Erasure) -> Result<Counts, sqlx::Error> {
//!         let mut writer = self.database.connect_writer().await?;
//!         Statement::<Sqlite>::new(Sqlite::BEGIN).all(&mut writer).await?;
//!         // From here on nothing more comes: what writes a note is "insert into notes (owner_id, text)
//!         // select $1, $2 where not exists (select 1 from gone_owners where id = $1)". The same owner may
//!         // come twice, and what the first time has deleted stays counted.
//!         let gone = Statement::<Sqlite>::new(
//!             "insert into gone_owners (id, until, notes)
//!              select $1, $2, count(*) from notes where owner_id = $1
//!              on conflict (id) do update set notes = notes + excluded.notes returning notes",
//!         )
//!         .bind(erasure.user_id)
//!         .bind(erasure.last_token_time().micros())
//!         .all(&mut writer)
//!         .await?;
//!         Statement::<Sqlite>::new("delete from notes where owner_id = $1")
//!             .bind(erasure.user_id)
//!             .all(&mut writer)
//!             .await?;
//!         Statement::<Sqlite>::new("commit").all(&mut writer).await?;
//!         let notes: i64 = get::<Sqlite, _>(gone.first().ok_or(sqlx::Error::RowNotFound)?, "notes")?;
//!         Ok(Counts::from([("notes", usize::try_from(notes).unwrap_or_default())]))
//!     }
//!
//!     async fn purge(&self) -> Result<(), sqlx::Error> {
//!         self.database.purge().await
//!     }
//!
//!     async fn confirmed(&self, erasure: &Erasure) -> Result<(), sqlx::Error> {
//!         let mut writer = self.database.connect_writer().await?;
//!         Statement::<Sqlite>::new(
//!             "insert into erasure_cursor (id, epoch, sequence) values (1, $1, $2)
//!              on conflict (id) do update set epoch = excluded.epoch, sequence = excluded.sequence",
//!         )
//!         .bind(erasure.cursor.epoch)
//!         .bind(erasure.cursor.sequence)
//!         .all(&mut writer)
//!         .await?;
//!         Ok(())
//!     }
//! }
//!
//! # async fn run(database: Database<Sqlite>) -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::new("https://auth.example.com:50051".parse()?, None);
//! let source = TrustSource::new(issuer, Credential::in_file("notes", "/run/secrets/notes"));
//! tokio::spawn(follow_erasures(source, Notes { database }, Clock::system()));
//! # Ok(())
//! # }
//! ```

mod follower;

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use uuid::Uuid;

pub use follower::follow_erasures;

use crate::{
    clock::Time,
    pb::auth::WatchErasuresResponse,
    trust::{Head, MAX_TOKEN_LIFE, NewsFault},
};

/// The scope of a service that must confirm erasures.
pub const CONFIRM_SCOPE: &str = "erasure.confirm";

/// How far behind the clock may be of whoever looks whether a token is alive.
const SLOW_CLOCK: Duration = Duration::from_hours(1);

/// A user whose account is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The id that the user had.
    pub user_id: Uuid,
    /// When the account was deleted.
    pub delete_time: Time,
    /// What to go on from once this is dealt with.
    pub cursor: Head,
}

/// How much has been deleted, by kind: what the user is shown. A kind is named by lower-case ASCII letters,
/// digits and `_`.
pub type Counts = BTreeMap<&'static str, usize>;

/// What a service does to forget a user.
pub trait Eraser: Send + Sync + 'static {
    /// Why it can not now; it is tried again.
    type Error: Display + Send;

    /// The cursor that was [kept](Eraser::confirmed) last; `None` if none ever was.
    fn cursor(&self) -> impl Future<Output = Result<Option<Head>, Self::Error>> + Send;

    /// Deletes everything of the user, so that it stays deleted after a loss of power, and nothing comes
    /// again: a write that a token of the user has already let in must be refused, for as long as one
    /// [may be alive](Erasure::last_token_time).
    ///
    /// The answer is how much that was. The same user may come again, because the service, its connection or
    /// this future has ended in the midst of it: what had been deleted until then should be counted too.
    fn erase(&self, erasure: &Erasure) -> impl Future<Output = Result<Counts, Self::Error>> + Send;

    /// Leaves nothing in any file of what has been deleted. That may take a look at everything there is, so it
    /// is done once for all users who were waiting to be erased; then each of them is confirmed. If it fails,
    /// all of them come again.
    fn purge(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Keeps the cursor, with the data: auth-service knows that this is done.
    fn confirmed(&self, erasure: &Erasure) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl Erasure {
    /// After this time no token of the user is accepted anywhere, even where the clock is an hour behind.
    #[must_use]
    pub fn last_token_time(&self) -> Time {
        self.delete_time.plus(MAX_TOKEN_LIFE).plus(SLOW_CLOCK)
    }

    /// What a message tells; nothing if it only says that the stream lives.
    fn told(message: WatchErasuresResponse) -> Result<Option<Self>, NewsFault> {
        let Some(user) = message.deleted_user else { return Ok(None) };
        Ok(Some(Self {
            user_id: Uuid::try_parse(&user.user_id).map_err(|_| NewsFault::Id)?,
            delete_time: user.delete_time.ok_or(crate::clock::TimeOutOfRange)?.try_into()?,
            cursor: message.cursor.ok_or(NewsFault::Id)?.try_into()?,
        }))
    }
}
