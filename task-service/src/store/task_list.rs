//! A page of tasks, as dear at any depth: the order is that of an index, and a filter that no index
//! serves is looked through in windows.

mod select;
#[cfg(test)]
mod tests;

use shared::database::{Database, Engine, get};
use uuid::Uuid;

use self::select::Select;
use super::{page::read_page, tasks::task};
use crate::{
    pages::{Cursor, OrderKey, Page, Rows},
    tasks::{Task, TaskFilter, TaskOrder},
};

/// How many tasks a page looks through at the most for those that pass a filter without an index.
///
/// A task that is looked at costs 1 to 4 microseconds, so a page where none passes takes 3 to 8 ms and
/// does not hold up the others that read. The end of the window is found in an index alone, a tenth
/// of a microsecond for each task: as much as a page of 50 costs without a filter.
const WINDOW: usize = 2_000;

/// Reads a page of those that pass the filter, in its order.
pub(super) async fn list<DB: Engine>(
    database: &Database<DB>,
    owner: Uuid,
    filter: &TaskFilter,
    page: &Page,
) -> Result<Rows<Task>, sqlx::Error> {
    let mut select = Select { owner, filter, after: page.after.as_ref(), until: None };
    let end = if select.is_residual() { window_end(database, &select).await? } else { None };
    select.until = end.as_ref();
    let order = filter.order;
    let parse = move |row: &DB::Row| Ok((task::<DB>(row)?, place::<DB>(row, order)?));
    let rows = read_page(database, select.page(page), page, parse, Task::text_bytes).await?;
    Ok(rows.looked_for_up_to(end))
}

/// The last place that the page looks at; `None` when that is the last there is. What comes and goes
/// before the page itself is read does not matter: the window is a part of the order, whoever is in it.
async fn window_end<DB: Engine>(
    database: &Database<DB>,
    select: &Select<'_>,
) -> Result<Option<Cursor>, sqlx::Error> {
    let order = select.filter.order;
    let rows = database.read(select.window_end()).await?;
    rows.first().map(|row| place::<DB>(row, order)).transpose()
}

/// The place of a row, by the key that is stored: what a title's key is made of may change with the
/// service.
fn place<DB: Engine>(row: &DB::Row, order: TaskOrder) -> Result<Cursor, sqlx::Error> {
    let column = select::column(order);
    let key = match order {
        TaskOrder::Title => OrderKey::Text(get::<DB, _>(row, column)?),
        TaskOrder::CreateTime
        | TaskOrder::UpdateTime
        | TaskOrder::DueTime
        | TaskOrder::Priority => OrderKey::Number(get::<DB, _>(row, column)?),
    };
    Ok(Cursor { key, id: get::<DB, _>(row, "id")? })
}
