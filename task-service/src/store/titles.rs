//! Titles that are older than their keys, which no SQL of every engine can make.

use serde::Serialize;
use shared::database::{Column, Engine, Kind, Statement, get};
use sqlx::Error;
use uuid::Uuid;

use super::{
    owners::{Advance, Owners},
    rows::json,
};
use crate::text::folded;

/// How many get their keys in one transaction.
const BATCH: usize = 500;

#[derive(Serialize)]
struct Row {
    key_owner: Uuid,
    key_id: Uuid,
    old_title: String,
    new_key: String,
}

const COLUMNS: [Column; 4] = [
    ("key_owner", Kind::Uuid),
    ("key_id", Kind::Uuid),
    ("old_title", Kind::Text),
    ("new_key", Kind::Text),
];

/// Makes the keys of some that have none yet; the answer is whether there may be more.
pub(super) async fn fold<DB: Engine>(connection: &mut DB::Connection) -> Result<bool, Error> {
    let select = Statement::<DB>::new(format!(
        "select u.owner_id, u.id, coalesce(t.title, '') as title from unfolded_titles u
         left join tasks t on t.owner_id = u.owner_id and t.id = u.id
         order by u.owner_id, u.id limit {BATCH}"
    ));
    let row = |row: &DB::Row| {
        let old_title: String = get::<DB, _>(row, "title")?;
        let new_key = folded(&old_title);
        let (key_owner, key_id) = (get::<DB, _>(row, "owner_id")?, get::<DB, _>(row, "id")?);
        Ok(Row { key_owner, key_id, old_title, new_key })
    };
    let rows = select.all(connection).await?;
    let rows: Vec<Row> = rows.iter().map(row).collect::<Result<_, Error>>()?;
    if rows.is_empty() {
        return Ok(false);
    }
    let owners = rows.iter().map(|row| (row.key_owner, Advance::default())).collect();
    let owners = Owners::lock_each::<DB>(connection, owners).await?;
    // Whoever has changed a title meanwhile has made its key.
    let update = format!(
        "update tasks set title_key = new_key from {}
         where owner_id = key_owner and id = key_id and title = old_title",
        DB::rows(&COLUMNS)
    );
    let delete = format!(
        "delete from unfolded_titles where exists (
             select 1 from {} where owner_id = key_owner and id = key_id
         )",
        DB::rows(&COLUMNS)
    );
    for sql in [update, delete] {
        Statement::<DB>::new(sql).bind(json(&rows)?).all(connection).await?;
    }
    owners.settle::<DB>(connection).await?;
    Ok(rows.len() == BATCH)
}
