//! `request_id`, of every RPC that writes.

use e2e::{Engine, on_every_engine, refused};
use shared::pb::task::{
    CreateProjectRequest, CreateTaskRequest, DeleteProjectRequest, DeleteTaskRequest, Project,
    Task, UndeleteTaskRequest, UpdateProjectRequest, UpdateTaskRequest,
};
use tonic::Code;

use super::{Scene, create_project, create_task, invalid, titled, titles};

on_every_engine!(
    every_write_that_is_repeated_gives_the_same_answer,
    every_id_that_is_used_for_another_request_is_refused,
    every_id_that_is_malformed_is_refused_with_all_else_that_is_wrong,
    the_same_id_of_two_owners_is_two,
    an_answer_is_given_again_beyond_the_quota,
);

const ID: &str = "0b9b7a46-5c1e-4c5e-9d0c-0a9f6f6a2b11";

/// Calls every RPC that writes with requests of this id, and hands each over with its client's method:
/// a good one, and another good one.
macro_rules! every_write {
    ($scene:ident, $id:expr, |$call:ident, $one:ident, $other:ident| $check:block) => {{
        let (p, q) = (
            create_project(&mut $scene.ann, "p").await,
            create_project(&mut $scene.ann, "q").await,
        );
        let (t, u) = (
            create_task(&mut $scene.ann, titled("t")).await,
            create_task(&mut $scene.ann, titled("u")).await,
        );
        macro_rules! one {
            ($client:ident, $method:ident, $request:expr) => {{
                let make = $request;
                let ($one, $other) = (make(&p, &t), make(&q, &u));
                let client = $scene.ann.$client.clone();
                let $call = |request| {
                    let mut client = client.clone();
                    async move { client.$method(request).await }
                };
                $check
            }};
        }
        let request_id = || String::from($id);
        one!(projects, create_project, |p: &Project, _: &Task| CreateProjectRequest {
            project: Some(p.clone()),
            request_id: request_id(),
        });
        one!(projects, update_project, |p: &Project, _: &Task| UpdateProjectRequest {
            project: Some(Project { etag: String::new(), ..p.clone() }),
            request_id: request_id(),
            ..Default::default()
        });
        one!(projects, delete_project, |p: &Project, _: &Task| DeleteProjectRequest {
            id: p.id.clone(),
            request_id: request_id(),
            ..Default::default()
        });
        one!(tasks, create_task, |_: &Project, t: &Task| CreateTaskRequest {
            task: Some(t.clone()),
            request_id: request_id(),
        });
        one!(tasks, update_task, |_: &Project, t: &Task| UpdateTaskRequest {
            task: Some(Task { etag: String::new(), ..t.clone() }),
            request_id: request_id(),
            ..Default::default()
        });
        one!(tasks, delete_task, |_: &Project, t: &Task| DeleteTaskRequest {
            id: t.id.clone(),
            request_id: request_id(),
            ..Default::default()
        });
        one!(tasks, undelete_task, |_: &Project, t: &Task| UndeleteTaskRequest {
            id: t.id.clone(),
            request_id: request_id(),
            ..Default::default()
        });
    }};
}

async fn every_write_that_is_repeated_gives_the_same_answer(on: Engine) {
    let mut scene = Scene::new(on).await;
    every_write!(scene, ID, |call, one, _other| {
        let first = call(one.clone()).await.unwrap().into_inner();
        assert_eq!(call(one.clone()).await.unwrap().into_inner(), first, "{one:?}");
    });
}

async fn every_id_that_is_used_for_another_request_is_refused(on: Engine) {
    let mut scene = Scene::new(on).await;
    every_write!(scene, ID, |call, one, other| {
        let first = call(one.clone()).await.unwrap().into_inner();
        let refused = refused(call(other.clone()).await);
        assert_eq!(refused.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"), "{other:?}");
        assert_eq!(call(one).await.unwrap().into_inner(), first);
    });
    let mut titles = titles(&mut scene.ann).await;
    titles.sort_unstable();
    assert_eq!(titles, ["t", "t", "u"]);
}

async fn every_id_that_is_malformed_is_refused_with_all_else_that_is_wrong(on: Engine) {
    let mut scene = Scene::new(on).await;
    for id in ["1", "00000000-0000-0000-0000-000000000000", "0b9b7a465c1e4c5e9d0c0a9f6f6a2b11"] {
        every_write!(scene, id, |call, one, _other| {
            assert_eq!(invalid(call(one.clone()).await), ["request_id"], "{one:?}");
        });
    }
    let request = CreateTaskRequest { task: None, request_id: "x".to_owned() };
    let fields = invalid(scene.ann.tasks.create_task(request).await);
    assert_eq!(fields, ["request_id", "task.title"]);
}

async fn the_same_id_of_two_owners_is_two(on: Engine) {
    let mut scene = Scene::new(on).await;
    let request =
        |title| CreateTaskRequest { task: Some(titled(title)), request_id: ID.to_owned() };
    scene.ann.tasks.create_task(request("ann's")).await.unwrap();
    scene.bob.tasks.create_task(request("bob's")).await.unwrap();
    assert_eq!(titles(&mut scene.ann).await, ["ann's"]);
    assert_eq!(titles(&mut scene.bob).await, ["bob's"]);
}

async fn an_answer_is_given_again_beyond_the_quota(on: Engine) {
    let mut scene = Scene::with(on, [("TASK_TASK_QUOTA", "1")]).await;
    let request = CreateTaskRequest { task: Some(titled("t")), request_id: ID.to_owned() };
    let first = scene.ann.tasks.create_task(request.clone()).await.unwrap().into_inner();
    let again = scene.ann.tasks.create_task(request).await.unwrap().into_inner();
    assert_eq!(again, first);
    let full = CreateTaskRequest { task: Some(titled("u")), ..Default::default() };
    let full = refused(scene.ann.tasks.create_task(full).await);
    assert_eq!(full.kind(), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
}
