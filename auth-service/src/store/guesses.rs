//! Guesses in SQL: how full the buckets are, and which networks an account is used from.
//!
//! All guesses of a group are counted together, before its other writes: their rows are locked in
//! the order of the keys, in one statement, so that two processes never wait for each other. A guess
//! that finds a bucket empty writes nothing: a flood of them costs reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;
use shared::{
    clock::Time,
    database::{Column, Corrupt, Database, Engine, Kind, Slot, Statement, WriteError, get},
};
use sqlx::Error;
use uuid::Uuid;

use super::SqlStore;
use crate::{
    error::Error as Failure,
    guesses::{Attempt, Changes, Taken},
};

impl<DB: Engine> SqlStore<DB> {
    /// Counts an attempt, if there is room for one more.
    ///
    /// # Errors
    /// [`Failure::TooManyAttempts`], or when the database is away.
    pub async fn take(&self, attempt: Attempt) -> Result<Taken, Failure> {
        let taken = self.door.submit(|slot| Guess::Take { attempt, slot }.into()).await?;
        taken.map_err(Failure::TooManyAttempts)
    }

    /// Notes that an attempt was no guess.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn forgive(&self, taken: Taken) -> Result<(), Failure> {
        Ok(self.door.submit(|slot| Guess::Forgive { taken, slot }.into()).await?)
    }

    /// Takes an attempt out of the count that has not come about.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn give_back(&self, taken: Taken) -> Result<(), Failure> {
        Ok(self.door.submit(|slot| Guess::GiveBack { taken, slot }.into()).await?)
    }

    /// Deletes what was counted so long ago that it makes no difference, but no more than this. How
    /// much that was.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sweep_guesses(&self, most: i64) -> Result<usize, Failure> {
        let keys = ended::<DB>(&self.database, self.clock.now(), most).await?;
        let count = keys.len();
        if count > 0 {
            self.door.submit(|slot| Guess::Sweep { keys, slot }.into()).await?;
        }
        Ok(count)
    }
}

/// A write that is about guesses.
#[derive(Debug)]
pub(super) enum Guess {
    /// Take from the buckets.
    Take { attempt: Attempt, slot: Slot<Result<Taken, Duration>> },
    /// Undo that: the password was right.
    Forgive { taken: Taken, slot: Slot<()> },
    /// Undo that: the password was not looked at.
    GiveBack { taken: Taken, slot: Slot<()> },
    /// Delete what makes no difference any more.
    Sweep { keys: Vec<Uuid>, slot: Slot<()> },
}

/// What is on record under the keys of a group.
#[derive(Debug, Default)]
struct Records {
    end_times: BTreeMap<Uuid, Time>,
    changed: BTreeSet<Uuid>,
}

const KEY: Column = ("guess_key", Kind::Uuid);
const END_TIME: Column = ("until", Kind::BigInt);

/// Counts the guesses of a group, in the order in which they came.
pub(super) async fn run<DB: Engine>(
    connection: &mut DB::Connection,
    mut guesses: Vec<&mut Guess>,
    now: Time,
) -> Result<(), Error> {
    let asked = guesses.iter().flat_map(|guess| guess.asks()).collect();
    let mut records = read::<DB>(connection, &asked).await?;
    guesses.retain_mut(|guess| !guess.is_refused(&records, now));
    let changing = guesses.iter().flat_map(|guess| guess.may_change()).collect();
    records.end_times.extend(lock::<DB>(connection, &changing).await?.end_times);
    let mut swept = BTreeSet::new();
    for guess in guesses {
        guess.count(&mut records, now);
        if let Guess::Sweep { keys, .. } = guess {
            swept.extend(keys.iter().copied());
        }
    }
    swept.retain(|key| records.end_time(*key) <= now);
    write::<DB>(connection, &records).await?;
    delete::<DB>(connection, &swept).await
}

/// The keys of records that have ended, the oldest first.
async fn ended<DB: Engine>(
    database: &Database<DB>,
    now: Time,
    limit: i64,
) -> Result<Vec<Uuid>, Error> {
    let statement =
        Statement::new("select key from guesses where end_time <= $1 order by end_time limit $2");
    let rows = database.read(statement.bind(now.micros()).bind(limit)).await?;
    rows.iter().map(|row| get::<DB, _>(row, "key")).collect()
}

/// What is on record, without a lock.
async fn read<DB: Engine>(
    connection: &mut DB::Connection,
    keys: &BTreeSet<Uuid>,
) -> Result<Records, Error> {
    if keys.is_empty() {
        return Ok(Records::default());
    }
    let rows = DB::rows(&[KEY]);
    let sql = format!("select g.key, g.end_time from {rows} join guesses g on g.key = x.guess_key");
    records::<DB>(&Statement::<DB>::new(sql).bind(keys_json(keys)).all(connection).await?)
}

/// What is on record, locked in the order of the keys. What was not there is there now, as ended.
async fn lock<DB: Engine>(
    connection: &mut DB::Connection,
    keys: &BTreeSet<Uuid>,
) -> Result<Records, Error> {
    if keys.is_empty() {
        return Ok(Records::default());
    }
    let rows = DB::rows(&[KEY]);
    let sql = format!(
        "insert into guesses (key, end_time)
         select guess_key, 0 from {rows} where true order by guess_key
         on conflict (key) do update set end_time = guesses.end_time
         returning key, end_time"
    );
    records::<DB>(&Statement::<DB>::new(sql).bind(keys_json(keys)).all(connection).await?)
}

async fn write<DB: Engine>(
    connection: &mut DB::Connection,
    records: &Records,
) -> Result<(), Error> {
    if records.changed.is_empty() {
        return Ok(());
    }
    let row = |key: &Uuid| json!({ "guess_key": key, "until": records.end_time(*key).micros() });
    let changed: Vec<_> = records.changed.iter().map(row).collect();
    let rows = DB::rows(&[KEY, END_TIME]);
    let sql = format!(
        "update guesses set end_time = x.until from {rows} where guesses.key = x.guess_key"
    );
    Statement::<DB>::new(sql).bind(json!(changed).to_string()).all(connection).await?;
    Ok(())
}

async fn delete<DB: Engine>(
    connection: &mut DB::Connection,
    keys: &BTreeSet<Uuid>,
) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let rows = DB::rows(&[KEY]);
    let sql = format!("delete from guesses where key in (select guess_key from {rows})");
    Statement::<DB>::new(sql).bind(keys_json(keys)).all(connection).await?;
    Ok(())
}

fn keys_json(keys: &BTreeSet<Uuid>) -> String {
    json!(keys.iter().map(|key| json!({ "guess_key": key })).collect::<Vec<_>>()).to_string()
}

fn records<DB: Engine>(rows: &[DB::Row]) -> Result<Records, Error> {
    let record = |row| {
        let key: Uuid = get::<DB, _>(row, "key")?;
        let corrupt = || Corrupt { table: "guesses", column: "end_time", id: key.to_string() };
        let end_time = Time::from_micros(get::<DB, _>(row, "end_time")?).ok_or_else(corrupt)?;
        Ok((key, end_time))
    };
    let end_times = rows.iter().map(record).collect::<Result<_, Error>>()?;
    Ok(Records { end_times, ..Records::default() })
}

impl Records {
    /// Until when something is on record; what is not there has ended long ago.
    fn end_time(&self, key: Uuid) -> Time {
        self.end_times.get(&key).copied().unwrap_or(Time::MIN)
    }

    fn change(&mut self, changes: Changes) {
        for (key, end_time) in changes {
            self.end_times.insert(key, end_time);
            self.changed.insert(key);
        }
    }
}

impl Guess {
    /// The keys that tell whether it is refused.
    fn asks(&self) -> Vec<Uuid> {
        match self {
            Self::Take { attempt, .. } => attempt.keys().collect(),
            Self::Forgive { .. } | Self::GiveBack { .. } | Self::Sweep { .. } => Vec::new(),
        }
    }

    /// The keys that it may change.
    fn may_change(&self) -> Vec<Uuid> {
        match self {
            Self::Take { attempt, .. } => attempt.buckets().collect(),
            Self::Forgive { taken, .. } | Self::GiveBack { taken, .. } => taken.keys().collect(),
            Self::Sweep { keys, .. } => keys.clone(),
        }
    }

    /// Answers an attempt that finds no room.
    fn is_refused(&mut self, before: &Records, now: Time) -> bool {
        let Self::Take { attempt, slot } = self else { return false };
        match attempt.take(now, |key| before.end_time(key)) {
            Ok(_) => false,
            Err(wait) => {
                slot.fill(Err(wait));
                true
            }
        }
    }

    /// Does what it says to the records.
    fn count(&mut self, records: &mut Records, now: Time) {
        let end_time = |key| records.end_time(key);
        match self {
            Self::Take { attempt, slot } => {
                let taken = attempt.take(now, end_time).map(|(taken, changes)| {
                    records.change(changes);
                    taken
                });
                slot.fill(taken);
            }
            Self::Forgive { taken, slot } => {
                records.change(taken.forgive(now, end_time));
                slot.fill(());
            }
            Self::GiveBack { taken, slot } => {
                records.change(taken.give_back(end_time));
                slot.fill(());
            }
            Self::Sweep { slot, .. } => slot.fill(()),
        }
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Take { slot, .. } => slot.is_abandoned(),
            Self::Forgive { slot, .. } | Self::GiveBack { slot, .. } | Self::Sweep { slot, .. } => {
                slot.is_abandoned()
            }
        }
    }

    /// Sends the answer, or the reason why there is none.
    pub(super) fn settle(self, outcome: Result<(), WriteError>) {
        match self {
            Self::Take { slot, .. } => slot.settle(outcome),
            Self::Forgive { slot, .. } | Self::GiveBack { slot, .. } | Self::Sweep { slot, .. } => {
                slot.settle(outcome);
            }
        }
    }
}
