//! The rows of revocations, and a digest that goes along with them.

use std::ops::ControlFlow;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use shared::{
    clock::Time,
    database::{Column, Corrupt, Database, Engine, Kind, Statement, get},
    trust::Revocation,
};
use uuid::Uuid;

use super::rows::json;

/// How many rows a statement takes.
pub(super) const CHUNK: usize = 4096;
const COLUMNS: [Column; 2] = [("id", Kind::Uuid), ("expire_time", Kind::BigInt)];

/// The hashes of things, all in one: in whatever order they come, and taken out again by being put
/// in once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// The hash of one thing.
    pub(super) fn hash(parts: &[&[u8]]) -> Self {
        Self::read(digest(&SHA256, &parts.concat()).as_ref())
    }

    pub(super) fn of(revocations: &[Revocation]) -> Self {
        revocations.iter().map(Self::row).fold(Self::default(), Self::and)
    }

    fn row(revocation: &Revocation) -> Self {
        let time = revocation.expire_time.micros().to_be_bytes();
        Self::hash(&[b"revocation", revocation.id.as_bytes(), &time])
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|place| {
            let byte = |digest: &Self| digest.0.get(place).copied().unwrap_or_default();
            byte(&self) ^ byte(&other)
        }))
    }

    /// A digest that was kept; if it is none, one that fits nothing.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self(bytes.try_into().unwrap_or([0xff; 32]))
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// Adds rows. Says how many more there are, and what that does to the digest.
pub(super) async fn insert<DB: Engine>(
    connection: &mut DB::Connection,
    revocations: &[Revocation],
) -> Result<(i64, Digest), sqlx::Error> {
    #[derive(Serialize)]
    struct Row {
        id: Uuid,
        expire_time: i64,
    }
    let source = DB::rows(&COLUMNS);
    let (mut more, mut digest) = (0, Digest::default());
    for chunk in revocations.chunks(CHUNK) {
        let row = |it: &Revocation| Row { id: it.id, expire_time: it.expire_time.micros() };
        let rows = json(chunk.iter().map(row))?;
        // Those that are known to end sooner make room.
        let shorter = Statement::<DB>::new(format!(
            "delete from trust_revocations where id in (
                 select known.id from {source}
                 join trust_revocations as known on known.id = x.id
                 where known.expire_time < x.expire_time
             )
             returning id, expire_time"
        ));
        let gone = read_all::<DB>(&shorter.bind(rows.clone()).all(connection).await?)?;
        let new = Statement::<DB>::new(format!(
            "insert into trust_revocations (id, expire_time)
             select id, expire_time from {source} where true
             on conflict (id) do nothing
             returning id, expire_time"
        ));
        let new = read_all::<DB>(&new.bind(rows).all(connection).await?)?;
        more += length(&new) - length(&gone);
        digest = digest.and(Digest::of(&gone)).and(Digest::of(&new));
    }
    Ok((more, digest))
}

/// Deletes the rows of what has expired before this time; says the same.
pub(super) async fn delete_before<DB: Engine>(
    connection: &mut DB::Connection,
    time: i64,
) -> Result<(i64, Digest), sqlx::Error> {
    let expired = Statement::<DB>::new(
        "delete from trust_revocations where expire_time < $1 returning id, expire_time",
    );
    let gone = read_all::<DB>(&expired.bind(time).all(connection).await?)?;
    Ok((-length(&gone), Digest::of(&gone)))
}

/// Deletes every row.
pub(super) async fn clear<DB: Engine>(connection: &mut DB::Connection) -> Result<(), sqlx::Error> {
    Statement::<DB>::new("delete from trust_revocations").all(connection).await?;
    Ok(())
}

/// How many rows there are, and their digest. None of them is kept in memory: there may be a million.
pub(super) async fn count<DB: Engine>(
    connection: &mut DB::Connection,
) -> Result<(i64, Digest), sqlx::Error> {
    let statement = Statement::<DB>::new("select id, expire_time from trust_revocations");
    let (mut count, mut digest, mut fault) = (0, Digest::default(), None);
    let take = &mut |row: DB::Row| match revocation::<DB>(&row, "id", "expire_time") {
        Ok(revocation) => {
            count += 1;
            digest = digest.and(Digest::row(&revocation));
            ControlFlow::Continue(())
        }
        Err(error) => {
            fault = Some(error);
            ControlFlow::Break(())
        }
    };
    statement.each(connection, take).await?;
    fault.map_or(Ok((count, digest)), Err)
}

/// Reads the rows of a statement in which one of another kind may be, which `other` knows. The
/// revocations have their id and time in the columns `epoch` and `sequence`.
pub(super) async fn gather<DB: Engine, T: Send + 'static>(
    database: &Database<DB>,
    statement: Statement<DB>,
    other: impl Fn(&DB::Row) -> Result<Option<T>, sqlx::Error> + Send + 'static,
) -> Result<(Option<T>, Vec<Revocation>), sqlx::Error> {
    let start = Ok((None, Vec::new()));
    let gathered = database.read_each(statement, start, move |gathered, row| {
        let Ok((found, revocations)) = gathered else { return ControlFlow::Break(()) };
        let read = match other(&row) {
            Ok(None) => revocation::<DB>(&row, "epoch", "sequence").map(|it| revocations.push(it)),
            Ok(it) => {
                *found = it;
                return ControlFlow::Continue(());
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = read {
            *gathered = Err(fault);
        }
        ControlFlow::Continue(())
    });
    gathered.await?
}

fn read_all<DB: Engine>(rows: &[DB::Row]) -> Result<Vec<Revocation>, sqlx::Error> {
    rows.iter().map(|row| revocation::<DB>(row, "id", "expire_time")).collect()
}

fn revocation<DB: Engine>(
    row: &DB::Row,
    id: &'static str,
    time: &'static str,
) -> Result<Revocation, sqlx::Error> {
    let id = get::<DB, Uuid>(row, id)?;
    let expire_time = Time::from_micros(get::<DB, _>(row, time)?);
    let corrupt = || corrupt("trust_revocations", "expire_time", &id);
    Ok(Revocation { id, expire_time: expire_time.ok_or_else(corrupt)? })
}

pub(super) fn corrupt(
    table: &'static str,
    column: &'static str,
    id: &impl ToString,
) -> sqlx::Error {
    Corrupt { table, column, id: id.to_string() }.into()
}

fn length(rows: &[Revocation]) -> i64 {
    i64::try_from(rows.len()).unwrap_or(i64::MAX)
}
