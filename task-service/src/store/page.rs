//! Reads a page: no more of it than is answered.

use std::ops::ControlFlow;

use shared::database::{Database, Engine, Statement};

use crate::pages::{Cursor, Page, Rows};

/// How many rows to ask for: one more than the page has, to see whether there is a next.
pub(super) fn limit(page: &Page) -> i64 {
    i64::try_from(page.size).map_or(i64::MAX, |size| size.saturating_add(1))
}

/// Reads rows until the page is full. `parse` makes what they hold, of which `bytes` is the size,
/// and their place in the list.
pub(super) async fn read_page<DB: Engine, T: Send + 'static>(
    database: &Database<DB>,
    statement: Statement<DB>,
    page: &Page,
    parse: impl Fn(&DB::Row) -> Result<(T, Cursor), sqlx::Error> + Send + 'static,
    bytes: impl Fn(&T) -> usize + Send + 'static,
) -> Result<Rows<T>, sqlx::Error> {
    let start = (Rows::of(page.size), None);
    let take = move |(rows, fault): &mut (Rows<T>, Option<sqlx::Error>), row| match parse(&row) {
        Ok((row, place)) => {
            let size = bytes(&row);
            rows.take(row, size, place)
        }
        Err(error) => {
            *fault = Some(error);
            ControlFlow::Break(())
        }
    };
    let (rows, fault) = database.read_each(statement, start, take).await?;
    fault.map_or(Ok(rows), Err)
}
