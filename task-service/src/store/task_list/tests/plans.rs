//! No plan of a list reads what it does not show, whatever the planner knows.

use e2e::on_every_engine;
use shared::{
    clock::Time,
    database::{Database, Engine, Postgres, Sqlite, Statement, get},
};
use uuid::Uuid;

use super::{super::select::Select, Data};
use crate::{
    pages::{Cursor, OrderKey, Page},
    tasks::{Priority, Status, TaskFilter, TaskOrder},
    text::TitlePart,
};

on_every_engine!(
    Data:
    every_list_reads_a_span_of_its_index,
    an_owner_with_one_project_does_not_mislead_the_lists_of_others,
);

const ORDERS: [TaskOrder; 5] = [
    TaskOrder::CreateTime,
    TaskOrder::UpdateTime,
    TaskOrder::DueTime,
    TaskOrder::Priority,
    TaskOrder::Title,
];

/// An engine that says how it would run a statement.
trait Explain: Engine {
    /// Makes other ways look as good as can be to whoever plans for any values.
    async fn tempt(database: &Database<Self>);

    /// The plans that it may choose.
    async fn plans(database: &Database<Self>, statement: Statement<Self>) -> Vec<Vec<String>>;

    /// Whether this line belongs in the plan of a list.
    fn is_expected(line: &str, expected: &Expected) -> bool;
}

/// What a plan is to be like.
#[derive(Debug)]
struct Expected {
    index: String,
    /// The index's columns that the span is entered by.
    entered_by: String,
    spans: usize,
}

impl Explain for Sqlite {
    async fn tempt(_: &Database<Self>) {}

    async fn plans(database: &Database<Self>, statement: Statement<Self>) -> Vec<Vec<String>> {
        let rows = database.read(statement.explained("explain query plan ")).await.unwrap();
        vec![rows.iter().map(|row| get::<Self, _>(row, "detail").unwrap()).collect()]
    }

    fn is_expected(line: &str, expected: &Expected) -> bool {
        let Expected { index, entered_by, .. } = expected;
        let search =
            |covering: &str| format!("SEARCH tasks USING {covering}INDEX {index} ({entered_by})");
        ["MERGE (UNION ALL)", "LEFT", "RIGHT", &search(""), &search("COVERING ")].contains(&line)
    }
}

/// What makes a list of a million tasks look worth more than one process, and worth compiling.
const TEMPTING: [&str; 5] = [
    "jit_above_cost",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "min_parallel_table_scan_size",
    "min_parallel_index_scan_size",
];

impl Explain for Postgres {
    async fn tempt(database: &Database<Self>) {
        let cheap = TEMPTING.map(|tempting| format!("{tempting} = 0"));
        for setting in cheap.into_iter().chain(["plan_cache_mode = force_generic_plan".to_owned()])
        {
            database.read(Statement::new(format!("set {setting}"))).await.unwrap();
        }
    }

    /// The one for these values, and the one for any.
    async fn plans(database: &Database<Self>, statement: Statement<Self>) -> Vec<Vec<String>> {
        let run = async |sql: String| database.read(Statement::<Self>::new(sql)).await.unwrap();
        let sql = statement.sql().to_owned();
        // The costs are shown because what is compiled would not be without them.
        let lines = |rows: Vec<<Self as sqlx::Database>::Row>| {
            let lines = rows.iter().map(|row| get::<Self, String>(row, "QUERY PLAN").unwrap());
            let bare = |line: String| line.split("  (cost=").next().map(str::to_owned);
            lines.filter_map(bare).collect()
        };
        let these = lines(database.read(statement.explained("explain ")).await.unwrap());
        run(format!("prepare listed as {sql}")).await;
        let values = vec!["null"; sql.matches('$').count()].join(", ");
        let any = lines(run(format!("explain execute listed({values})")).await);
        run("deallocate listed".to_owned()).await;
        vec![these, any]
    }

    fn is_expected(line: &str, expected: &Expected) -> bool {
        let line = line.trim_start().trim_start_matches("->").trim_start();
        let scan = format!("using {} on tasks", expected.index);
        // Whatever is not residual must be a condition of the index.
        let spanned = ["owner_id", "project_id", "deleted", "ROW", "due_time >", "due_time <"];
        match line.split_once(": ") {
            Some(("Sort Key" | "Index Cond", _)) => true,
            Some(("Filter", filter)) => !spanned.iter().any(|it| filter.contains(it)),
            Some(_) => false,
            None => {
                ["Limit", "Merge Append"].contains(&line)
                    || (line.starts_with("Index ") && line.contains(&scan))
            }
        }
    }
}

/// What is listed.
struct Case {
    filter: TaskFilter,
    /// Whether the due range is a part of the span.
    due: bool,
}

/// Filters of every kind that the way depends on.
fn cases(order: TaskOrder, project: Uuid) -> Vec<Case> {
    let none = TaskFilter { order, ..TaskFilter::default() };
    let time = |second| Some(Time::from_seconds(second));
    let due = TaskFilter { due_start: time(100), due_end: time(600), ..none.clone() };
    let residual = |filter: TaskFilter| TaskFilter {
        statuses: vec![Status::Todo, Status::Completed],
        priorities: vec![Priority::Urgent],
        title_contains: TitlePart::parse("50%").unwrap(),
        ..filter
    };
    let kinds = [none.clone(), due.clone(), residual(none), residual(due)];
    let mut cases = Vec::new();
    for filter in kinds {
        let due = order == TaskOrder::DueTime && filter.due_start.is_some();
        for project_id in [None, Some(project)] {
            for (show_deleted, descending) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let filter = TaskFilter { project_id, show_deleted, descending, ..filter.clone() };
                cases.push(Case { filter, due });
            }
        }
    }
    cases
}

/// What a plan is to be like for a page that begins and ends at these places.
fn expected(case: &Case, after: bool, until: bool) -> Expected {
    let TaskFilter { order, project_id, show_deleted, descending, .. } = &case.filter;
    let (name, column) = match order {
        TaskOrder::CreateTime => ("create_time", "create_time"),
        TaskOrder::UpdateTime => ("update_time", "update_time"),
        TaskOrder::DueTime => ("due_time", "due_time"),
        TaskOrder::Priority => ("priority", "priority"),
        TaskOrder::Title => ("title", "title_key"),
    };
    let tasks = if project_id.is_some() { "project_tasks" } else { "tasks" };
    let mut entered_by = vec!["owner_id=?".to_owned()];
    entered_by.extend(project_id.map(|_| "project_id=?".to_owned()));
    entered_by.push("deleted=?".to_owned());
    let sides =
        if *descending { [('>', until), ('<', after)] } else { [('>', after), ('<', until)] };
    for (side, place) in sides {
        if place {
            entered_by.push(format!("({column},id){side}(?,?)"));
        } else if case.due {
            entered_by.push(format!("due_time{side}?"));
        }
    }
    Expected {
        index: format!("{tasks}_by_{name}"),
        entered_by: entered_by.join(" AND "),
        spans: 1 + usize::from(*show_deleted),
    }
}

async fn check_all<DB: Explain>(data: &Data<DB>, project: Uuid) {
    DB::tempt(&data.database).await;
    for order in ORDERS {
        let place = |second: i64| {
            let key = match order {
                TaskOrder::Title => OrderKey::Text(format!("title {second}")),
                TaskOrder::CreateTime
                | TaskOrder::UpdateTime
                | TaskOrder::DueTime
                | TaskOrder::Priority => OrderKey::Number(second * 1_000_000),
            };
            Some(Cursor { key, id: Uuid::new_v4() })
        };
        for case in cases(order, project) {
            for after in [None, place(200)] {
                check(data, &case, after.as_ref(), None).await;
                check(data, &case, after.as_ref(), place(500).as_ref()).await;
            }
        }
    }
}

/// Checks a page, and what finds its end.
async fn check<DB: Explain>(
    data: &Data<DB>,
    case: &Case,
    after: Option<&Cursor>,
    until: Option<&Cursor>,
) {
    let (after, until) = if case.filter.descending { (until, after) } else { (after, until) };
    let select = Select { owner: data.owner, filter: &case.filter, after, until };
    if until.is_some() && !select.is_residual() {
        return;
    }
    let expected = expected(case, after.is_some(), until.is_some());
    let page = Page { size: 50, after: None };
    let begins_window = select.is_residual() && until.is_none();
    let statements = [Some(select.page(&page)), begins_window.then(|| select.window_end())];
    for statement in statements.into_iter().flatten() {
        let sql = statement.sql().to_owned();
        for plan in DB::plans(&data.database, statement).await {
            let odd: Vec<_> =
                plan.iter().filter(|line| !DB::is_expected(line, &expected)).collect();
            let spans = plan.iter().filter(|line| line.contains(&expected.index)).count();
            assert!(
                odd.is_empty() && spans == expected.spans,
                "{sql}\n{expected:?}\n{odd:?}\n{plan:#?}"
            );
        }
    }
}

async fn every_list_reads_a_span_of_its_index<DB: Explain>(data: Data<DB>) {
    let projects: Vec<Uuid> = (0..30).map(|_| Uuid::new_v4()).collect();
    check_all(&data, projects[0]).await;
    data.fill(10_000, &projects).await;
    data.copy_to_others(9).await;
    data.analyze().await;
    check_all(&data, projects[0]).await;
}

async fn an_owner_with_one_project_does_not_mislead_the_lists_of_others<DB: Explain>(
    data: Data<DB>,
) {
    let project = Uuid::new_v4();
    data.fill(10_000, &[project]).await;
    data.write("delete from tasks where project_id is null").await;
    data.analyze().await;
    check_all(&data, Uuid::new_v4()).await;
}
