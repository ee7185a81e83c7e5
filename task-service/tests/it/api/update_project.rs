//! `ProjectService.UpdateProject`.

use e2e::{Engine, on_every_engine, refused};
use prost_types::FieldMask;
use shared::pb::task::{GetProjectRequest, Project, UpdateProjectRequest};
use tonic::Code;

use super::{ELSEWHERE, Scene, create_project, invalid};

on_every_engine!(
    the_mask_says_what_changes,
    every_violation_is_reported_and_nothing_changes,
    a_stale_etag_is_aborted_and_a_foreign_project_not_found,
);

fn update(project: Project, paths: &[&str]) -> UpdateProjectRequest {
    let paths = paths.iter().map(ToString::to_string).collect();
    UpdateProjectRequest {
        project: Some(project),
        update_mask: Some(FieldMask { paths }),
        ..Default::default()
    }
}

async fn the_mask_says_what_changes(on: Engine) {
    let mut scene = Scene::new(on).await;
    let made = create_project(&mut scene.ann, "one").await;
    let sent = Project {
        id: made.id.clone(),
        title: "two".to_owned(),
        description: "more".to_owned(),
        ..Project::default()
    };
    let cases: [(&[&str], &str, &str); 5] = [
        (&["title"], "two", ""),
        (&["description"], "two", "more"),
        (&["title", "title"], "two", "more"),
        (&["*"], "two", "more"),
        (&[], "two", "more"),
    ];
    for (paths, title, description) in cases {
        let answer = scene.ann.projects.update_project(update(sent.clone(), paths)).await;
        let project = answer.unwrap().into_inner().project.unwrap();
        assert_eq!((project.title.as_str(), project.description.as_str()), (title, description));
        assert_ne!(project.etag, made.etag);
    }
    let emptied = update(Project { description: String::new(), ..sent }, &["description"]);
    let project = scene.ann.projects.update_project(emptied).await.unwrap().into_inner();
    assert_eq!(project.project.unwrap().description, "");
}

async fn every_violation_is_reported_and_nothing_changes(on: Engine) {
    let mut scene = Scene::new(on).await;
    let made = create_project(&mut scene.ann, "one").await;
    let bad = Project {
        id: "x".to_owned(),
        title: String::new(),
        description: "\0".to_owned(),
        etag: "x".to_owned(),
        ..Project::default()
    };
    let answer = scene.ann.projects.update_project(update(bad, &["*"])).await;
    assert_eq!(
        invalid(answer),
        ["project.title", "project.description", "project.id", "project.etag"]
    );
    let sent = Project { title: "two".to_owned(), ..made.clone() };
    for path in ["id", "etag", "create_time", "update_time", "owner", "", "Title", "title.x", "\0"]
    {
        let answer =
            scene.ann.projects.update_project(update(sent.clone(), &["title", path])).await;
        assert_eq!(invalid(answer), ["update_mask"], "{path:?}");
    }
    let nothing = Project { id: made.id.clone(), ..Project::default() };
    let answer = scene.ann.projects.update_project(update(nothing, &[])).await;
    assert_eq!(invalid(answer), ["update_mask"]);

    let read = GetProjectRequest { id: made.id.clone() };
    let read = scene.ann.projects.get_project(read).await.unwrap().into_inner().project;
    assert_eq!(read.unwrap(), made);
}

async fn a_stale_etag_is_aborted_and_a_foreign_project_not_found(on: Engine) {
    let mut scene = Scene::new(on).await;
    let made = create_project(&mut scene.ann, "one").await;
    let sent = Project { title: "two".to_owned(), ..made.clone() };
    scene.ann.projects.update_project(update(sent.clone(), &["title"])).await.unwrap();
    let stale = refused(scene.ann.projects.update_project(update(sent.clone(), &["title"])).await);
    assert_eq!(stale.kind(), (Code::Aborted, "ETAG_MISMATCH"));

    let foreign = refused(scene.bob.projects.update_project(update(sent.clone(), &["*"])).await);
    let nothing = Project { id: ELSEWHERE.to_owned(), ..sent };
    let missing = refused(scene.bob.projects.update_project(update(nothing, &["*"])).await);
    assert_eq!(foreign, missing);
    assert_eq!(foreign.kind(), (Code::NotFound, "PROJECT_NOT_FOUND"));
}
