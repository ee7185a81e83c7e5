//! `TaskService.UpdateTask`.

use e2e::{Engine, on_every_engine, refused};
use prost_types::{FieldMask, Timestamp};
use shared::pb::task::{DeleteTaskRequest, Task, TaskPriority, TaskStatus, UpdateTaskRequest};
use tonic::Code;

use super::{
    BAD_IDS, ELSEWHERE, Scene, bad_descriptions, bad_titles, create_project, create_task, get_task,
    invalid, titled,
};

on_every_engine!(
    the_mask_says_what_changes,
    no_mask_means_what_is_filled_and_a_star_everything,
    every_violation_is_reported_and_nothing_changes,
    a_task_or_project_of_somebody_else_and_none_are_one_answer,
    a_stale_or_deleted_task_stays_as_it_is,
);

fn update(task: &Task, paths: &[&str]) -> UpdateTaskRequest {
    let paths = paths.iter().map(ToString::to_string).collect();
    UpdateTaskRequest {
        task: Some(task.clone()),
        update_mask: Some(FieldMask { paths }),
        ..Default::default()
    }
}

async fn the_mask_says_what_changes(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project = create_project(&mut scene.ann, "p").await;
    let made = create_task(&mut scene.ann, titled("one")).await;
    let full = Task {
        id: made.id.clone(),
        project_id: project.id,
        title: "two".to_owned(),
        description: "more".to_owned(),
        status: TaskStatus::Completed.into(),
        priority: TaskPriority::Low.into(),
        due_time: Some(Timestamp { seconds: 7, nanos: 0 }),
        ..Task::default()
    };
    let mut expected = made.clone();
    for path in ["project_id", "title", "description", "status", "priority", "due_time"] {
        match path {
            "project_id" => expected.project_id.clone_from(&full.project_id),
            "title" => expected.title.clone_from(&full.title),
            "description" => expected.description.clone_from(&full.description),
            "status" => expected.status = full.status,
            "priority" => expected.priority = full.priority,
            _ => expected.due_time = full.due_time,
        }
        let answer = scene.ann.tasks.update_task(update(&full, &[path])).await.unwrap();
        let changed = answer.into_inner().task.unwrap();
        assert_ne!(changed.etag, expected.etag);
        expected.etag.clone_from(&changed.etag);
        expected.update_time = changed.update_time;
        expected.complete_time = changed.complete_time;
        assert_eq!(changed, expected, "{path}");
        assert_eq!(get_task(&mut scene.ann, &made.id).await, expected);
    }
    assert!(expected.complete_time.is_some());

    let empty = Task { id: made.id.clone(), ..Task::default() };
    let paths = ["project_id", "description", "due_time"];
    let answer = scene.ann.tasks.update_task(update(&empty, &paths)).await.unwrap();
    let emptied = answer.into_inner().task.unwrap();
    assert_eq!((emptied.project_id.as_str(), emptied.description.as_str()), ("", ""));
    assert_eq!(emptied.due_time, None);
    assert_eq!(emptied.title, "two");
}

async fn no_mask_means_what_is_filled_and_a_star_everything(on: Engine) {
    let mut scene = Scene::new(on).await;
    let task = Task { description: "kept".to_owned(), ..titled("one") };
    let made = create_task(&mut scene.ann, task).await;
    let sent = Task { id: made.id.clone(), ..titled("two") };
    let no_mask =
        UpdateTaskRequest { task: Some(sent.clone()), update_mask: None, ..Default::default() };
    let changed = scene.ann.tasks.update_task(no_mask).await.unwrap().into_inner().task.unwrap();
    assert_eq!((changed.title.as_str(), changed.description.as_str()), ("two", "kept"));

    let answer = scene.ann.tasks.update_task(update(&sent, &["*"])).await;
    assert_eq!(invalid(answer), ["task.status", "task.priority"], "they can not be emptied");
    let whole = Task { status: 1, priority: 1, ..sent };
    let answer = scene.ann.tasks.update_task(update(&whole, &["*"])).await.unwrap();
    assert_eq!(answer.into_inner().task.unwrap().description, "");
}

async fn every_violation_is_reported_and_nothing_changes(on: Engine) {
    let mut scene = Scene::new(on).await;
    let made = create_task(&mut scene.ann, titled("one")).await;
    for (index, title) in bad_titles().into_iter().enumerate() {
        let bad = Task {
            id: BAD_IDS[index % BAD_IDS.len()].to_owned(),
            project_id: "x".to_owned(),
            title,
            description: bad_descriptions()[index % 4].clone(),
            status: [0, 4, -1][index % 3],
            priority: [0, 5, -1][index % 3],
            due_time: Some(Timestamp { seconds: 0, nanos: -1 }),
            etag: "x".to_owned(),
            ..Task::default()
        };
        let fields = ["project_id", "title", "description", "status", "priority", "due_time"];
        let expected = fields.into_iter().chain(["id", "etag"]).map(|it| format!("task.{it}"));
        let answer = scene.ann.tasks.update_task(update(&bad, &["*"])).await;
        assert_eq!(invalid(answer), expected.collect::<Vec<_>>());
    }
    let sent = Task { title: "two".to_owned(), ..made.clone() };
    let fixed =
        ["id", "complete_time", "create_time", "update_time", "delete_time", "purge_time", "etag"];
    for path in fixed.into_iter().chain(["owner_id", "", "Title", "title.x", "task.title", "\0"]) {
        let answer = scene.ann.tasks.update_task(update(&sent, &["title", path])).await;
        assert_eq!(invalid(answer), ["update_mask"], "{path:?}");
    }
    let paths: Vec<String> = (0..100).map(|number| format!("field_{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let answer = scene.ann.tasks.update_task(update(&sent, &paths)).await;
    assert_eq!(invalid(answer).len(), 20, "no more are reported");
    let nothing = Task { id: made.id.clone(), ..Task::default() };
    assert_eq!(invalid(scene.ann.tasks.update_task(update(&nothing, &[])).await), ["update_mask"]);
    assert_eq!(get_task(&mut scene.ann, &made.id).await, made);
}

async fn a_task_or_project_of_somebody_else_and_none_are_one_answer(on: Engine) {
    let mut scene = Scene::new(on).await;
    let of_bob = create_project(&mut scene.bob, "bob's").await;
    let made = create_task(&mut scene.ann, titled("one")).await;
    let rename = Task { title: "two".to_owned(), etag: String::new(), ..made.clone() };
    let foreign = refused(scene.bob.tasks.update_task(update(&rename, &["title"])).await);
    let nowhere = Task { id: ELSEWHERE.to_owned(), ..rename };
    let missing = refused(scene.bob.tasks.update_task(update(&nowhere, &["title"])).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "TASK_NOT_FOUND"));

    let into = |project: &str| Task { project_id: project.to_owned(), ..made.clone() };
    let foreign = update(&into(&of_bob.id), &["project_id"]);
    let foreign = refused(scene.ann.tasks.update_task(foreign).await);
    let missing = update(&into(ELSEWHERE), &["project_id"]);
    let missing = refused(scene.ann.tasks.update_task(missing).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));
    assert_eq!(get_task(&mut scene.ann, &made.id).await, made);
}

async fn a_stale_or_deleted_task_stays_as_it_is(on: Engine) {
    let mut scene = Scene::new(on).await;
    let made = create_task(&mut scene.ann, titled("one")).await;
    let rename = Task { title: "two".to_owned(), ..made.clone() };
    scene.ann.tasks.update_task(update(&rename, &["title"])).await.unwrap();
    let stale = refused(scene.ann.tasks.update_task(update(&rename, &["title"])).await);
    assert_eq!(stale.kind(), (Code::Aborted, "ETAG_MISMATCH"));
    let project = create_project(&mut scene.ann, "p").await.etag;
    let other = create_task(&mut scene.ann, titled("other")).await.etag;
    let foreign = create_task(&mut scene.bob, titled("bob's")).await.etag;
    for etag in [project, other, foreign] {
        let rename = Task { etag, ..rename.clone() };
        let mismatch = refused(scene.ann.tasks.update_task(update(&rename, &["title"])).await);
        assert_eq!(mismatch.kind(), (Code::Aborted, "ETAG_MISMATCH"));
    }

    let delete =
        DeleteTaskRequest { id: made.id.clone(), etag: String::new(), ..Default::default() };
    let gone = scene.ann.tasks.delete_task(delete).await.unwrap().into_inner().task.unwrap();
    let late = Task { etag: gone.etag.clone(), ..rename };
    let refusal = refused(scene.ann.tasks.update_task(update(&late, &["title"])).await);
    assert_eq!(refusal.kind(), (Code::FailedPrecondition, "TASK_DELETED"));
    assert_eq!(get_task(&mut scene.ann, &made.id).await, gone);
}
