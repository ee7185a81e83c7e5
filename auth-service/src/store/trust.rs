//! What verifiers must know, in SQL: the one path by which anything is revoked, and how it is read.

use std::time::Duration;

use shared::{
    clock::Time,
    database::{Corrupt, Engine, Statement, get},
    trust::{Head, Revocation},
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    SqlStore, erasures, keys,
    operation::{Act, Transaction},
};
use crate::{erasures::Counts, error::Error as Failure, keys::SealedKey, revocations::Cause};

/// How long a revocation is kept after the last token that it hits has expired: a clock that is an
/// hour ahead for a while must not bring anything back.
pub(super) const GRACE: Duration = Duration::from_hours(1);

/// What a transaction changes about what verifiers must know.
#[derive(Default)]
pub(super) struct Change {
    revocations: Vec<(Revocation, Cause)>,
    /// Users who are deleted, and how much of them was.
    erasures: Vec<(Uuid, Counts)>,
    /// Whether a service is to confirm the erasures that begin from now on.
    asked: bool,
    /// Services that are asked no more to confirm erasures.
    unasked: Vec<String>,
    /// Whether something else is not as it was.
    other: bool,
    epoch: Option<Uuid>,
    forgotten: Option<Time>,
    /// Nothing that was forgotten matters to a token that expires later than this.
    forgotten_at_most: Option<Time>,
}

impl Change {
    /// A session or a key ends. Its tokens are refused until the last of them has expired.
    pub(super) fn revoke(&mut self, id: Uuid, cause: Cause, expire_time: Time) {
        self.revocations.push((Revocation { id, expire_time }, cause));
    }

    /// A user is deleted, and this much along with them.
    pub(super) fn erase(&mut self, user_id: Uuid, counts: Counts) {
        self.erasures.push((user_id, counts));
    }

    /// A service is to confirm erasures from now on.
    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    /// A service need not confirm erasures any more.
    pub(super) fn ask_no_more(&mut self, service: String) {
        self.unasked.push(service);
    }

    /// The signing keys are not those that they were.
    pub(super) fn keys(&mut self) {
        self.other = true;
    }

    /// How many places it takes in the sequence.
    fn steps(&self) -> i64 {
        let other = i64::from(self.other || self.epoch.is_some());
        let told = self.revocations.len() + self.erasures.len();
        i64::try_from(told).unwrap_or(i64::MAX).saturating_add(other)
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_silent = self.steps() == 0 && self.forgotten.is_none();
        is_silent && !self.asked && self.unasked.is_empty()
    }
}

/// Writes down what has changed, as the last thing that the transaction does. The head stays locked
/// until the commit, so commits are in the order of their sequences.
pub(super) async fn tell<DB: Engine>(mut at: Transaction<'_, DB>) -> Result<(), Error> {
    let change = std::mem::take(&mut at.change);
    if change.is_empty() {
        return Ok(());
    }
    let statement = Statement::new(
        "update trust_head
         set sequence = sequence + $1, epoch = coalesce($2, epoch),
             forgotten_time = case when forgotten_time < $3 then $3
                                   when forgotten_time > $4 then $4 else forgotten_time end
         where id = 1 returning sequence",
    )
    .bind(change.steps())
    .bind(change.epoch)
    .bind(change.forgotten.unwrap_or(Time::MIN).micros())
    .bind(change.forgotten_at_most.unwrap_or(Time::MAX).micros());
    let rows = at.all(statement).await?;
    let last: i64 = get::<DB, _>(rows.first().ok_or(Error::RowNotFound)?, "sequence")?;
    let mut sequences = last - change.steps() + 1..;
    for ((revocation, cause), sequence) in change.revocations.into_iter().zip(&mut sequences) {
        let insert = "insert into revocations (sequence, id, cause, create_time, expire_time)
                      values ($1, $2, $3, $4, $5)";
        let statement = Statement::new(insert)
            .bind(sequence)
            .bind(revocation.id)
            .bind(cause.as_str().to_owned())
            .bind(at.now.micros())
            .bind(revocation.expire_time.micros());
        at.all(statement).await?;
    }
    // Here, under the lock of the head: a service is registered or removed before or after this. One that
    // is removed and added at once is asked about those who are deleted now.
    for service in change.unasked {
        erasures::settle_parts(&mut at, service).await?;
    }
    for ((user_id, counts), sequence) in change.erasures.into_iter().zip(sequences) {
        erasures::begin(&mut at, sequence, user_id, &counts).await?;
    }
    Ok(())
}

/// How far everything goes that verifiers must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustState {
    /// The head.
    pub head: Head,
    /// Revocations that had expired before this time have been deleted.
    pub forgotten: Time,
}

impl<DB: Engine> SqlStore<DB> {
    /// How far everything goes that verifiers must know, and the signing keys, as both were at one
    /// moment: a key that is missing has been revoked by then, or has ended.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn trust(&self) -> Result<(TrustState, Vec<SealedKey>), Failure> {
        let select = "select h.epoch, h.sequence, h.forgotten_time, k.seq, k.kid, k.public_key,
                             k.sealed_seed, k.create_time, k.activate_time
                      from trust_head h left join signing_keys k on true
                      where h.id = 1 order by k.seq";
        let rows = self.database.read(Statement::new(select)).await?;
        let first = rows.first().ok_or(Error::RowNotFound)?;
        let has_keys = get::<DB, Option<i64>>(first, "seq")?.is_some();
        let keys = rows.iter().filter(|_| has_keys).map(keys::key::<DB>);
        Ok((state::<DB>(first)?, keys.collect::<Result<_, _>>()?))
    }

    /// What has been revoked after one place in the sequence and up to another, in order, `most` at the
    /// most, each with its own place.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn revocations(
        &self,
        after: i64,
        through: i64,
        most: i64,
    ) -> Result<Vec<(i64, Revocation)>, Failure> {
        let select = "select sequence, id, expire_time from revocations
                      where sequence > $1 and sequence <= $2 order by sequence limit $3";
        let statement = Statement::new(select).bind(after).bind(through).bind(most);
        let rows = self.database.read(statement).await?;
        Ok(rows.iter().map(revocation::<DB>).collect::<Result<_, _>>()?)
    }

    /// Makes the head of an empty database, as whichever process comes first, and nothing later.
    pub(super) async fn begin_trust(&self) -> Result<(), Failure> {
        self.submit(Begin { epoch: Uuid::new_v4() }).await
    }

    /// Renews the epoch, so that every verifier fetches everything anew: what has been restored from a
    /// backup is not what verifiers have heard. With a key, every other one is revoked, so that it does
    /// not matter any more what has been forgotten of its tokens; if another process has added one in
    /// its place, nothing is done and the answer is `false`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn reset_trust(&self, only_key: Option<SealedKey>) -> Result<bool, Failure> {
        self.submit(Reset { epoch: Uuid::new_v4(), only_key }).await
    }

    /// Deletes revocations that have been called forgotten, `most` at the most, and calls so many more
    /// forgotten; the answer is how many were deleted. What is said comes before what is done, by one
    /// call: no verifier may take for covered what is not.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sweep_revocations(&self, most: i64) -> Result<usize, Failure> {
        let swept = self.submit(Sweep { most }).await?;
        self.submit(Forget { most }).await?;
        Ok(swept)
    }
}

struct Begin {
    epoch: Uuid,
}

impl<DB: Engine> Act<DB> for Begin {
    type Answer = ();

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<(), Error> {
        let insert = "insert into trust_head (id, epoch, sequence, forgotten_time)
                      values (1, $1, 0, $2) on conflict (id) do nothing";
        let statement = Statement::new(insert).bind(self.epoch).bind(Time::MIN.micros());
        at.all(statement).await?;
        Ok(())
    }
}

struct Reset {
    epoch: Uuid,
    only_key: Option<SealedKey>,
}

impl<DB: Engine> Act<DB> for Reset {
    type Answer = bool;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<bool, Error> {
        if let Some(key) = &self.only_key {
            if !keys::replace_all(at, key).await? {
                return Ok(false);
            }
            at.change.forgotten_at_most = Some(at.now);
        }
        at.change.epoch = Some(self.epoch);
        Ok(true)
    }
}

struct Forget {
    most: i64,
}

impl<DB: Engine> Act<DB> for Forget {
    type Answer = ();

    /// Calls forgotten what is about to be, and not what the clock says: that may be days ahead, and
    /// no token that ends before this time will be decided upon.
    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<(), Error> {
        let select = "select sequence, id, expire_time from revocations where expire_time < $1
                      order by expire_time limit $2";
        let time = at.now.minus(GRACE).micros();
        let rows = at.all(Statement::new(select).bind(time).bind(self.most)).await?;
        if let Some(row) = rows.last() {
            let last = revocation::<DB>(row)?.1.expire_time;
            at.change.forgotten = Some(last.plus(Duration::from_micros(1)));
        }
        Ok(())
    }
}

struct Sweep {
    most: i64,
}

impl<DB: Engine> Act<DB> for Sweep {
    type Answer = usize;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<usize, Error> {
        let delete = "delete from revocations where sequence in
                          (select sequence from revocations
                           where expire_time < (select forgotten_time from trust_head where id = 1)
                           order by expire_time limit $1)
                      returning sequence";
        Ok(at.all(Statement::new(delete).bind(self.most)).await?.len())
    }
}

fn state<DB: Engine>(row: &DB::Row) -> Result<TrustState, Error> {
    let forgotten = Time::from_micros(get::<DB, _>(row, "forgotten_time")?);
    let corrupt = || Corrupt { table: "trust_head", column: "forgotten_time", id: "1".into() };
    let (epoch, sequence) = (get::<DB, _>(row, "epoch")?, get::<DB, _>(row, "sequence")?);
    Ok(TrustState { head: Head { epoch, sequence }, forgotten: forgotten.ok_or_else(corrupt)? })
}

fn revocation<DB: Engine>(row: &DB::Row) -> Result<(i64, Revocation), Error> {
    let id: Uuid = get::<DB, _>(row, "id")?;
    let corrupt = || Corrupt { table: "revocations", column: "expire_time", id: id.to_string() };
    let expire_time = Time::from_micros(get::<DB, _>(row, "expire_time")?).ok_or_else(corrupt)?;
    Ok((get::<DB, _>(row, "sequence")?, Revocation { id, expire_time }))
}
