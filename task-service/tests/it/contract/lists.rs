//! Lists: filters, orders, pages.

use shared::{clock::Time, database::Engine, trust::Caller};
use task_service::{
    pages::Page,
    tasks::{Priority, Status, Task, TaskChange, TaskFilter, TaskOrder},
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

const ORDERS: [TaskOrder; 4] =
    [TaskOrder::CreateTime, TaskOrder::UpdateTime, TaskOrder::DueTime, TaskOrder::Priority];

/// Every page of a list.
async fn walk<DB: Engine>(
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
        let mut new = new_task(&number.to_string());
        new.status = [Status::Todo, Status::InProgress, Status::Completed][number as usize % 3];
        new.priority = [Priority::Low, Priority::Urgent, Priority::Medium][number as usize / 2 % 3];
        new.due_time = (number % 4 > 0).then(|| at((number % 4).into()));
        if number % 5 == 0 {
            scene.later();
        }
        tasks.push(scene.task(&scene.ann, new).await);
    }
    for number in [3, 17] {
        scene.store.delete_task(&scene.ann, None, tasks[number].id, None).await.unwrap();
    }
    let touched = tasks[5].id;
    scene.later();
    tasks[5] = scene
        .store
        .update_task(&scene.ann, None, touched, None, TaskChange::default())
        .await
        .unwrap();
    tasks.remove(17);
    tasks.remove(3);
    scene.task(&scene.bob, new_task("bob's")).await;
    tasks
}

fn sorted(mut tasks: Vec<Task>, order: TaskOrder, descending: bool) -> Vec<Task> {
    tasks.sort_by_key(|task| {
        let key = match order {
            TaskOrder::CreateTime => task.create_time.micros(),
            TaskOrder::UpdateTime => task.update_time.micros(),
            TaskOrder::DueTime => task.due_time.map_or(i64::MAX, Time::micros),
            TaskOrder::Priority => task.priority as i64,
        };
        (key, task.id)
    });
    if descending {
        tasks.reverse();
    }
    tasks
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
        for descending in [false, true] {
            let filter = TaskFilter { order, descending, ..TaskFilter::default() };
            let expected = sorted(tasks.clone(), order, descending);
            for size in [1, 7, 38, 100] {
                let all = walk(&scene, &scene.ann, &filter, size).await;
                assert_eq!(all, expected, "{order:?} {descending} in pages of {size}");
            }
        }
    }
}

async fn the_filters_keep_what_passes_all_of_them<DB: Engine>(scene: Scene<DB>) {
    let mut tasks = forty_tasks(&scene).await;
    let project = scene.project(&scene.ann, "p").await;
    for number in 0..6 {
        let mut new = task_in(&project, "inside");
        new.status = if number < 3 { Status::Todo } else { Status::Completed };
        new.due_time = Some(at(number));
        tasks.push(scene.task(&scene.ann, new).await);
    }
    let projects = [None, Some(project.id), Some(Uuid::new_v4())];
    let statuses = [vec![], vec![Status::Todo], vec![Status::InProgress, Status::Completed]];
    let ranges = [(None, None), (Some(2), None), (None, Some(3)), (Some(1), Some(3))];
    for project_id in projects {
        for statuses in &statuses {
            for (start, end) in ranges {
                let (due_start, due_end) = (start.map(at), end.map(at));
                let statuses = statuses.clone();
                let filter = TaskFilter {
                    project_id,
                    statuses,
                    due_start,
                    due_end,
                    ..TaskFilter::default()
                };
                let passes = |task: &&Task| {
                    (project_id.is_none() || task.project_id == project_id)
                        && (filter.statuses.is_empty() || filter.statuses.contains(&task.status))
                        && (due_start
                            .is_none_or(|start| task.due_time.is_some_and(|due| due >= start)))
                        && (due_end.is_none_or(|end| task.due_time.is_some_and(|due| due < end)))
                };
                let expected: Vec<Task> = tasks.iter().filter(passes).cloned().collect();
                for order in ORDERS {
                    let filter = TaskFilter { order, ..filter.clone() };
                    let all = walk(&scene, &scene.ann, &filter, 4).await;
                    assert_eq!(all, sorted(expected.clone(), order, false), "{filter:?}");
                }
            }
        }
    }
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
    let expected = sorted(tasks, TaskOrder::Priority, false);
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
