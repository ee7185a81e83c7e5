//! `ProjectService.DeleteProject`.

use e2e::{Engine, on_every_engine, refused};
use shared::pb::task::{DeleteProjectRequest, GetProjectRequest, Task};
use tonic::Code;

use super::{BAD_IDS, ELSEWHERE, Scene, create_project, create_task, get_task, invalid, titled};

on_every_engine!(
    a_project_with_tasks_stays_unless_forced,
    what_is_foreign_stale_or_malformed_deletes_nothing,
);

fn delete(id: &str) -> DeleteProjectRequest {
    DeleteProjectRequest { id: id.to_owned(), ..DeleteProjectRequest::default() }
}

async fn a_project_with_tasks_stays_unless_forced(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project = create_project(&mut scene.ann, "one").await;
    let inside = Task { project_id: project.id.clone(), ..titled("t") };
    let task = create_task(&mut scene.ann, inside).await;
    let refusal = refused(scene.ann.projects.delete_project(delete(&project.id)).await);
    assert_eq!(refusal.kind(), (Code::FailedPrecondition, "PROJECT_NOT_EMPTY"));
    assert_eq!(get_task(&mut scene.ann, &task.id).await, task);

    let forced = DeleteProjectRequest { force: true, ..delete(&project.id) };
    scene.ann.projects.delete_project(forced.clone()).await.unwrap();
    let read = GetProjectRequest { id: project.id };
    assert_eq!(refused(scene.ann.projects.get_project(read).await).code, Code::NotFound);
    assert!(get_task(&mut scene.ann, &task.id).await.delete_time.is_some());
    let again = refused(scene.ann.projects.delete_project(forced).await);
    assert_eq!(again.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));
}

async fn what_is_foreign_stale_or_malformed_deletes_nothing(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project = create_project(&mut scene.ann, "one").await;
    let foreign = refused(scene.bob.projects.delete_project(delete(&project.id)).await);
    let missing = refused(scene.bob.projects.delete_project(delete(ELSEWHERE)).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));

    let stale = DeleteProjectRequest { etag: "0000000000000000".to_owned(), ..delete(&project.id) };
    let stale = refused(scene.ann.projects.delete_project(stale).await);
    assert_eq!(stale.kind(), (Code::Aborted, "ETAG_MISMATCH"));
    for id in BAD_IDS {
        let request = DeleteProjectRequest { etag: "x".to_owned(), ..delete(id) };
        assert_eq!(invalid(scene.ann.projects.delete_project(request).await), ["id", "etag"]);
    }
    let read = GetProjectRequest { id: project.id.clone() };
    let read = scene.ann.projects.get_project(read).await.unwrap().into_inner();
    assert_eq!(read.project.unwrap(), project);
}
