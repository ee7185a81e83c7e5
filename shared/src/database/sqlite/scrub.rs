//! Wipes off the pages of a file what is left on them of rows that are gone.
//!
//! `pragma secure_delete` overwrites a row where it is deleted. But rows move: when SQLite balances its trees it
//! copies them from page to page, and leaves on the old one what it does not need there any more, in the gap
//! between the pointers and the contents (see "B-tree Pages" in SQLite's file format). So the gaps are
//! wiped, through SQLite itself, which shows its pages as the table `sqlite_dbpage`.

use std::ops::Range;

use sqlx::{Sqlite, SqliteConnection};
use tokio::time::{Instant, sleep};

use super::log::CHECKPOINT;
use crate::database::{Database, Engine, Statement, get};

/// How many pages are looked at in one statement.
const PAGES: i64 = 256;
/// How many pages are written in one transaction: the writes of others wait for it, the longer the more often
/// they find that it is not over.
const BATCH: usize = 8;
/// How many times as long others then have for themselves.
const PAUSE: u32 = 2;
/// Beyond this a page of another kind could be taken for one of a tree.
const MOST_PAGES: i64 = 1 << 25;

/// Wipes the whole file.
pub(super) async fn scrub(database: &Database<Sqlite>) -> Result<(), sqlx::Error> {
    let mut connection = database.connect_writer().await?;
    // Better to wait for others than to begin anew.
    let patience = Statement::<Sqlite>::new("pragma busy_timeout = 30000");
    patience.all(&mut connection).await?;
    let (count, vacuum) = pages(&mut connection).await?;
    if count >= MOST_PAGES {
        return Err(sqlx::Error::Protocol("the file is too large to be wiped".to_owned()));
    }
    if vacuum != 0 {
        let fault = "a file with auto_vacuum can not be wiped: turn that off, and vacuum";
        return Err(sqlx::Error::Protocol(fault.to_owned()));
    }
    let mut first = 1;
    while first <= count {
        let last = count.min(first + PAGES - 1);
        // Looking keeps nobody from writing.
        let soiled = read(&mut connection, first, last).await?;
        let soiled: Vec<i64> = soiled
            .into_iter()
            .filter_map(|(number, mut page)| wipe(number, &mut page).then_some(number))
            .collect();
        for batch in soiled.chunks(BATCH) {
            let began = Instant::now();
            wipe_each(&mut connection, batch).await?;
            sleep(began.elapsed() * PAUSE).await;
        }
        if !soiled.is_empty() {
            Statement::<Sqlite>::new(CHECKPOINT).all(&mut connection).await?;
        }
        first = last + 1;
    }
    Ok(())
}

/// Wipes these pages, as they are by then.
async fn wipe_each(connection: &mut SqliteConnection, numbers: &[i64]) -> Result<(), sqlx::Error> {
    Statement::<Sqlite>::new(Sqlite::BEGIN).all(connection).await?;
    for number in numbers {
        for (number, mut page) in read(connection, *number, *number).await? {
            if wipe(number, &mut page) {
                let update = "update sqlite_dbpage set data = $2 where pgno = $1";
                let update = Statement::<Sqlite>::new(update).bind(number).bind(page);
                update.all(connection).await?;
            }
        }
    }
    Statement::<Sqlite>::new("commit").all(connection).await?;
    Ok(())
}

/// How many pages there are; and whether some of them are of a kind that looks like a tree's, and is none:
/// 0 if not.
async fn pages(connection: &mut SqliteConnection) -> Result<(i64, i64), sqlx::Error> {
    let select = "select page_count, auto_vacuum from pragma_page_count, pragma_auto_vacuum";
    let rows = Statement::<Sqlite>::new(select).all(connection).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok((get::<Sqlite, _>(row, "page_count")?, get::<Sqlite, _>(row, "auto_vacuum")?))
}

/// Reads pages. The table finds one page by its number, and no range of them.
async fn read(
    connection: &mut SqliteConnection,
    first: i64,
    last: i64,
) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let select = "with recursive numbers(number) as (
                      select $1 union all select number + 1 from numbers where number < $2
                  )
                  select pgno, data from numbers cross join sqlite_dbpage where pgno = number";
    let select = Statement::<Sqlite>::new(select).bind(first).bind(last);
    let rows = select.all(connection).await?;
    let page = |row| Ok((get::<Sqlite, _>(row, "pgno")?, get::<Sqlite, _>(row, "data")?));
    rows.iter().map(page).collect()
}

/// Wipes the gap of a page, if it is one of a tree; the answer is whether there was anything in it.
fn wipe(number: i64, page: &mut [u8]) -> bool {
    let Some(gap) = gap(number, page).and_then(|gap| page.get_mut(gap)) else { return false };
    let was_soiled = gap.iter().any(|byte| *byte != 0);
    gap.fill(0);
    was_soiled
}

/// Where nothing is that belongs to the page; nothing if it is none of a tree.
fn gap(number: i64, page: &[u8]) -> Option<Range<usize>> {
    // The first page begins with the header of the file.
    let start = if number == 1 { 100 } else { 0 };
    let header = match page.get(start)? {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let cells = usize::from(u16_at(page, start + 3)?);
    let pointers = start + header;
    let gap = pointers + 2 * cells;
    let contents = match u16_at(page, start + 5)? {
        0 => 65_536,
        contents => usize::from(contents),
    };
    let mut cells = (pointers..gap).step_by(2).map(|pointer| u16_at(page, pointer));
    let is_tree = cells.all(|cell| cell.is_some_and(|cell| usize::from(cell) >= contents));
    (is_tree && gap <= contents && contents <= page.len()).then_some(gap..contents)
}

fn u16_at(page: &[u8], place: usize) -> Option<u16> {
    let bytes = page.get(place..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::database::{Migrations, Settings};

    const TABLES: Migrations = Migrations {
        sqlite: &[(
            "tables",
            "create table t (owner int, id int, title text not null, primary key (owner, id)) without rowid;
             create index by_title on t (owner, title, id);
             create index by_id on t (id, title);",
        )],
        postgres: &[],
    };
    /// In each title of the owner who is deleted.
    const MARK: &str = "MARK";
    const OWNERS: i64 = 3;

    /// Numbers that look as if they were chosen by chance.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % most
        }

        fn title(&mut self, owner: i64) -> String {
            let start = self.below(1_000_000);
            let length = if self.below(50) == 0 { 6_000 } else { 5 + self.below(60) };
            let name = if owner == 0 { MARK } else { "other" };
            let filler = "x".repeat(usize::try_from(length).unwrap());
            format!("{start} {name} {filler} {name}")
        }
    }

    async fn run(connection: &mut SqliteConnection, sql: &'static str) {
        Statement::<Sqlite>::new(sql).all(connection).await.unwrap();
    }

    /// Lets owners write among each other, and deletes what one of them has.
    async fn live(connection: &mut SqliteConnection, chance: &mut Chance) {
        run(connection, "begin").await;
        for id in 0..1_200 {
            let owner = i64::try_from(chance.below(u64::try_from(OWNERS).unwrap())).unwrap();
            let insert = "insert into t (owner, id, title) values ($1, $2, $3)";
            let insert = Statement::<Sqlite>::new(insert).bind(owner).bind(id);
            insert.bind(chance.title(owner)).all(connection).await.unwrap();
            if chance.below(3) == 0 {
                let update = "update t set title = $3 where owner = $1 and id = $2";
                let update = Statement::<Sqlite>::new(update).bind(owner).bind(id);
                update.bind(chance.title(owner)).all(connection).await.unwrap();
            }
        }
        run(connection, "commit").await;
        run(connection, "delete from t where owner = 0").await;
    }

    fn marks(path: &Path) -> usize {
        let bytes = fs::read(path).unwrap();
        bytes.windows(MARK.len()).filter(|part| *part == MARK.as_bytes()).count()
    }

    async fn all(connection: &mut SqliteConnection) -> String {
        let select = "select group_concat(owner || id || title) as everything from
                      (select * from t order by owner, id)";
        let rows = Statement::<Sqlite>::new(select).all(connection).await.unwrap();
        get::<Sqlite, _>(&rows[0], "everything").unwrap()
    }

    #[tokio::test]
    async fn what_is_left_of_rows_that_have_moved_is_wiped_and_nothing_else() {
        let mut left = 0;
        for seed in 0..8 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("there.db");
            let url = format!("sqlite://{}", path.display());
            let settings = Settings::new("test", &url).unwrap();
            let database = Database::<Sqlite>::open(&settings, &TABLES).await.unwrap();
            let mut connection = database.connect_writer().await.unwrap();
            live(&mut connection, &mut Chance(seed)).await;
            database.settle().await.unwrap();
            left += marks(&path);
            let before = all(&mut connection).await;
            database.purge().await.unwrap();
            assert_eq!((marks(&path), marks(&path.with_extension("db-wal"))), (0, 0));
            assert_eq!(all(&mut connection).await, before);
            let check = "select integrity_check from pragma_integrity_check";
            let rows = Statement::<Sqlite>::new(check).all(&mut connection).await.unwrap();
            assert_eq!(get::<Sqlite, String>(&rows[0], "integrity_check").unwrap(), "ok");
        }
        assert!(left > 0, "without that, nothing would have to be wiped");
    }

    #[tokio::test]
    async fn a_file_whose_pages_can_not_be_told_apart_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("there.db").display());
        let settings = Settings::new("test", &url).unwrap();
        let database = Database::<Sqlite>::open(&settings, &TABLES).await.unwrap();
        let mut connection = database.connect_writer().await.unwrap();
        for sql in ["pragma auto_vacuum = 2", "vacuum"] {
            run(&mut connection, sql).await;
        }
        let refused = database.purge().await.unwrap_err();
        assert!(refused.to_string().contains("auto_vacuum"), "{refused}");
    }

    #[test]
    fn a_page_that_is_none_of_a_tree_stays_as_it_is() {
        let page = |start: &[u8]| [start, &[7; 4096][start.len()..]].concat();
        // A leaf of no cells, all of it a gap; pages of other kinds; contents that begin before the gap.
        assert_eq!(gap(2, &page(&[13, 0, 0, 0, 0, 16, 0, 0])), Some(8..4096));
        assert_eq!(gap(2, &page(&[2, 0, 0, 0, 0, 16, 0, 0])), Some(12..4096));
        for start in [&[0, 0, 0, 3][..], &[1], &[13, 0, 0, 0, 9, 0, 4], &[13, 0, 0, 0, 0, 32, 0]] {
            assert_eq!(gap(2, &page(start)), None, "{start:?}");
        }
        assert_eq!(gap(2, &[]), None);
        assert_eq!(
            gap(1, &page(&[13, 0, 0, 0, 0, 16, 0, 0])),
            None,
            "the file's header comes first"
        );
    }
}
