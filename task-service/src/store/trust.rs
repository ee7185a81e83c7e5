//! What the issuer of tokens has said, in SQL.
//!
//! Several processes may share the database, and each saves what it hears. So a save only ever adds
//! to what is there, as long as that goes far enough, and never takes it back.

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

/// How a save goes on. What is too much for one write comes in parts, between which other writes have
/// their turn, and until the last of them what was there before can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Everything is about to come, so what is damaged can go.
    Repair,
    /// Some revocations.
    Part,
    /// The rest of what is new since this head.
    Delta(Head),
    /// The rest of everything.
    Whole,
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
/// What a revocation has in place of a number of them, where both are selected.
const NO_STATE: i64 = -1;
/// Stands for a time that is none.
const NEVER: i64 = i64::MIN;
/// How long a public key is.
const KEY: usize = 32;
const COLUMNS: &str =
    "epoch, sequence, heard_time, forgotten_time, public_keys, revocations, digest";

/// Saves what was heard. The answer is `false`, and nothing is saved, when that does not fit to what is
/// there: then everything is needed.
pub(super) async fn keep<DB: Engine>(
    connection: &mut DB::Connection,
    said: &Said,
) -> Result<bool, sqlx::Error> {
    let mut state = State::lock::<DB>(connection).await?;
    let before = state.forgotten;
    match said.step {
        Step::Repair => {
            if !state.is_intact::<DB>(connection).await? {
                rows::clear::<DB>(connection).await?;
                state = State::nothing();
            }
        }
        Step::Part => {}
        Step::Delta(since) => {
            if !state.reaches(said.head.epoch, since) {
                return Ok(false);
            }
            state.go_on(said);
        }
        Step::Whole => state.replace(said),
    }
    state.count(rows::insert::<DB>(connection, &said.news.revocations).await?);
    if state.forgotten > before {
        state.count(rows::delete_before::<DB>(connection, state.forgotten).await?);
    }
    state.store::<DB>(connection).await?;
    Ok(true)
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
    /// What is there at first.
    fn nothing() -> Self {
        Self {
            head: Head { epoch: Uuid::nil(), sequence: NO_SEQUENCE },
            heard: NEVER,
            forgotten: NEVER,
            keys: Vec::new(),
            revocations: 0,
            rows: Digest::default(),
        }
    }

    /// Reads the row, made if it is missing, and locks it for the rest of the transaction.
    async fn lock<DB: Engine>(connection: &mut DB::Connection) -> Result<Self, sqlx::Error> {
        let statement = Statement::<DB>::new(format!(
            "insert into trust_state (id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (id) do update set revocations = trust_state.revocations
             returning {COLUMNS}"
        ));
        let rows = Self::nothing().bind(statement.bind(ID)).all(connection).await?;
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

    /// Whether everything is there up to this head, and of this epoch.
    fn reaches(&self, epoch: Uuid, since: Head) -> bool {
        self.head.epoch == epoch
            && since.epoch == epoch
            && (0..=self.head.sequence).contains(&since.sequence)
    }

    /// Adds what is new. What another process has heard since then stays.
    fn go_on(&mut self, said: &Said) {
        if said.head.sequence >= self.head.sequence {
            self.head = said.head;
            if let Some(keys) = &said.news.keys {
                self.keys = bytes(keys);
            }
        }
        self.heard = self.heard.max(said.heard.micros());
        self.forgotten = self.forgotten.max(said.forgotten());
    }

    /// Puts everything in the place of what is there, unless that goes further.
    fn replace(&mut self, said: &Said) {
        if self.head.epoch == said.head.epoch && self.head.sequence > said.head.sequence {
            return self.go_on(said);
        }
        if self.head.epoch == said.head.epoch {
            self.heard = self.heard.max(said.heard.micros());
        } else {
            self.heard = said.heard.micros();
        }
        self.head = said.head;
        self.keys = said.news.keys.as_deref().map(bytes).unwrap_or_default();
        self.forgotten = said.forgotten();
    }

    fn count(&mut self, (change, digest): (i64, Digest)) {
        self.revocations += change;
        self.rows = self.rows.and(digest);
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

impl Said {
    fn forgotten(&self) -> i64 {
        self.news.forgotten.map_or(NEVER, Time::micros)
    }
}

fn bytes(keys: &[PublicKey]) -> Vec<u8> {
    keys.iter().flat_map(|key| *key.bytes()).collect()
}

fn damaged() -> sqlx::Error {
    rows::corrupt("trust_state", "digest", &ID)
}
