//! `TaskService.DeleteTask`.

use e2e::{Engine, on_every_engine, refused};
use shared::pb::task::DeleteTaskRequest;
use tonic::Code;

use super::{BAD_IDS, ELSEWHERE, Scene, create_task, get_task, invalid, titled, titles};

on_every_engine!(
    a_deleted_task_leaves_the_lists,
    what_is_foreign_stale_or_malformed_deletes_nothing,
);

fn delete(id: &str, etag: &str) -> DeleteTaskRequest {
    DeleteTaskRequest { id: id.to_owned(), etag: etag.to_owned(), ..Default::default() }
}

async fn a_deleted_task_leaves_the_lists(on: Engine) {
    let mut scene = Scene::new(on).await;
    let task = create_task(&mut scene.ann, titled("one")).await;
    create_task(&mut scene.ann, titled("two")).await;
    let answer = scene.ann.tasks.delete_task(delete(&task.id, &task.etag)).await.unwrap();
    let gone = answer.into_inner().task.unwrap();
    assert!(gone.delete_time.is_some() && gone.etag != task.etag);
    assert_eq!(titles(&mut scene.ann).await, ["two"]);
    let again = refused(scene.ann.tasks.delete_task(delete(&task.id, "")).await);
    assert_eq!(again.kind(), (Code::FailedPrecondition, "TASK_DELETED"));
}

async fn what_is_foreign_stale_or_malformed_deletes_nothing(on: Engine) {
    let mut scene = Scene::new(on).await;
    let task = create_task(&mut scene.ann, titled("one")).await;
    let foreign = refused(scene.bob.tasks.delete_task(delete(&task.id, "")).await);
    let missing = refused(scene.bob.tasks.delete_task(delete(ELSEWHERE, "")).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "TASK_NOT_FOUND"));

    let stale = refused(scene.ann.tasks.delete_task(delete(&task.id, "ffffffffffffffff")).await);
    assert_eq!(stale.kind(), (Code::InvalidArgument, "FIELD_INVALID"));
    let stale = refused(scene.ann.tasks.delete_task(delete(&task.id, "0000000000000000")).await);
    assert_eq!(stale.kind(), (Code::Aborted, "ETAG_MISMATCH"));
    for id in BAD_IDS {
        assert_eq!(invalid(scene.ann.tasks.delete_task(delete(id, "x")).await), ["id", "etag"]);
    }
    assert_eq!(get_task(&mut scene.ann, &task.id).await, task);
}
