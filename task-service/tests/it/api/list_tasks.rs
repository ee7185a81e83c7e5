//! `TaskService.ListTasks`.

use e2e::{Engine, Person, on_every_engine, refused};
use prost_types::Timestamp;
use shared::pb::task::{
    CreateTaskRequest, DeleteProjectRequest, DeleteTaskRequest, ListTasksRequest, Task,
    TaskPriority, TaskStatus,
};
use tonic::Code;

use super::{ELSEWHERE, Scene, create_project, create_task, invalid, titled};

on_every_engine!(
    every_order_in_pages_of_any_size,
    the_filters_keep_what_passes_all_of_them,
    a_page_token_is_good_for_its_caller_filter_and_order,
    every_violation_is_reported,
    a_part_of_a_title_has_its_limits,
    the_project_must_be_the_callers_own,
    a_page_has_fifty_tasks_unless_told_and_a_thousand_at_most,
    a_page_ends_before_it_is_too_large_for_a_client,
    the_order_of_statuses_and_priorities_does_not_matter,
    what_is_deleted_is_listed_though_its_project_is_gone,
    a_walk_through_a_project_that_goes_meanwhile_ends_with_what_is_left,
    a_title_is_a_page_token_of_any_length,
);

/// Seven tasks of ann's that differ in everything, one of them deleted, and one of bob's.
async fn seven(scene: &mut Scene) -> String {
    let project = create_project(&mut scene.ann, "p").await.id;
    for number in 0..7_i32 {
        scene.auth.clock.advance(std::time::Duration::from_millis(1));
        let task = Task {
            project_id: if number % 2 == 0 { project.clone() } else { String::new() },
            status: number % 3 + 1,
            priority: 4 - number % 4,
            due_time: (number > 1)
                .then_some(Timestamp { seconds: 10 - i64::from(number), nanos: 0 }),
            ..titled(&number.to_string())
        };
        let task = create_task(&mut scene.ann, task).await;
        if number == 4 {
            let request =
                DeleteTaskRequest { id: task.id, etag: String::new(), ..Default::default() };
            scene.ann.tasks.delete_task(request).await.unwrap();
        }
    }
    create_task(&mut scene.bob, titled("bob's")).await;
    project
}

/// The titles of every page together.
async fn walk(person: &mut Person, request: ListTasksRequest) -> String {
    let (mut titles, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListTasksRequest { page_token, ..request.clone() };
        let page = person.tasks.list_tasks(request).await.unwrap().into_inner();
        titles.extend(page.tasks.into_iter().map(|task| task.title));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return titles.join(" ");
        }
    }
}

async fn every_order_in_pages_of_any_size(on: Engine) {
    let mut scene = Scene::new(on).await;
    seven(&mut scene).await;
    for (order_by, expected) in [
        ("", "0 1 2 3 5 6"),
        ("create_time", "0 1 2 3 5 6"),
        ("create_time desc", "6 5 3 2 1 0"),
        ("update_time", "0 1 2 3 5 6"),
        ("update_time desc", "6 5 3 2 1 0"),
        ("due_time", "6 5 3 2 0 1"),
        ("due_time desc", "1 0 2 3 5 6"),
        ("priority", "3 2 6 1 5 0"),
        ("priority desc", "0 5 1 6 2 3"),
        (" priority   desc ", "0 5 1 6 2 3"),
        ("  ", "0 1 2 3 5 6"),
        ("title", "0 1 2 3 5 6"),
        ("title desc", "6 5 3 2 1 0"),
    ] {
        for page_size in [1, 4, 6, 0] {
            let order_by = order_by.to_owned();
            let request = ListTasksRequest { page_size, order_by, ..ListTasksRequest::default() };
            let titles = walk(&mut scene.ann, request.clone()).await;
            assert_eq!(titles, expected, "{request:?}");
        }
    }
}

async fn the_filters_keep_what_passes_all_of_them(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project_id = seven(&mut scene).await;
    let any = ListTasksRequest { page_size: 2, ..ListTasksRequest::default() };
    let due = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let inside = ListTasksRequest { project_id, ..any.clone() };
    let (todo, completed) = (TaskStatus::Todo as i32, TaskStatus::Completed as i32);
    for (request, expected) in [
        (inside.clone(), "0 2 6"),
        (ListTasksRequest { statuses: vec![todo], ..any.clone() }, "0 3 6"),
        (ListTasksRequest { statuses: vec![todo, completed], ..any.clone() }, "0 2 3 5 6"),
        (ListTasksRequest { statuses: vec![todo, todo], ..inside.clone() }, "0 6"),
        (ListTasksRequest { due_start_time: due(5), ..any.clone() }, "2 3 5"),
        (ListTasksRequest { due_end_time: due(5), ..any.clone() }, "6"),
        (ListTasksRequest { due_start_time: due(5), due_end_time: due(8), ..any.clone() }, "3 5"),
        (ListTasksRequest { due_end_time: due(5), ..inside.clone() }, "6"),
        (ListTasksRequest { due_start_time: due(100), ..any.clone() }, ""),
        (ListTasksRequest { priorities: vec![4, 1, 4], ..any.clone() }, "0 3"),
        (ListTasksRequest { priorities: vec![3, 4], ..inside.clone() }, "0"),
        (ListTasksRequest { show_deleted: true, ..any.clone() }, "0 1 2 3 4 5 6"),
        (ListTasksRequest { show_deleted: true, ..inside.clone() }, "0 2 4 6"),
        (ListTasksRequest { show_deleted: true, priorities: vec![4], ..any.clone() }, "0 4"),
        (ListTasksRequest { title_contains: "5".to_owned(), ..any.clone() }, "5"),
        (ListTasksRequest { title_contains: "%".to_owned(), ..any.clone() }, ""),
    ] {
        assert_eq!(walk(&mut scene.ann, request.clone()).await, expected, "{request:?}");
    }
}

async fn a_page_token_is_good_for_its_caller_filter_and_order(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project_id = seven(&mut scene).await;
    let first = ListTasksRequest { page_size: 1, ..ListTasksRequest::default() };
    let page = scene.ann.tasks.list_tasks(first.clone()).await.unwrap().into_inner();
    let next = ListTasksRequest { page_token: page.next_page_token.clone(), ..first };
    assert_eq!(invalid(scene.bob.tasks.list_tasks(next.clone()).await), ["page_token"]);
    let time = Some(Timestamp { seconds: 1, nanos: 0 });
    for other in [
        ListTasksRequest { project_id, ..next.clone() },
        ListTasksRequest { statuses: vec![1, 2], ..next.clone() },
        ListTasksRequest { due_start_time: time, ..next.clone() },
        ListTasksRequest { due_end_time: time, ..next.clone() },
        ListTasksRequest { priorities: vec![1, 2], ..next.clone() },
        ListTasksRequest { title_contains: "0".to_owned(), ..next.clone() },
        ListTasksRequest { show_deleted: true, ..next.clone() },
        ListTasksRequest { order_by: "priority".to_owned(), ..next.clone() },
        ListTasksRequest { order_by: "create_time desc".to_owned(), ..next.clone() },
        ListTasksRequest { page_token: format!("{}A", next.page_token), ..next.clone() },
        ListTasksRequest { page_token: "\0".to_owned(), ..next.clone() },
    ] {
        assert_eq!(invalid(scene.ann.tasks.list_tasks(other).await), ["page_token"]);
    }
    let larger = ListTasksRequest { page_size: 100, ..next };
    assert_eq!(scene.ann.tasks.list_tasks(larger).await.unwrap().into_inner().tasks.len(), 5);
}

async fn every_violation_is_reported(on: Engine) {
    let mut scene = Scene::new(on).await;
    let request = ListTasksRequest {
        page_size: -1,
        page_token: "x".to_owned(),
        order_by: "title; drop table tasks".to_owned(),
        project_id: "x".to_owned(),
        statuses: vec![1, 0, 9],
        priorities: vec![5, 4, -1],
        title_contains: "line\nfeed".to_owned(),
        due_start_time: Some(Timestamp { seconds: 0, nanos: -1 }),
        due_end_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        ..Default::default()
    };
    assert_eq!(
        invalid(scene.ann.tasks.list_tasks(request).await),
        [
            "project_id",
            "order_by",
            "due_start_time",
            "due_end_time",
            "statuses[1]",
            "statuses[2]",
            "priorities[0]",
            "priorities[2]",
            "title_contains",
            "page_size",
            "page_token"
        ]
    );
    for order_by in ["desc", " desc", "priority desc desc", "priority asc", "PRIORITY", "id", "a\0"]
    {
        let request =
            ListTasksRequest { order_by: order_by.to_owned(), ..ListTasksRequest::default() };
        assert_eq!(
            invalid(scene.ann.tasks.list_tasks(request).await),
            ["order_by"],
            "{order_by:?}"
        );
    }
    let same = Some(Timestamp { seconds: 5, nanos: 0 });
    let empty = ListTasksRequest {
        due_start_time: same,
        due_end_time: same,
        statuses: vec![1; 4],
        priorities: vec![1; 5],
        ..ListTasksRequest::default()
    };
    assert_eq!(
        invalid(scene.ann.tasks.list_tasks(empty).await),
        ["due_end_time", "statuses", "priorities"]
    );
}

async fn a_part_of_a_title_has_its_limits(on: Engine) {
    let mut scene = Scene::new(on).await;
    let long = "🦀".repeat(200);
    create_task(&mut scene.ann, titled(&long)).await;
    create_task(&mut scene.ann, titled("t")).await;
    let containing = |part: &str| ListTasksRequest {
        title_contains: part.to_owned(),
        ..ListTasksRequest::default()
    };
    assert_eq!(walk(&mut scene.ann, containing(&long)).await, long);
    for bad in ["nul\0", "tab\t", "\u{7f}", "\u{9b}", &"é".repeat(201)] {
        let answer = scene.ann.tasks.list_tasks(containing(bad)).await;
        assert_eq!(invalid(answer), ["title_contains"], "{bad:?}");
    }
}

async fn the_project_must_be_the_callers_own(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project_id = create_project(&mut scene.bob, "bob's").await.id;
    let of = |project_id: &str| ListTasksRequest {
        project_id: project_id.to_owned(),
        ..ListTasksRequest::default()
    };
    let foreign = refused(scene.ann.tasks.list_tasks(of(&project_id)).await);
    let missing = refused(scene.ann.tasks.list_tasks(of(ELSEWHERE)).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));
    let own = scene.bob.tasks.list_tasks(of(&project_id)).await.unwrap().into_inner();
    assert_eq!((own.tasks, own.next_page_token), (vec![], String::new()));
}

async fn a_page_has_fifty_tasks_unless_told_and_a_thousand_at_most(on: Engine) {
    let mut scene = Scene::new(on).await;
    let urgent = Task { priority: TaskPriority::Urgent.into(), ..titled("t") };
    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..1_001 {
        let (mut ann, task) = (scene.ann.clone(), urgent.clone());
        writes.spawn(async move {
            ann.tasks
                .create_task(CreateTaskRequest { task: Some(task), ..Default::default() })
                .await
                .unwrap();
        });
    }
    writes.join_all().await;
    for (page_size, expected) in [(0, 50), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
        let request = ListTasksRequest { page_size, ..ListTasksRequest::default() };
        let page = scene.ann.tasks.list_tasks(request).await.unwrap().into_inner();
        assert_eq!(page.tasks.len(), expected);
        assert!(!page.next_page_token.is_empty());
    }
}

async fn a_page_ends_before_it_is_too_large_for_a_client(on: Engine) {
    let mut scene = Scene::new(on).await;
    let large = Task { description: "🦀".repeat(10_000), ..titled("t") };
    for _ in 0..60 {
        create_task(&mut scene.ann, large.clone()).await;
    }
    let request = ListTasksRequest { page_size: 1_000, ..ListTasksRequest::default() };
    let first = scene.ann.tasks.list_tasks(request.clone()).await.unwrap().into_inner();
    assert!((20..60).contains(&first.tasks.len()), "{}", first.tasks.len());
    assert_eq!(walk(&mut scene.ann, request).await.split(' ').count(), 60);
}

async fn the_order_of_statuses_and_priorities_does_not_matter(on: Engine) {
    let mut scene = Scene::new(on).await;
    seven(&mut scene).await;
    let first = ListTasksRequest {
        page_size: 1,
        statuses: vec![3, 1],
        priorities: vec![4, 2, 3],
        ..Default::default()
    };
    let page = scene.ann.tasks.list_tasks(first).await.unwrap().into_inner();
    let next = ListTasksRequest {
        page_size: 10,
        page_token: page.next_page_token,
        statuses: vec![1, 3, 3],
        priorities: vec![2, 3, 4, 4],
        ..Default::default()
    };
    assert_eq!(scene.ann.tasks.list_tasks(next).await.unwrap().into_inner().tasks.len(), 3);
}

async fn a_title_is_a_page_token_of_any_length(on: Engine) {
    let mut scene = Scene::new(on).await;
    for title in ["ΐ", "b", "🦀"] {
        create_task(&mut scene.ann, titled(&title.repeat(200))).await;
    }
    let order_by = "title desc".to_owned();
    let request = ListTasksRequest { page_size: 1, order_by, ..Default::default() };
    let titles = walk(&mut scene.ann, request).await;
    assert_eq!(titles, ["🦀", "ΐ", "b"].map(|title| title.repeat(200)).join(" "));
}

async fn what_is_deleted_is_listed_though_its_project_is_gone(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project_id = seven(&mut scene).await;
    let gone = DeleteProjectRequest { id: project_id.clone(), force: true, ..Default::default() };
    scene.ann.projects.delete_project(gone).await.unwrap();
    let of_project = ListTasksRequest { project_id, page_size: 1, ..Default::default() };
    let all = ListTasksRequest { show_deleted: true, ..of_project.clone() };
    assert_eq!(walk(&mut scene.ann, all.clone()).await, "0 2 4 6");
    let todo = ListTasksRequest { statuses: vec![TaskStatus::Todo.into()], ..all };
    assert_eq!(walk(&mut scene.ann, todo).await, "0 6");
    let missing = refused(scene.ann.tasks.list_tasks(of_project).await);
    assert_eq!(missing.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));
}

async fn a_walk_through_a_project_that_goes_meanwhile_ends_with_what_is_left(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project_id = seven(&mut scene).await;
    let first =
        ListTasksRequest { project_id: project_id.clone(), page_size: 1, ..Default::default() };
    let page = scene.ann.tasks.list_tasks(first.clone()).await.unwrap().into_inner();
    let gone = DeleteProjectRequest { id: project_id, force: true, ..Default::default() };
    scene.ann.projects.delete_project(gone).await.unwrap();
    let next = ListTasksRequest { page_token: page.next_page_token, ..first };
    let rest = scene.ann.tasks.list_tasks(next).await.unwrap().into_inner();
    assert_eq!((rest.tasks, rest.next_page_token), (vec![], String::new()));
}
