//! Lists: filters, orders, pages.

use shared::{clock::Time, database::Engine, trust::Caller};
use task_service::{
    pages::{OrderKey, Page},
    tasks::{Priority, Status, Task, TaskChange, TaskFilter, TaskOrder},
    text::TitlePart,
};
use uuid::Uuid;

use super::{Scene, at, new_project, new_task, on_every_engine, task_in};

on_every_engine!(
    Scene:
    projects_are_listed_once_each_in_the_order_of_creation,
    every_order_returns_every_task_once_at_any_page_size,
    the_filters_keep_what_passes_all_of_them,
    what_is_due_never_comes_last_and_passes_no_due_filter,
    a_walk_survives_writes_between_its_pages,
);

pub(crate) const ORDERS: [TaskOrder; 5] = [
    TaskOrder::CreateTime,
    TaskOrder::UpdateTime,
    TaskOrder::DueTime,
    TaskOrder::Priority,
    TaskOrder::Title,
];

/// Every page of a list.
pub(crate) async fn walk<DB: Engine>(
    scene: &Scene<DB>,
    caller: &Caller,
    filter: &TaskFilter,
    size: usize,
) -> Vec<Task> {
    let (mut all, mut page) = (Vec::new(), Page { size, after: None });
    loop {
        let listed = scene.store.list_tasks(caller, filter, &page).await.unwrap();
        assert!(listed.rows.len() <= size);
        all.extend(listed.rows);
        assert!(all.len() < 1_000, "the walk comes to no end");
        page.after = listed.next;
        if page.after.is_none() {
            return all;
        }
    }
}

/// 40 tasks with few different values, so that ties are common, some of them deleted.
async fn forty_tasks<DB: Engine>(scene: &Scene<DB>) -> Vec<Task> {
    let mut tasks = Vec::new();
    for number in 0..40_u32 {
        let mut new = new_task(["b", "Ä", "B", "a", "ä", "ß", "z"][number as usize % 7]);
        new.status = [Status::Todo, Status::InProgress, Status::Completed][number as usize % 3];
        new.priority = [Priority::Low, Priority::Urgent, Priority::Medium][number as usize / 2 % 3];
        new.due_time = (number % 4 > 0).then(|| at((number % 4).into()));
        if number % 5 == 0 {
            scene.later();
        }
        tasks.push(scene.task(&scene.ann, new).await);
    }
    for number in [3, 17, 18, 30] {
        let id = tasks[number].id;
        tasks[number] = scene.store.delete_task(&scene.ann, None, id, None).await.unwrap();
    }
    let touched = tasks[5].id;
    scene.later();
    tasks[5] = scene
        .store
        .update_task(&scene.ann, None, touched, None, TaskChange::default())
        .await
        .unwrap();
    scene.task(&scene.bob, new_task("bob's")).await;
    tasks
}

/// Those of the tasks that a list is to show, in its order.
fn listed(tasks: &[Task], filter: &TaskFilter) -> Vec<Task> {
    let mut tasks: Vec<Task> = tasks.iter().filter(|task| passes(task, filter)).cloned().collect();
    tasks.sort_by_key(|task| (order_key(task, filter.order), task.id));
    if filter.descending {
        tasks.reverse();
    }
    tasks
}

pub(crate) fn passes(task: &Task, filter: &TaskFilter) -> bool {
    let TaskFilter { project_id, statuses, priorities, due_start, due_end, .. } = filter;
    let part = filter.title_contains.as_ref().map_or("", TitlePart::key);
    let due = |passes: &dyn Fn(Time) -> bool| task.due_time.is_some_and(passes);
    (filter.show_deleted || task.delete_time.is_none())
        && (project_id.is_none() || task.project_id == *project_id)
        && (statuses.is_empty() || statuses.contains(&task.status))
        && (priorities.is_empty() || priorities.contains(&task.priority))
        && due_start.is_none_or(|start| due(&|due| due >= start))
        && due_end.is_none_or(|end| due(&|due| due < end))
        && task.title.key().contains(part)
}

pub(crate) fn order_key(task: &Task, order: TaskOrder) -> OrderKey {
    OrderKey::Number(match order {
        TaskOrder::CreateTime => task.create_time.micros(),
        TaskOrder::UpdateTime => task.update_time.micros(),
        TaskOrder::DueTime => task.due_time.map_or(i64::MAX, Time::micros),
        TaskOrder::Priority => task.priority as i64,
        TaskOrder::Title => return OrderKey::Text(task.title.key()),
    })
}

pub(crate) fn part(text: &str) -> Option<TitlePart> {
    TitlePart::parse(text).unwrap()
}

async fn projects_are_listed_once_each_in_the_order_of_creation<DB: Engine>(scene: Scene<DB>) {
    let mut made = Vec::new();
    for number in 0..7 {
        scene.later();
        made.push(scene.project(&scene.ann, &number.to_string()).await);
    }
    scene.store.create_project(&scene.bob, None, new_project("bob's")).await.unwrap();
    for size in [1, 3, 7, 100] {
        let (mut all, mut page) = (Vec::new(), Page { size, after: None });
        loop {
            let listed = scene.store.list_projects(&scene.ann, &page).await.unwrap();
            all.extend(listed.rows);
            page.after = listed.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(all, made, "pages of {size}");
    }
}

async fn every_order_returns_every_task_once_at_any_page_size<DB: Engine>(scene: Scene<DB>) {
    let tasks = forty_tasks(&scene).await;
    for order in ORDERS {
        for (descending, show_deleted) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let filter = TaskFilter { order, descending, show_deleted, ..TaskFilter::default() };
            let expected = listed(&tasks, &filter);
            assert_eq!(expected.len(), if show_deleted { 40 } else { 36 });
            for size in [1, 7, 36, 40, 100] {
                let all = walk(&scene, &scene.ann, &filter, size).await;
                assert_eq!(all, expected, "{filter:?} in pages of {size}");
            }
        }
    }
}

async fn the_filters_keep_what_passes_all_of_them<DB: Engine>(scene: Scene<DB>) {
    let mut tasks = forty_tasks(&scene).await;
    let project = scene.project(&scene.ann, "p").await;
    for number in 0..8 {
        let mut new = task_in(&project, if number % 2 == 0 { "inside b" } else { "ä" });
        new.status = if number < 3 { Status::Todo } else { Status::Completed };
        new.due_time = Some(at(number));
        let mut task = scene.task(&scene.ann, new).await;
        if number > 5 {
            task = scene.store.delete_task(&scene.ann, None, task.id, None).await.unwrap();
        }
        tasks.push(task);
    }
    // Each combination in one order, so that each part of it is seen in every order.
    for (number, filter) in filters(project.id).into_iter().enumerate() {
        let (order, descending) = (ORDERS[number % 5], number / 5 % 2 == 0);
        let filter = TaskFilter { order, descending, ..filter };
        let all = walk(&scene, &scene.ann, &filter, 4).await;
        assert_eq!(all, listed(&tasks, &filter), "{filter:?}");
    }
}

/// Every combination of these filters.
fn filters(project: Uuid) -> Vec<TaskFilter> {
    let mut filters = vec![TaskFilter::default()];
    let mut each = |variants: &[&dyn Fn(&mut TaskFilter)]| {
        let combined = filters.iter().flat_map(|filter| {
            variants.iter().map(|vary| {
                let mut filter = filter.clone();
                vary(&mut filter);
                filter
            })
        });
        filters = combined.collect();
    };
    each(&[&|_| {}, &|it| it.project_id = Some(project), &|it| {
        it.project_id = Some(Uuid::new_v4());
    }]);
    each(&[&|_| {}, &|it| it.show_deleted = true]);
    each(&[&|_| {}, &|it| it.statuses = vec![Status::Todo], &|it| {
        it.statuses = vec![Status::InProgress, Status::Completed];
    }]);
    each(&[&|_| {}, &|it| it.priorities = vec![Priority::Medium], &|it| {
        it.priorities = vec![Priority::Low, Priority::High, Priority::Urgent];
    }]);
    each(&[&|_| {}, &|it| it.due_start = Some(at(2)), &|it| it.due_end = Some(at(3)), &|it| {
        (it.due_start, it.due_end) = (Some(at(1)), Some(at(3)));
    }]);
    each(&[&|_| {}, &|it| it.title_contains = part("B")]);
    filters
}

async fn what_is_due_never_comes_last_and_passes_no_due_filter<DB: Engine>(scene: Scene<DB>) {
    let never = scene.task(&scene.ann, new_task("never")).await;
    let mut new = new_task("at the end of time");
    new.due_time = Some(Time::MAX);
    let last = scene.task(&scene.ann, new).await;
    let order = TaskOrder::DueTime;
    let filter = TaskFilter { order, ..TaskFilter::default() };
    assert_eq!(walk(&scene, &scene.ann, &filter, 1).await, [last.clone(), never.clone()]);
    let turned = TaskFilter { order, descending: true, ..TaskFilter::default() };
    assert_eq!(walk(&scene, &scene.ann, &turned, 1).await, [never, last.clone()]);
    let due = TaskFilter { due_start: Some(Time::MIN), ..TaskFilter::default() };
    assert_eq!(walk(&scene, &scene.ann, &due, 1).await, [last]);
}

async fn a_walk_survives_writes_between_its_pages<DB: Engine>(scene: Scene<DB>) {
    let tasks = forty_tasks(&scene).await;
    let filter = TaskFilter { order: TaskOrder::Priority, ..TaskFilter::default() };
    let expected = listed(&tasks, &filter);
    let (mut seen, mut page) = (Vec::new(), Page { size: 3, after: None });
    loop {
        let listed = scene.store.list_tasks(&scene.ann, &filter, &page).await.unwrap();
        seen.extend(listed.rows.iter().map(|task| task.id));
        page.after = listed.next;
        if page.after.is_none() {
            break;
        }
        // One that has been seen goes, and a new one comes at the front.
        scene.store.delete_task(&scene.ann, None, listed.rows[0].id, None).await.unwrap();
        let mut new = new_task("new");
        new.priority = Priority::Low;
        scene.task(&scene.ann, new).await;
    }
    for task in expected {
        assert_eq!(seen.iter().filter(|id| **id == task.id).count(), 1);
    }
}
