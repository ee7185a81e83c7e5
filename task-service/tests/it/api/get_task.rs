//! `TaskService.GetTask`.

use e2e::{Engine, on_every_engine, refused};
use shared::pb::task::{DeleteTaskRequest, GetTaskRequest};
use tonic::Code;

use super::{BAD_IDS, ELSEWHERE, Scene, create_task, get_task, invalid, titled};

on_every_engine!(
    a_task_of_somebody_else_and_none_are_one_answer,
    a_deleted_task_can_be_read,
    an_id_is_a_uuid,
);

async fn a_task_of_somebody_else_and_none_are_one_answer(on: Engine) {
    let mut scene = Scene::new(on).await;
    let task = create_task(&mut scene.ann, titled("ann's")).await;
    assert_eq!(get_task(&mut scene.ann, &task.id).await, task);
    assert_eq!(get_task(&mut scene.ann, &task.id.to_uppercase()).await, task);

    let foreign = GetTaskRequest { id: task.id };
    let foreign = refused(scene.bob.tasks.get_task(foreign).await);
    let missing = GetTaskRequest { id: ELSEWHERE.to_owned() };
    let missing = refused(scene.bob.tasks.get_task(missing).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "TASK_NOT_FOUND"));
}

async fn a_deleted_task_can_be_read(on: Engine) {
    let mut scene = Scene::new(on).await;
    let task = create_task(&mut scene.ann, titled("t")).await;
    let delete =
        DeleteTaskRequest { id: task.id.clone(), etag: String::new(), ..Default::default() };
    let gone = scene.ann.tasks.delete_task(delete).await.unwrap().into_inner().task.unwrap();
    assert_eq!(get_task(&mut scene.ann, &task.id).await, gone);
    let foreign = GetTaskRequest { id: task.id };
    assert_eq!(refused(scene.bob.tasks.get_task(foreign).await).code, Code::NotFound);
}

async fn an_id_is_a_uuid(on: Engine) {
    let mut scene = Scene::new(on).await;
    for id in BAD_IDS.into_iter().chain([""]) {
        let request = GetTaskRequest { id: id.to_owned() };
        assert_eq!(invalid(scene.ann.tasks.get_task(request).await), ["id"], "{id:?}");
    }
}
