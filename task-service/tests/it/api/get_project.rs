//! `ProjectService.GetProject`.

use e2e::{Engine, on_every_engine, refused};
use shared::pb::task::GetProjectRequest;
use tonic::Code;

use super::{BAD_IDS, ELSEWHERE, Scene, create_project, invalid};

on_every_engine!(a_project_of_somebody_else_and_none_are_one_answer, an_id_is_a_uuid,);

async fn a_project_of_somebody_else_and_none_are_one_answer(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project = create_project(&mut scene.ann, "ann's").await;
    let own = GetProjectRequest { id: project.id.clone() };
    let read = scene.ann.projects.get_project(own.clone()).await.unwrap().into_inner();
    assert_eq!(read.project.unwrap(), project);

    let foreign = refused(scene.bob.projects.get_project(own).await);
    let nothing = GetProjectRequest { id: ELSEWHERE.to_owned() };
    let missing = refused(scene.bob.projects.get_project(nothing).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));
}

async fn an_id_is_a_uuid(on: Engine) {
    let mut scene = Scene::new(on).await;
    for id in BAD_IDS.into_iter().chain([""]) {
        let request = GetProjectRequest { id: id.to_owned() };
        assert_eq!(invalid(scene.ann.projects.get_project(request).await), ["id"], "{id:?}");
    }
}
