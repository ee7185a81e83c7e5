//! `TaskService.CreateTask`.

use e2e::{Engine, on_every_engine, refused};
use prost_types::Timestamp;
use shared::pb::task::{CreateTaskRequest, Task, TaskPriority, TaskStatus};
use tonic::Code;

use super::{
    BAD_IDS, ELSEWHERE, Scene, bad_descriptions, bad_titles, create_project, create_task, get_task,
    invalid, titled, titles,
};

on_every_engine!(
    a_task_comes_back_as_it_was_sent,
    what_is_left_out_has_a_default_and_what_the_server_sets_is_ignored,
    every_violation_is_reported_and_nothing_is_made,
    the_project_must_be_the_callers_own,
    the_quota_is_the_operators,
    a_request_over_the_limit_is_refused,
);

fn create(task: Task) -> CreateTaskRequest {
    CreateTaskRequest { task: Some(task), ..Default::default() }
}

async fn a_task_comes_back_as_it_was_sent(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project = create_project(&mut scene.ann, "p").await;
    let sent = Task {
        project_id: project.id,
        title: "日本語 🦀👩\u{200d}💻 '; drop table tasks; -- %_\\ \u{202e}".to_owned(),
        description: "{\"json\": true}\n\ttab".to_owned(),
        status: TaskStatus::InProgress.into(),
        priority: TaskPriority::Urgent.into(),
        due_time: Some(Timestamp { seconds: 1_900_000_000, nanos: 123_456_000 }),
        ..Task::default()
    };
    let made = create_task(&mut scene.ann, sent.clone()).await;
    let now = made.create_time;
    assert_eq!(now.unwrap().seconds, scene.auth.clock.now().seconds());
    let expected = Task {
        id: made.id.clone(),
        etag: made.etag.clone(),
        create_time: now,
        update_time: now,
        ..sent
    };
    assert_eq!(made, expected);
    assert_eq!(get_task(&mut scene.ann, &made.id).await, made);
}

async fn what_is_left_out_has_a_default_and_what_the_server_sets_is_ignored(on: Engine) {
    let mut scene = Scene::new(on).await;
    let early = Some(Timestamp { seconds: 1, nanos: 0 });
    let sent = Task {
        id: ELSEWHERE.to_owned(),
        complete_time: early,
        create_time: early,
        update_time: early,
        delete_time: early,
        etag: "x".to_owned(),
        due_time: Some(Timestamp { seconds: -1, nanos: 999_999_999 }),
        ..titled("t")
    };
    let made = create_task(&mut scene.ann, sent).await;
    assert_ne!(made.id, ELSEWHERE);
    assert_eq!((made.status(), made.priority()), (TaskStatus::Todo, TaskPriority::Medium));
    assert_eq!((made.complete_time, made.delete_time), (None, None));
    assert_ne!(made.create_time, early);
    assert_eq!(made.due_time, Some(Timestamp { seconds: -1, nanos: 999_999_000 }), "cut");
    let done = Task { status: TaskStatus::Completed.into(), ..titled("t") };
    let made = create_task(&mut scene.ann, done).await;
    assert_eq!(made.complete_time, made.create_time);
}

async fn every_violation_is_reported_and_nothing_is_made(on: Engine) {
    let mut scene = Scene::new(on).await;
    let times =
        [(0, -1), (0, 1_000_000_000), (253_402_300_800, 0), (-62_135_596_801, 0), (i64::MIN, 0)];
    for (index, title) in bad_titles().into_iter().enumerate() {
        let (seconds, nanos) = times[index % times.len()];
        let bad = Task {
            project_id: BAD_IDS[index % BAD_IDS.len()].to_owned(),
            title,
            description: bad_descriptions()[index % 4].clone(),
            status: [4, -1, i32::MAX][index % 3],
            priority: [5, -1, i32::MIN][index % 3],
            due_time: Some(Timestamp { seconds, nanos }),
            ..Task::default()
        };
        let expected = ["project_id", "title", "description", "status", "priority", "due_time"];
        let expected = expected.map(|field| format!("task.{field}"));
        assert_eq!(invalid(scene.ann.tasks.create_task(create(bad)).await), expected);
    }
    let nothing = CreateTaskRequest { task: None, ..Default::default() };
    assert_eq!(invalid(scene.ann.tasks.create_task(nothing).await), ["task.title"]);
    assert!(titles(&mut scene.ann).await.is_empty());
}

async fn the_project_must_be_the_callers_own(on: Engine) {
    let mut scene = Scene::new(on).await;
    let of_bob = create_project(&mut scene.bob, "bob's").await;
    let into = |project: &str| create(Task { project_id: project.to_owned(), ..titled("t") });
    let foreign = refused(scene.ann.tasks.create_task(into(&of_bob.id)).await);
    let missing = refused(scene.ann.tasks.create_task(into(ELSEWHERE)).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));
    assert!(titles(&mut scene.ann).await.is_empty());
}

async fn the_quota_is_the_operators(on: Engine) {
    let mut scene = Scene::with(on, [("TASK_TASK_QUOTA", "1")]).await;
    create_task(&mut scene.ann, titled("one")).await;
    let refused = refused(scene.ann.tasks.create_task(create(titled("two"))).await);
    assert_eq!(refused.kind(), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert_eq!(refused.retry, None, "waiting does not help");
    assert_eq!(titles(&mut scene.ann).await, ["one"]);
}

async fn a_request_over_the_limit_is_refused(on: Engine) {
    let mut scene = Scene::new(on).await;
    let fits =
        Task { description: "🦀".repeat(10_000), title: "🦀".repeat(200), ..Task::default() };
    create_task(&mut scene.ann, fits).await;
    let huge = Task { description: "x".repeat(200_000), ..titled("t") };
    let refused = refused(scene.ann.tasks.create_task(create(huge)).await);
    assert_eq!(refused.kind(), (Code::InvalidArgument, "REQUEST_TOO_LARGE"));
}
