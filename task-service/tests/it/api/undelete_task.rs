//! `TaskService.UndeleteTask`, and what a deletion leaves until then.

use std::time::Duration;

use e2e::{Engine, Person, on_every_engine, refused};
use shared::pb::task::{
    DeleteProjectRequest, DeleteTaskRequest, Task, UndeleteTaskRequest, UpdateTaskRequest,
};
use tonic::Code;

use super::{
    BAD_IDS, ELSEWHERE, Scene, create_project, create_task, get_task, invalid, titled, titles,
};

on_every_engine!(
    a_task_comes_back_as_it_was,
    a_task_whose_project_is_gone_comes_back_without_it,
    a_task_whose_project_is_there_comes_back_into_it,
    what_is_foreign_stale_malformed_or_not_deleted_changes_nothing,
    nothing_comes_back_beyond_the_quota,
    a_deleted_task_can_not_be_changed,
);

fn undelete(id: &str, etag: &str) -> UndeleteTaskRequest {
    UndeleteTaskRequest { id: id.to_owned(), etag: etag.to_owned(), ..Default::default() }
}

async fn delete(person: &mut Person, id: &str) -> Task {
    let request = DeleteTaskRequest { id: id.to_owned(), ..Default::default() };
    person.tasks.delete_task(request).await.unwrap().into_inner().task.unwrap()
}

async fn back(person: &mut Person, id: &str, etag: &str) -> Task {
    let answer = person.tasks.undelete_task(undelete(id, etag)).await;
    answer.unwrap().into_inner().task.unwrap()
}

async fn a_task_comes_back_as_it_was(on: Engine) {
    let mut scene = Scene::with(on, [("TASK_DELETED_RETENTION", "2h")]).await;
    let task = create_task(&mut scene.ann, titled("one")).await;
    assert_eq!(task.purge_time, None);
    scene.auth.clock.advance(Duration::from_secs(1));
    let gone = delete(&mut scene.ann, &task.id).await;
    let deleted = gone.delete_time.unwrap().seconds;
    assert_eq!(gone.purge_time.unwrap().seconds, deleted + 2 * 60 * 60);
    assert_eq!(get_task(&mut scene.ann, &task.id).await, gone);
    scene.auth.clock.advance(Duration::from_secs(1));
    let back = back(&mut scene.ann, &task.id, &gone.etag).await;
    let (etag, update_time) = (back.etag.clone(), back.update_time);
    assert!(etag != task.etag && etag != gone.etag && update_time != gone.update_time);
    assert_eq!(back, Task { etag, update_time, ..task });
    assert_eq!(titles(&mut scene.ann).await, ["one"]);
    assert_eq!(get_task(&mut scene.ann, &back.id).await, back);
}

async fn a_task_whose_project_is_gone_comes_back_without_it(on: Engine) {
    let mut scene = Scene::new(on).await;
    let id = create_project(&mut scene.ann, "p").await.id;
    let task = Task { project_id: id.clone(), ..titled("t") };
    let task = create_task(&mut scene.ann, task).await;
    let force = DeleteProjectRequest { id: id.clone(), force: true, ..Default::default() };
    scene.ann.projects.delete_project(force).await.unwrap();
    assert_eq!(get_task(&mut scene.ann, &task.id).await.project_id, id);
    assert_eq!(back(&mut scene.ann, &task.id, "").await.project_id, "");
}

async fn a_task_whose_project_is_there_comes_back_into_it(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project_id = create_project(&mut scene.ann, "p").await.id;
    let task = Task { project_id: project_id.clone(), ..titled("t") };
    let task = create_task(&mut scene.ann, task).await;
    delete(&mut scene.ann, &task.id).await;
    assert_eq!(back(&mut scene.ann, &task.id, "").await.project_id, project_id);
}

async fn what_is_foreign_stale_malformed_or_not_deleted_changes_nothing(on: Engine) {
    let mut scene = Scene::new(on).await;
    let there = create_task(&mut scene.ann, titled("there")).await;
    let other = create_project(&mut scene.ann, "p").await;
    let task = create_task(&mut scene.ann, titled("one")).await;
    let gone = delete(&mut scene.ann, &task.id).await;
    let foreign = refused(scene.bob.tasks.undelete_task(undelete(&task.id, "")).await);
    let missing = refused(scene.bob.tasks.undelete_task(undelete(ELSEWHERE, "")).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "TASK_NOT_FOUND"));

    let ann = &mut scene.ann;
    let in_use = refused(ann.tasks.undelete_task(undelete(&there.id, "")).await);
    assert_eq!(in_use.kind(), (Code::FailedPrecondition, "TASK_NOT_DELETED"));
    // The last is of another resource.
    for etag in [&task.etag, &other.etag] {
        let stale = refused(ann.tasks.undelete_task(undelete(&task.id, etag)).await);
        assert_eq!(stale.kind(), (Code::Aborted, "ETAG_MISMATCH"));
    }
    for id in BAD_IDS {
        assert_eq!(invalid(ann.tasks.undelete_task(undelete(id, "x")).await), ["id", "etag"]);
    }
    assert_eq!(get_task(ann, &task.id).await, gone);
    assert_eq!(get_task(ann, &there.id).await, there);
}

async fn nothing_comes_back_beyond_the_quota(on: Engine) {
    let mut scene = Scene::with(on, [("TASK_TASK_QUOTA", "1")]).await;
    let one = create_task(&mut scene.ann, titled("one")).await;
    delete(&mut scene.ann, &one.id).await;
    let two = create_task(&mut scene.ann, titled("two")).await;
    let full = refused(scene.ann.tasks.undelete_task(undelete(&one.id, "")).await);
    assert_eq!(full.kind(), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert_eq!(full.retry, None);
    assert_eq!(titles(&mut scene.ann).await, ["two"]);
    delete(&mut scene.ann, &two.id).await;
    back(&mut scene.ann, &one.id, "").await;
    assert_eq!(titles(&mut scene.ann).await, ["one"]);
}

async fn a_deleted_task_can_not_be_changed(on: Engine) {
    let mut scene = Scene::new(on).await;
    let task = create_task(&mut scene.ann, titled("one")).await;
    let gone = delete(&mut scene.ann, &task.id).await;
    let request = UpdateTaskRequest {
        task: Some(Task { id: task.id.clone(), ..titled("two") }),
        ..Default::default()
    };
    let refused = refused(scene.ann.tasks.update_task(request).await);
    assert_eq!(refused.kind(), (Code::FailedPrecondition, "TASK_DELETED"));
    assert_eq!(get_task(&mut scene.ann, &task.id).await, gone);
}
