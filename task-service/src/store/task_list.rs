//! A page of tasks: the one statement that depends on the request.

use shared::{
    clock::Time,
    database::{Database, Engine, Statement},
};
use uuid::Uuid;

use super::{
    page::{limit, read_page},
    tasks::{DUE_NEVER, FIELDS, task},
};
use crate::{
    pages::{Cursor, Page, Rows},
    tasks::{Task, TaskFilter, TaskOrder},
};

/// Reads a page of those that are not deleted and pass the filter, in its order.
pub(super) async fn list<DB: Engine>(
    database: &Database<DB>,
    owner: Uuid,
    filter: &TaskFilter,
    page: &Page,
) -> Result<Rows<Task>, sqlx::Error> {
    let statement = statement(format!("select {FIELDS}"), owner, filter, page);
    let order = filter.order;
    let cursor = move |task: &Task| cursor(task, order);
    read_page(database, statement, page, task::<DB>, Task::text_bytes, cursor).await
}

fn statement<DB: Engine>(
    select: String,
    owner: Uuid,
    filter: &TaskFilter,
    page: &Page,
) -> Statement<DB> {
    let mut statement = Statement::new(select);
    statement.push(" from tasks where owner_id = ").push_bind(owner);
    statement.push(" and deleted = 0");
    push_filter(&mut statement, filter);
    push_order(&mut statement, filter, page.after);
    statement.push(" limit ").push_bind(limit(page));
    statement
}

fn push_filter<DB: Engine>(statement: &mut Statement<DB>, filter: &TaskFilter) {
    if let Some(project) = filter.project_id {
        statement.push(" and project_id = ").push_bind(project);
    }
    if !filter.statuses.is_empty() {
        for (index, status) in filter.statuses.iter().enumerate() {
            statement.push(if index == 0 { " and status in (" } else { ", " });
            statement.push_bind(*status as i64);
        }
        statement.push(")");
    }
    if filter.due_start.is_some() || filter.due_end.is_some() {
        // An end is always given, so that what is due never is left out.
        let (start, end) = (filter.due_start.map(Time::micros), filter.due_end.map(Time::micros));
        statement.push(" and due_time >= ").push_bind(start.unwrap_or(i64::MIN));
        statement.push(" and due_time < ").push_bind(end.unwrap_or(DUE_NEVER));
    }
}

/// The keyset condition and the order that it belongs to.
fn push_order<DB: Engine>(
    statement: &mut Statement<DB>,
    filter: &TaskFilter,
    after: Option<Cursor>,
) {
    let beyond = if filter.descending { "<" } else { ">" };
    let column = column(filter.order);
    match (after, column) {
        (None, _) => {}
        (Some(after), None) => {
            statement.push(&format!(" and id {beyond} ")).push_bind(after.id);
        }
        (Some(after), Some(column)) => {
            statement.push(&format!(" and ({column}, id) {beyond} (")).push_bind(after.key);
            statement.push(", ").push_bind(after.id).push(")");
        }
    }
    let direction = if filter.descending { " desc" } else { "" };
    let first = column.map(|column| format!("{column}{direction}, ")).unwrap_or_default();
    statement.push(&format!(" order by {first}id{direction}"));
}

/// Where the page after this task begins.
fn cursor(task: &Task, order: TaskOrder) -> Cursor {
    let key = match order {
        TaskOrder::CreateTime => 0,
        TaskOrder::UpdateTime => task.update_time.micros(),
        TaskOrder::DueTime => task.due_time.map_or(DUE_NEVER, Time::micros),
        TaskOrder::Priority => task.priority as i64,
    };
    Cursor { key, id: task.id }
}

/// The column that comes before the id. Ids alone are in the order of creation.
fn column(order: TaskOrder) -> Option<&'static str> {
    match order {
        TaskOrder::CreateTime => None,
        TaskOrder::UpdateTime => Some("update_time"),
        TaskOrder::DueTime => Some("due_time"),
        TaskOrder::Priority => Some("priority"),
    }
}

#[cfg(test)]
mod tests {
    use shared::database::{Settings, get};
    use sqlx::Sqlite;

    use super::*;
    use crate::store::MIGRATIONS;

    /// How SQLite, which nobody has told to analyze, would read the tasks.
    async fn plan(database: &Database<Sqlite>, filter: &TaskFilter, deep: bool) -> String {
        let after = deep.then(|| Cursor { key: 5, id: Uuid::new_v4() });
        let page = Page { size: 50, after };
        let select = format!("explain query plan select {FIELDS}");
        let statement = statement::<Sqlite>(select, Uuid::new_v4(), filter, &page);
        let rows = database.read(statement).await.unwrap();
        let details = rows.iter().map(|row| get::<Sqlite, String>(row, "detail").unwrap());
        details.collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn every_order_has_its_index_and_a_project_is_found_by_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("task.db").display());
        let database = Database::<Sqlite>::open(&Settings::new("test", &url).unwrap(), &MIGRATIONS)
            .await
            .unwrap();
        for (order, index) in [
            (TaskOrder::CreateTime, "PRIMARY KEY"),
            (TaskOrder::UpdateTime, "tasks_by_update_time"),
            (TaskOrder::DueTime, "tasks_by_due_time"),
            (TaskOrder::Priority, "tasks_by_priority"),
        ] {
            for (descending, deep) in [(false, false), (false, true), (true, false), (true, true)] {
                let all = TaskFilter { order, descending, ..TaskFilter::default() };
                let plan_of_all = plan(&database, &all, deep).await;
                assert!(plan_of_all.contains(index), "{all:?}: {plan_of_all}");
                assert!(!plan_of_all.contains("TEMP B-TREE"), "{all:?}: {plan_of_all}");
                let project = TaskFilter { project_id: Some(Uuid::new_v4()), ..all };
                let plan_of_project = plan(&database, &project, deep).await;
                assert!(plan_of_project.contains("tasks_by_project"), "{plan_of_project}");
            }
        }
    }
}
