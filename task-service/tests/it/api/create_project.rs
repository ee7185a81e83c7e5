//! `ProjectService.CreateProject`.

use e2e::{Engine, on_every_engine, refused};
use shared::pb::task::{CreateProjectRequest, ListProjectsRequest, Project};
use tonic::Code;

use super::{Scene, bad_descriptions, bad_titles, create_project, invalid};

on_every_engine!(
    a_project_comes_back_as_it_was_sent,
    every_violation_is_reported_and_nothing_is_made,
    the_quota_is_the_operators,
);

async fn a_project_comes_back_as_it_was_sent(on: Engine) {
    let mut scene = Scene::new(on).await;
    let sent = Project {
        id: "ignored".to_owned(),
        title: " Ünïcode 🦀 '); drop table projects; -- ".to_owned(),
        description: "one\r\n\ttwo".to_owned(),
        etag: "ignored".to_owned(),
        ..Project::default()
    };
    let request = CreateProjectRequest { project: Some(sent.clone()), ..Default::default() };
    let made = scene.ann.projects.create_project(request).await.unwrap().into_inner();
    let made = made.project.unwrap();
    assert_eq!((&made.title, &made.description), (&sent.title, &sent.description));
    assert_eq!(made.create_time.unwrap().seconds, scene.auth.clock.now().seconds());
    assert_eq!(made.update_time, made.create_time);
    assert!(made.id.len() == 36 && !made.etag.is_empty() && made.etag != sent.etag);
}

async fn every_violation_is_reported_and_nothing_is_made(on: Engine) {
    let mut scene = Scene::new(on).await;
    for title in bad_titles() {
        for description in bad_descriptions() {
            let project = Project { title: title.clone(), description, ..Project::default() };
            let request = CreateProjectRequest { project: Some(project), ..Default::default() };
            let answer = scene.ann.projects.create_project(request).await;
            assert_eq!(invalid(answer), ["project.title", "project.description"]);
        }
    }
    let nothing = CreateProjectRequest { project: None, ..Default::default() };
    assert_eq!(invalid(scene.ann.projects.create_project(nothing).await), ["project.title"]);
    let all = scene.ann.projects.list_projects(ListProjectsRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().projects, []);
}

async fn the_quota_is_the_operators(on: Engine) {
    let mut scene = Scene::with(on, [("TASK_PROJECT_QUOTA", "2")]).await;
    create_project(&mut scene.ann, "one").await;
    create_project(&mut scene.ann, "two").await;
    let project = Project { title: "three".to_owned(), ..Project::default() };
    let request = CreateProjectRequest { project: Some(project), ..Default::default() };
    let refused = refused(scene.ann.projects.create_project(request).await);
    assert_eq!(refused.kind(), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert_eq!(refused.retry, None, "waiting does not help");
    create_project(&mut scene.bob, "one").await;
}
