//! The answers to writes that may be asked for again, in the table `answers` of a service.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Column, Corrupt, Database, Engine, Kind, Statement, get};
use crate::{
    clock::Time,
    once::{KEPT, Once, Reused},
};

/// Whose, of which RPC, by which id.
type Key = (Uuid, String, Uuid);

/// The answers that a transaction may have to give again, and those that it adds.
#[derive(Debug, Default)]
pub struct Answers {
    known: BTreeMap<Key, Answer>,
    new: BTreeSet<Key>,
}

#[derive(Debug)]
struct Answer {
    digest: String,
    json: String,
}

#[derive(Serialize)]
struct Row<'a> {
    owner_id: Uuid,
    method: &'a str,
    request_id: Uuid,
    digest: &'a str,
    answer: &'a str,
    expire_time: i64,
}

const COLUMNS: [Column; 6] = [
    ("owner_id", Kind::Uuid),
    ("method", Kind::Text),
    ("request_id", Kind::Uuid),
    ("digest", Kind::Text),
    ("answer", Kind::Text),
    ("expire_time", Kind::BigInt),
];

const KEY_COLUMNS: [Column; 3] =
    [("whose", Kind::Uuid), ("rpc", Kind::Text), ("by_id", Kind::Uuid)];

impl Answers {
    /// Reads those that have been given to these before. What orders the writes of an owner, as a lock
    /// of the owner's row, must be held, so that of the same request at once one comes first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load<'a, DB: Engine>(
        connection: &mut DB::Connection,
        asked: impl IntoIterator<Item = &'a Once>,
    ) -> Result<Self, sqlx::Error> {
        match select::<DB>(asked)? {
            Some(statement) => Self::from_rows::<DB>(&statement.all(connection).await?),
            None => Ok(Self::default()),
        }
    }

    /// Reads the one that has been given to this before, outside of any transaction: there may be one
    /// a moment later.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read<DB: Engine>(
        database: &Database<DB>,
        asked: &Once,
    ) -> Result<Self, sqlx::Error> {
        match select::<DB>([asked])? {
            Some(statement) => Self::from_rows::<DB>(&database.read(statement).await?),
            None => Ok(Self::default()),
        }
    }

    /// The answer that was given before; nothing if this was never asked.
    ///
    /// # Errors
    /// When it can not be read any more.
    pub fn find<T: DeserializeOwned>(
        &self,
        once: &Once,
    ) -> Result<Option<Result<T, Reused>>, sqlx::Error> {
        let Some(known) = self.known.get(&key(once)) else { return Ok(None) };
        if known.digest != once.digest {
            return Ok(Some(Err(Reused)));
        }
        let id = once.request_id.to_string();
        let corrupt = |_| Corrupt { table: "answers", column: "answer", id };
        Ok(Some(Ok(serde_json::from_str(&known.json).map_err(corrupt)?)))
    }

    /// Keeps an answer, for whoever asks again: in this transaction too.
    ///
    /// # Errors
    /// When it can not be written down.
    pub fn keep(&mut self, once: &Once, answer: &impl Serialize) -> Result<(), sqlx::Error> {
        let answer = Answer { digest: once.digest.clone(), json: json(answer)? };
        self.known.insert(key(once), answer);
        self.new.insert(key(once));
        Ok(())
    }

    /// Writes down those that are new.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn store<DB: Engine>(
        self,
        connection: &mut DB::Connection,
        now: Time,
    ) -> Result<(), sqlx::Error> {
        let expire_time = now.plus(KEPT).micros();
        let new = self.new.iter().filter_map(|key| {
            let (Answer { digest, json }, (owner_id, method, request_id)) =
                (self.known.get(key)?, key);
            let (owner_id, request_id) = (*owner_id, *request_id);
            Some(Row { owner_id, method, request_id, digest, answer: json, expire_time })
        });
        let new: Vec<Row<'_>> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        let statement = Statement::<DB>::new(format!(
            "insert into answers (owner_id, method, request_id, digest, answer, expire_time)
             select owner_id, method, request_id, digest, answer, expire_time from {}",
            DB::rows(&COLUMNS)
        ));
        statement.bind(json(&new)?).all(connection).await?;
        Ok(())
    }

    fn from_rows<DB: Engine>(rows: &[DB::Row]) -> Result<Self, sqlx::Error> {
        let known = rows.iter().map(|row| {
            let key = (
                get::<DB, _>(row, "owner_id")?,
                get::<DB, _>(row, "method")?,
                get::<DB, _>(row, "request_id")?,
            );
            let digest = get::<DB, _>(row, "digest")?;
            Ok((key, Answer { digest, json: get::<DB, _>(row, "answer")? }))
        });
        let known = known.collect::<Result<_, sqlx::Error>>()?;
        Ok(Self { known, new: BTreeSet::new() })
    }
}

/// What reads the answers to these; nothing when there are none of these.
fn select<'a, DB: Engine>(
    asked: impl IntoIterator<Item = &'a Once>,
) -> Result<Option<Statement<DB>>, sqlx::Error> {
    #[derive(Serialize)]
    struct Row {
        whose: Uuid,
        rpc: &'static str,
        by_id: Uuid,
    }
    let keys = asked.into_iter().map(|once| Row {
        whose: once.owner,
        rpc: once.rpc,
        by_id: once.request_id,
    });
    let keys: Vec<Row> = keys.collect();
    if keys.is_empty() {
        return Ok(None);
    }
    let statement = Statement::<DB>::new(format!(
        "select owner_id, method, request_id, digest, answer from {} cross join answers
         where owner_id = whose and method = rpc and request_id = by_id",
        DB::rows(&KEY_COLUMNS)
    ));
    Ok(Some(statement.bind(json(&keys)?)))
}

fn key(once: &Once) -> Key {
    (once.owner, once.rpc.to_owned(), once.request_id)
}

fn json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|fault| sqlx::Error::Encode(Box::new(fault)))
}
