//! The rows of erasures.

use serde::Serialize;
use shared::{
    clock::Time,
    database::{Corrupt, Engine, Statement, get},
    erasure::CONFIRM_SCOPE,
};
use sqlx::Error;
use uuid::Uuid;

use super::DeletedUser;
use crate::{
    erasures::{Confirmation, Counts, Erasure, OWN_PART, Part},
    store::operation::Transaction,
};

/// What an erasure and one of its parts are read from.
pub(super) const COLUMNS: &str = "e.id, e.user_id, e.delete_time, c.service, c.settle_time,
                                  c.confirm_time, c.deleted_counts";

/// Writes down the place of a deletion in the sequence, and who must confirm it. The head must be locked.
pub(in crate::store) async fn begin<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    sequence: i64,
    user_id: Uuid,
    own: &Counts,
) -> Result<(), Error> {
    let feed = "insert into erasure_feed (sequence, user_id) values ($1, $2)";
    at.all(Statement::new(feed).bind(sequence).bind(user_id)).await?;
    let part = "insert into erasure_confirmations
                    (user_id, service, settle_time, confirm_time, deleted_counts)
                values ($1, $2, 0, 0, $3)";
    let part = Statement::new(part).bind(user_id).bind(OWN_PART.to_owned()).bind(json(own)?);
    at.all(part).await?;
    let parts = "insert into erasure_confirmations
                     (user_id, service, settle_time, confirm_time, deleted_counts)
                 select $1, name, 0, 0, '{}' from services
                 where ' ' || scopes || ' ' like $2 and name <> $3";
    let parts = Statement::new(parts)
        .bind(user_id)
        .bind(format!("% {CONFIRM_SCOPE} %"))
        .bind(OWN_PART.to_owned());
    at.all(parts).await?;
    Ok(())
}

/// Waits no more for a service that is asked no more. Once the head is locked it has no other part.
pub(in crate::store) async fn settle_parts<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    service: String,
) -> Result<(), Error> {
    let update = "update erasure_confirmations set settle_time = $2
                  where service = $1 and settle_time = 0";
    at.all(Statement::new(update).bind(service).bind(at.now.micros())).await?;
    Ok(())
}

/// The erasures that rows tell of, one row for each part, those of an erasure one after another.
pub(super) fn erasures<DB: Engine>(rows: &[DB::Row]) -> Result<Vec<Erasure>, Error> {
    let mut erasures: Vec<Erasure> = Vec::new();
    for row in rows {
        let user_id: Uuid = get::<DB, _>(row, "user_id")?;
        let part = part::<DB>(row, user_id)?;
        match erasures.last_mut().filter(|last| last.user_id == user_id) {
            Some(last) => last.parts.push(part),
            None => erasures.push(Erasure {
                id: get::<DB, _>(row, "id")?,
                user_id,
                delete_time: delete_time::<DB>(row, user_id)?,
                parts: vec![part],
            }),
        }
    }
    Ok(erasures)
}

pub(super) fn deleted_user<DB: Engine>(row: &DB::Row) -> Result<DeletedUser, Error> {
    let user_id = get::<DB, _>(row, "user_id")?;
    let delete_time = delete_time::<DB>(row, user_id)?;
    Ok(DeletedUser { sequence: get::<DB, _>(row, "sequence")?, user_id, delete_time })
}

fn delete_time<DB: Engine>(row: &DB::Row, user_id: Uuid) -> Result<Time, Error> {
    let corrupt = || Corrupt { table: "erasures", column: "delete_time", id: user_id.to_string() };
    Ok(Time::from_micros(get::<DB, _>(row, "delete_time")?).ok_or_else(corrupt)?)
}

fn part<DB: Engine>(row: &DB::Row, user_id: Uuid) -> Result<Part, Error> {
    let corrupt =
        |column| Corrupt { table: "erasure_confirmations", column, id: user_id.to_string() };
    let time = |column| -> Result<Option<Time>, Error> {
        let micros: i64 = get::<DB, _>(row, column)?;
        let time = (micros != 0).then(|| Time::from_micros(micros).ok_or_else(|| corrupt(column)));
        Ok(time.transpose()?)
    };
    let counts = || -> Result<Counts, Error> {
        let counts: String = get::<DB, _>(row, "deleted_counts")?;
        Ok(serde_json::from_str(&counts).map_err(|_| corrupt("deleted_counts"))?)
    };
    let confirmation = time("confirm_time")?;
    let confirmation = confirmation.map(|time| Ok(Confirmation { time, counts: counts()? }));
    Ok(Part {
        service: get::<DB, _>(row, "service")?,
        settle_time: time("settle_time")?,
        confirmation: confirmation.transpose().map_err(|error: Error| error)?,
    })
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|fault| Error::Encode(Box::new(fault)))
}
