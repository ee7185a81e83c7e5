//! The rows of one table that a group works on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shared::{
    clock::Time,
    database::{Column, Corrupt, Engine, Kind, Lookup, Statement, get},
};
use uuid::Uuid;

/// What every row is found by: its owner and its id.
pub(super) type Key = (Uuid, Uuid);

/// The columns of a set of keys, named apart from those of the tables they are joined with.
pub(super) const KEY_COLUMNS: [Column; 2] = [("key_owner", Kind::Uuid), ("key_id", Kind::Uuid)];

/// The column of a set of owners, named apart alike.
pub(super) const OWNER_COLUMNS: [Column; 1] = [("key_owner", Kind::Uuid)];

/// Rows as they were read, and as the group changes them.
#[derive(Debug)]
pub(super) struct Rows<T> {
    rows: BTreeMap<Key, T>,
    /// Those that are new or have changed, as they were read.
    before: BTreeMap<Key, Option<T>>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl<T> Rows<T> {
    /// Rows as they were read.
    pub(super) fn new(rows: BTreeMap<Key, T>) -> Self {
        Self { rows, before: BTreeMap::new() }
    }

    /// The row of this key.
    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.rows.get(&key)
    }

    /// Reads those of these keys, as a lookup does.
    pub(super) async fn load<DB: Engine, L: Lookup<DB, Key = Key, Found = T>>(
        connection: &mut DB::Connection,
        lookup: L,
        keys: &BTreeSet<Key>,
    ) -> Result<Self, sqlx::Error> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let rows = lookup.select(keys)?.all(connection).await?;
        let rows = rows.iter().map(|row| Ok((lookup.key(row)?, lookup.found(row)?)));
        rows.collect::<Result<_, sqlx::Error>>().map(Self::new)
    }

    /// Takes over more rows as they were read.
    pub(super) fn extend(&mut self, more: Self) {
        self.rows.extend(more.rows);
    }

    /// Takes over a row that is new or has changed.
    pub(super) fn put(&mut self, key: Key, row: T) {
        let before = self.rows.insert(key, row);
        self.before.entry(key).or_insert(before);
    }

    /// Forgets a row that has been deleted.
    pub(super) fn remove(&mut self, key: Key) {
        self.rows.remove(&key);
    }

    /// The rows that are new or have changed: what was there before, if anything, and what is now.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Key, Option<&T>, &T)> {
        let row = |(key, before): (&Key, _)| Some((*key, before, self.rows.get(key)?));
        self.before.iter().map(|(key, before)| (key, before.as_ref())).filter_map(row)
    }
}

/// The statement that reads these fields of a table, of the row of this key.
pub(super) fn select_one<DB: Engine>(
    fields: &str,
    table: &str,
    &(owner, id): &Key,
) -> Statement<DB> {
    let select = format!("select {fields} from {table} where owner_id = $1 and id = $2");
    Statement::new(select).bind(owner).bind(id)
}

/// The statement that reads these fields of a table, of the rows of these keys.
pub(super) fn select<DB: Engine>(
    fields: &str,
    table: &str,
    keys: &BTreeSet<Key>,
) -> Result<Statement<DB>, sqlx::Error> {
    let statement = Statement::<DB>::new(format!(
        "select {fields} from {} cross join {table} where owner_id = key_owner and id = key_id",
        DB::rows(&KEY_COLUMNS)
    ));
    Ok(statement.bind(keys_json(keys)?))
}

/// The key of a row.
pub(super) fn key<DB: Engine>(row: &DB::Row) -> Result<Key, sqlx::Error> {
    Ok((get::<DB, _>(row, "owner_id")?, get::<DB, _>(row, "id")?))
}

/// Keys as the JSON that a statement takes apart.
pub(super) fn keys_json(keys: &BTreeSet<Key>) -> Result<String, sqlx::Error> {
    #[derive(Serialize)]
    struct Row {
        key_owner: Uuid,
        key_id: Uuid,
    }
    json(keys.iter().map(|&(key_owner, key_id)| Row { key_owner, key_id }))
}

/// Owners as the JSON that a statement takes apart.
pub(super) fn owners_json(owners: &[Uuid]) -> Result<String, sqlx::Error> {
    #[derive(Serialize)]
    struct Row {
        key_owner: Uuid,
    }
    json(owners.iter().map(|&key_owner| Row { key_owner }))
}

/// A set of rows as the JSON that a statement takes apart.
pub(super) fn json<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<String, sqlx::Error> {
    let rows: Vec<T> = rows.into_iter().collect();
    serde_json::to_string(&rows).map_err(|fault| sqlx::Error::Encode(Box::new(fault)))
}

/// A time as it is stored.
pub(super) fn time(
    micros: i64,
    table: &'static str,
    column: &'static str,
    id: Uuid,
) -> Result<Time, sqlx::Error> {
    let time = Time::from_micros(micros);
    Ok(time.ok_or(Corrupt { table, column, id: id.to_string() })?)
}
