//! The one statement that depends on the request.
//!
//! Each order has an index for all tasks and one for those of a project. Both have `deleted` before
//! the order key, so that a page never passes by what is not asked for. Everything here is written so
//! that no planner can do otherwise, whatever it knows or believes of the data.

use shared::{
    clock::Time,
    database::{Engine, Statement},
};
use uuid::Uuid;

use super::WINDOW;
use crate::{
    pages::{Cursor, OrderKey, Page},
    store::{
        page::limit,
        tasks::{DUE_NEVER, FIELDS},
    },
    tasks::{TaskFilter, TaskOrder},
};

/// Whose tasks are read, which of them, and from where to where in their order.
#[derive(Debug)]
pub(super) struct Select<'a> {
    pub(super) owner: Uuid,
    pub(super) filter: &'a TaskFilter,
    /// The last place that has been read.
    pub(super) after: Option<&'a Cursor>,
    /// The last place that is to be read.
    pub(super) until: Option<&'a Cursor>,
}

/// Which rows of the span are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Those that pass the filter.
    Passing,
    /// All.
    Any,
}

impl Select<'_> {
    /// The rows of a page.
    pub(super) fn page<DB: Engine>(&self, page: &Page) -> Statement<DB> {
        let fields = match self.filter.order {
            TaskOrder::Title => format!("{FIELDS}, title_key"),
            TaskOrder::CreateTime
            | TaskOrder::UpdateTime
            | TaskOrder::DueTime
            | TaskOrder::Priority => FIELDS.to_owned(),
        };
        let mut statement = self.rows(&fields, Wanted::Passing);
        statement.push(" limit ").push_bind(limit(page));
        statement
    }

    /// The place that the window ends at, out of the index alone.
    pub(super) fn window_end<DB: Engine>(&self) -> Statement<DB> {
        let key = format!("{}, id", column(self.filter.order));
        let mut statement = self.rows(&key, Wanted::Any);
        statement.push(&format!(" limit 1 offset {}", WINDOW - 1));
        statement
    }

    /// Whether the filter has a part that no index serves.
    pub(super) fn is_residual(&self) -> bool {
        let TaskFilter { statuses, priorities, title_contains, .. } = self.filter;
        !statuses.is_empty()
            || !priorities.is_empty()
            || title_contains.is_some()
            || (self.has_due_range() && self.filter.order != TaskOrder::DueTime)
    }

    fn has_due_range(&self) -> bool {
        self.filter.due_start.is_some() || self.filter.due_end.is_some()
    }

    /// The rows in their order. Those that are deleted and those that are not are two spans of the
    /// index, which are merged. Each has its order stated: PostgreSQL would else sort the whole.
    fn rows<DB: Engine>(&self, columns: &str, wanted: Wanted) -> Statement<DB> {
        let mut statement = Statement::new("");
        if !self.filter.show_deleted {
            self.push_span(&mut statement, columns, 0, wanted);
            return statement;
        }
        statement.push("select ").push(columns).push(" from (");
        self.push_span(&mut statement, columns, 0, wanted);
        statement.push(") as kept union all select ").push(columns).push(" from (");
        self.push_span(&mut statement, columns, 1, wanted);
        statement.push(") as gone").push(&self.order_by());
        statement
    }

    fn push_span<DB: Engine>(
        &self,
        statement: &mut Statement<DB>,
        columns: &str,
        deleted: u8,
        wanted: Wanted,
    ) {
        statement.push("select ").push(columns).push(" from tasks where owner_id = ");
        statement.push_bind(self.owner);
        if let Some(project) = self.filter.project_id {
            // Said twice, or a plan for any project is made for the average one: where one has all
            // the tasks, that reads an owner's every task to find those of another.
            statement.push(" and project_id = ").push_bind(project);
            statement.push(" and project_id between ").push_bind(project);
            statement.push(" and ").push_bind(project);
        }
        statement.push(&format!(" and deleted = {deleted}"));
        self.push_edges(statement);
        if wanted == Wanted::Passing {
            self.push_residual(statement);
        }
        statement.push(&self.order_by());
    }

    /// Where the span begins and ends. Each side has one condition: of two an engine would enter the
    /// index by the one that it likes better, and read all that is between them.
    fn push_edges<DB: Engine>(&self, statement: &mut Statement<DB>) {
        let (beyond, up_to) = if self.filter.descending { ("<", ">=") } else { (">", "<=") };
        match self.after {
            Some(after) => self.push_place(statement, beyond, after),
            None if self.filter.descending => self.push_due_end(statement),
            None => self.push_due_start(statement),
        }
        match self.until {
            Some(until) => self.push_place(statement, up_to, until),
            None if self.filter.descending => self.push_due_start(statement),
            None => self.push_due_end(statement),
        }
    }

    fn push_place<DB: Engine>(&self, statement: &mut Statement<DB>, side: &str, place: &Cursor) {
        let column = column(self.filter.order);
        statement.push(&format!(" and ({column}, id) {side} ("));
        match &place.key {
            OrderKey::Number(number) => statement.push_bind(*number),
            OrderKey::Text(text) => statement.push_bind(text.clone()),
        };
        statement.push(", ").push_bind(place.id).push(")");
    }

    fn push_due_start<DB: Engine>(&self, statement: &mut Statement<DB>) {
        if self.has_due_range() && self.filter.order == TaskOrder::DueTime {
            statement.push(" and due_time >= ").push_bind(self.due_start());
        }
    }

    fn push_due_end<DB: Engine>(&self, statement: &mut Statement<DB>) {
        if self.has_due_range() && self.filter.order == TaskOrder::DueTime {
            statement.push(" and due_time < ").push_bind(self.due_end());
        }
    }

    fn due_start(&self) -> i64 {
        self.filter.due_start.map_or(i64::MIN, Time::micros)
    }

    /// There is always an end, so that what is due never is left out.
    fn due_end(&self) -> i64 {
        self.filter.due_end.map_or(DUE_NEVER, Time::micros)
    }

    /// What each row of the span is asked. `+ 0` keeps it from looking like a way into an index.
    fn push_residual<DB: Engine>(&self, statement: &mut Statement<DB>) {
        let TaskFilter { statuses, priorities, title_contains, .. } = self.filter;
        push_in::<_, 3>(statement, "status", statuses.iter().map(|it| *it as i64));
        push_in::<_, 4>(statement, "priority", priorities.iter().map(|it| *it as i64));
        if let Some(part) = title_contains {
            statement.push(" and title_key like ").push_bind(containing(part.key()));
            statement.push(r" escape '\'");
        }
        if self.has_due_range() && self.filter.order != TaskOrder::DueTime {
            statement.push(" and due_time + 0 >= ").push_bind(self.due_start());
            statement.push(" and due_time + 0 < ").push_bind(self.due_end());
        }
    }

    fn order_by(&self) -> String {
        let direction = if self.filter.descending { " desc" } else { "" };
        format!(" order by {}{direction}, id{direction}", column(self.filter.order))
    }
}

/// The column that comes before the id in an order.
pub(super) fn column(order: TaskOrder) -> &'static str {
    match order {
        TaskOrder::CreateTime => "create_time",
        TaskOrder::UpdateTime => "update_time",
        TaskOrder::DueTime => "due_time",
        TaskOrder::Priority => "priority",
        TaskOrder::Title => "title_key",
    }
}

/// Asks for one of up to `MOST` numbers, if there are any. There is one text for any count of them, as
/// the connections keep a hundred statements prepared: the last is said again.
fn push_in<DB: Engine, const MOST: usize>(
    statement: &mut Statement<DB>,
    column: &str,
    numbers: impl Iterator<Item = i64> + Clone,
) {
    let Some(last) = numbers.clone().last() else { return };
    let padded = numbers.chain(std::iter::repeat(last)).take(MOST);
    for (index, number) in padded.enumerate() {
        statement.push(if index == 0 { " and " } else { ", " });
        if index == 0 {
            statement.push(column).push(" + 0 in (");
        }
        statement.push_bind(number);
    }
    statement.push(")");
}

/// The pattern that every text matches that contains this one.
fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "%"
}
