//! What a list of tasks is asked for.

use std::fmt::Display;

use shared::{clock::Time, fields::Violations, pb::task::ListTasksRequest, trust::Caller};
use uuid::Uuid;

use super::wire::{optional_id, optional_time, priority, status};
use crate::{
    tasks::{TaskFilter, TaskOrder},
    text::TitlePart,
};

/// An order that tasks do not have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "must be create_time, update_time, due_time, priority or title, and \" desc\" after it at most"
)]
struct OrderFault;

/// How many statuses a filter may name: each of them once.
const MOST_STATUSES: usize = 3;
/// The same of priorities.
const MOST_PRIORITIES: usize = 4;

/// Which tasks a list asks for, in which order.
pub(super) fn filter(request: &ListTasksRequest, bad: &mut Violations) -> Option<TaskFilter> {
    let project_id = bad.check("project_id", optional_id(&request.project_id));
    let order = bad.check("order_by", order(&request.order_by));
    let due = due_range(request, bad);
    let statuses = one_of("statuses", &request.statuses, MOST_STATUSES, status, bad);
    let priorities = one_of("priorities", &request.priorities, MOST_PRIORITIES, priority, bad);
    let title_contains = bad.check("title_contains", TitlePart::parse(&request.title_contains));
    let (order, descending) = order?;
    let (due_start, due_end) = due?;
    Some(TaskFilter {
        project_id: project_id?,
        statuses: statuses?,
        priorities: priorities?,
        due_start,
        due_end,
        title_contains: title_contains?,
        show_deleted: request.show_deleted,
        order,
        descending,
    })
}

fn due_range(
    request: &ListTasksRequest,
    bad: &mut Violations,
) -> Option<(Option<Time>, Option<Time>)> {
    let start = bad.check("due_start_time", optional_time(request.due_start_time));
    let end = bad.check("due_end_time", optional_time(request.due_end_time));
    let (start, end) = start.zip(end)?;
    if start.zip(end).is_some_and(|(start, end)| start >= end) {
        bad.add("due_end_time", "must be after due_start_time");
    }
    Some((start, end))
}

/// Those of which a task must have one, in an order that does not depend on the request's.
fn one_of<T: Ord, E: Display>(
    field: &str,
    numbers: &[i32],
    most: usize,
    parse: impl Fn(i32) -> Result<T, E>,
    bad: &mut Violations,
) -> Option<Vec<T>> {
    if numbers.len() > most {
        bad.add(field, format!("must be at most {most}"));
    }
    let numbers = numbers.iter().take(most).enumerate();
    // Each is looked at before any decides: collecting options at once would stop at the first.
    let values: Vec<_> = numbers
        .map(|(index, number)| bad.check(&format!("{field}[{index}]"), parse(*number)))
        .collect();
    let mut values: Vec<T> = values.into_iter().collect::<Option<_>>()?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}

fn order(text: &str) -> Result<(TaskOrder, bool), OrderFault> {
    // Redundant spaces mean nothing (AIP-132).
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let (name, descending) = match words[..] {
        [] => ("create_time", false),
        [name] => (name, false),
        [name, "desc"] => (name, true),
        _ => return Err(OrderFault),
    };
    let order = match name {
        "create_time" => TaskOrder::CreateTime,
        "update_time" => TaskOrder::UpdateTime,
        "due_time" => TaskOrder::DueTime,
        "priority" => TaskOrder::Priority,
        "title" => TaskOrder::Title,
        _ => return Err(OrderFault),
    };
    Ok((order, descending))
}

/// What a page token of this list is bound to.
pub(super) fn context(caller: &Caller, filter: &TaskFilter) -> String {
    let TaskFilter {
        project_id,
        statuses,
        priorities,
        due_start,
        due_end,
        title_contains,
        show_deleted,
        order,
        descending,
    } = filter;
    let parts = (
        project_id.as_ref().map(Uuid::as_u128),
        statuses.iter().map(|status| *status as i64).collect::<Vec<_>>(),
        priorities.iter().map(|priority| *priority as i64).collect::<Vec<_>>(),
        due_start.map(Time::micros),
        due_end.map(Time::micros),
        title_contains.as_ref().map(TitlePart::key),
        show_deleted,
        *order as i64,
        descending,
    );
    format!("ListTasks {} {parts:?}", caller.user_id())
}
