//! What the issuer of tokens has said, in SQL.
//!
//! Several processes may share the database, and each saves what it hears. So a save only ever adds
//! to what is there, as long as that goes far enough, and never takes it back.

use std::time::Duration;

use shared::{
    clock::Time,
    database::{Database, Engine, Statement, get},
    trust::{Head, News, PublicKey, Revocation, Snapshot},
};

use uuid::Uuid;

use super::trust_rows::{self as rows, Digest};

/// What is to be saved; see [`Update`](shared::trust::Update).
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) step: Step,
    pub(crate) head: Head,
    pub(crate) heard: Time,
    pub(crate) news: News,
}

/// How much of it is saved at once. What is too much for one write comes in parts, between which other
/// writes have their turn. Until the last of them there is nothing that could be loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// What is new since this head.
    Delta(Head),
    /// Everything.
    Whole,
    /// Everything is about to come, by whoever has this number.
    Begin(Uuid),
    /// A part of it.
    Part(Uuid),
    /// The rest, and how far all of it goes.
    End(Uuid),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is saved.
    Done,
    /// It does not fit to what is there: everything is needed.
    NotEnough,
    /// Another process has saved more, or is about to.
    Elsewhere,
}

/// The row of `trust_state`. No sequence is negative but that of a row that says nothing.
#[derive(Debug)]
struct State {
    head: Head,
    heard: i64,
    forgotten: i64,
    /// 32 bytes each.
    keys: Vec<u8>,
    /// How many revocations there are, and the digest of their rows.
    revocations: i64,
    rows: Digest,
}

/// The only row's id.
const ID: i64 = 1;
/// The sequence of a row that says nothing.
const NO_SEQUENCE: i64 = -1;
/// How long after its last part somebody is waited for who saves everything in parts.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a revocation has in place of a number of them, where both are selected.
const NO_STATE: i64 = -1;
/// Stands for a time that is none.
const NEVER: i64 = i64::MIN;
/// How long a public key is.
const KEY: usize = 32;
const COLUMNS: &str =
    "epoch, sequence, heard_time, forgotten_time, public_keys, revocations, digest";

/// Saves what was heard, if it fits to what is there.
pub(super) async fn keep<DB: Engine>(
    connection: &mut DB::Connection,
    said: &Said,
) -> Result<Kept, sqlx::Error> {
    let mut state = State::lock::<DB>(connection).await?;
    let is_ours = state.head.sequence >= 0 && state.head.epoch == said.head.epoch;
    let mut kept = Kept::Done;
    match said.step {
        Step::Delta(since) => {
            let is_enough = since.epoch == state.head.epoch
                && (0..=state.head.sequence).contains(&since.sequence);
            if !is_ours || !is_enough {
                return Ok(Kept::NotEnough);
            }
            state.add::<DB>(connection, said).await?;
        }
        Step::Whole | Step::Begin(_) if state.is_awaited(said.heard) => {
            return Ok(Kept::Elsewhere);
        }
        Step::Whole | Step::Begin(_)
            if is_ours
                && state.head.sequence > said.head.sequence
                && state.is_intact::<DB>(connection).await? =>
        {
            kept = Kept::Elsewhere;
        }
        Step::Whole => {
            rows::clear::<DB>(connection).await?;
            state = State::nothing(said.head);
            state.add::<DB>(connection, said).await?;
        }
        Step::Begin(number) => {
            rows::clear::<DB>(connection).await?;
            state = State::nothing(awaited(number));
        }
        Step::Part(number) | Step::End(number) => {
            if state.head != awaited(number) {
                return Ok(Kept::Elsewhere);
            }
            state.add::<DB>(connection, said).await?;
        }
    }
    state.heard = state.heard.max(said.heard.micros());
    state.store::<DB>(connection).await?;
    Ok(kept)
}

/// What stands in place of the head while everything comes in parts.
pub(super) fn awaited(number: Uuid) -> Head {
    Head { epoch: number, sequence: NO_SEQUENCE }
}

/// What is there; an error if it is damaged.
pub(super) async fn load<DB: Engine>(
    database: &Database<DB>,
) -> Result<Option<Snapshot>, sqlx::Error> {
    // One statement, so that it sees nothing of a save half-way.
    let statement = Statement::new(format!(
        "select {COLUMNS} from trust_state where id = $1
         union all
         select id, expire_time, 0, 0, null, $2, null from trust_revocations"
    ))
    .bind(ID)
    .bind(NO_STATE);
    let (state, revocations) = rows::gather(database, statement, |row| {
        let is_state = get::<DB, i64>(row, "revocations")? != NO_STATE;
        is_state.then(|| State::read::<DB>(row)).transpose()
    })
    .await?;
    let Some(state) = state.filter(|state| state.head.sequence >= 0) else { return Ok(None) };
    let count = i64::try_from(revocations.len()).unwrap_or(i64::MAX);
    if (count, Digest::of(&revocations)) != (state.revocations, state.rows) {
        return Err(damaged());
    }
    state.into_snapshot(revocations).map(Some)
}

impl State {
    /// Nothing yet, on the way to this head.
    fn nothing(head: Head) -> Self {
        Self {
            head,
            heard: NEVER,
            forgotten: NEVER,
            keys: Vec::new(),
            revocations: 0,
            rows: Digest::default(),
        }
    }

    /// Reads the row, made if it is missing, and locks it for the rest of the transaction.
    async fn lock<DB: Engine>(connection: &mut DB::Connection) -> Result<Self, sqlx::Error> {
        let nothing = Self::nothing(Head { epoch: Uuid::nil(), sequence: NO_SEQUENCE });
        let statement = Statement::<DB>::new(format!(
            "insert into trust_state (id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (id) do update set revocations = trust_state.revocations
             returning {COLUMNS}"
        ));
        let rows = nothing.bind(statement.bind(ID)).all(connection).await?;
        Self::read::<DB>(rows.first().ok_or(sqlx::Error::RowNotFound)?)
    }

    fn read<DB: Engine>(row: &DB::Row) -> Result<Self, sqlx::Error> {
        let head =
            Head { epoch: get::<DB, _>(row, "epoch")?, sequence: get::<DB, _>(row, "sequence")? };
        let mut state = Self {
            head,
            heard: get::<DB, _>(row, "heard_time")?,
            forgotten: get::<DB, _>(row, "forgotten_time")?,
            keys: get::<DB, _>(row, "public_keys")?,
            revocations: get::<DB, _>(row, "revocations")?,
            rows: Digest::default(),
        };
        state.rows = state.own().and(Digest::read(&get::<DB, Vec<u8>>(row, "digest")?));
        Ok(state)
    }

    /// Binds the columns.
    fn bind<DB: Engine>(&self, statement: Statement<DB>) -> Statement<DB> {
        statement
            .bind(self.head.epoch)
            .bind(self.head.sequence)
            .bind(self.heard)
            .bind(self.forgotten)
            .bind(self.keys.clone())
            .bind(self.revocations)
            .bind(self.own().and(self.rows).bytes())
    }

    async fn store<DB: Engine>(&self, connection: &mut DB::Connection) -> Result<(), sqlx::Error> {
        let statement = Statement::<DB>::new(
            "update trust_state
             set epoch = $2, sequence = $3, heard_time = $4, forgotten_time = $5, public_keys = $6,
                 revocations = $7, digest = $8
             where id = $1",
        );
        self.bind(statement.bind(ID)).all(connection).await?;
        Ok(())
    }

    /// Adds what was heard. What another process has heard since then stays.
    async fn add<DB: Engine>(
        &mut self,
        connection: &mut DB::Connection,
        said: &Said,
    ) -> Result<(), sqlx::Error> {
        self.count(rows::insert::<DB>(connection, &said.news.revocations).await?);
        if said.head.sequence >= self.head.sequence {
            self.head = said.head;
            if let Some(keys) = &said.news.keys {
                self.keys = keys.iter().flat_map(|key| *key.bytes()).collect();
            }
        }
        if let Some(time) = said.news.forgotten.map(Time::micros)
            && time > self.forgotten
        {
            self.forgotten = time;
            self.count(rows::delete_before::<DB>(connection, time).await?);
        }
        Ok(())
    }

    fn count(&mut self, (change, digest): (i64, Digest)) {
        self.revocations += change;
        self.rows = self.rows.and(digest);
    }

    /// Whether somebody is about to save everything, and has not been silent for long.
    fn is_awaited(&self, now: Time) -> bool {
        let heard = Time::from_micros(self.heard);
        self.head.sequence == NO_SEQUENCE
            && self.head.epoch != Uuid::nil()
            && heard.is_some_and(|heard| now < heard.plus(PATIENCE))
    }

    /// Whether the revocations are those that were saved.
    async fn is_intact<DB: Engine>(
        &self,
        connection: &mut DB::Connection,
    ) -> Result<bool, sqlx::Error> {
        Ok(rows::count::<DB>(connection).await? == (self.revocations, self.rows))
    }

    /// The digest of everything in this row but the digest.
    fn own(&self) -> Digest {
        let numbers = [self.head.sequence, self.heard, self.forgotten, self.revocations];
        let numbers = numbers.map(i64::to_be_bytes).concat();
        Digest::hash(&[b"state", self.head.epoch.as_bytes(), &numbers, &self.keys])
    }

    fn into_snapshot(self, revocations: Vec<Revocation>) -> Result<Snapshot, sqlx::Error> {
        let head = self.head;
        let time = Time::from_micros(self.heard).ok_or_else(damaged)?;
        let (keys, rest) = self.keys.as_chunks::<KEY>();
        if !rest.is_empty() {
            return Err(damaged());
        }
        let news = News {
            head: Some(head),
            is_snapshot: true,
            keys: Some(keys.iter().copied().map(PublicKey::new).collect()),
            revocations,
            forgotten: Time::from_micros(self.forgotten),
        };
        Ok(Snapshot { head, heard: time, news })
    }
}

fn damaged() -> sqlx::Error {
    rows::corrupt("trust_state", "digest", &ID)
}
