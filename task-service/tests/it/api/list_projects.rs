//! `ProjectService.ListProjects`.

use e2e::{Engine, on_every_engine};
use shared::pb::task::{ListProjectsRequest, ListTasksRequest};

use super::{Scene, create_project, create_task, invalid, titled};

on_every_engine!(
    pages_follow_each_other_to_the_end,
    a_page_token_is_good_for_its_caller_and_its_list,
);

async fn pages_follow_each_other_to_the_end(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut made = Vec::new();
    for number in 0..5 {
        scene.auth.clock.advance(std::time::Duration::from_millis(1));
        made.push(create_project(&mut scene.ann, &number.to_string()).await);
    }
    create_project(&mut scene.bob, "bob's").await;
    for size in [1, 2, 5, 0, i32::MAX] {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListProjectsRequest { page_size: size, page_token };
            let page = scene.ann.projects.list_projects(request).await.unwrap().into_inner();
            all.extend(page.projects);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(all, made, "pages of {size}");
    }
}

async fn a_page_token_is_good_for_its_caller_and_its_list(on: Engine) {
    let mut scene = Scene::new(on).await;
    for person in [&mut scene.ann, &mut scene.bob] {
        for _ in 0..2 {
            create_project(person, "p").await;
            create_task(person, titled("t")).await;
        }
    }
    let first = ListProjectsRequest { page_size: 1, page_token: String::new() };
    let page = scene.ann.projects.list_projects(first).await.unwrap().into_inner();
    let token = page.next_page_token;
    let with = |token: &str| ListProjectsRequest { page_size: 1, page_token: token.to_owned() };
    assert_eq!(invalid(scene.bob.projects.list_projects(with(&token)).await), ["page_token"]);
    for forged in ["x", "AAAA", &token[1..], &format!("{token}A"), "\0", &"A".repeat(75)] {
        let answer = scene.ann.projects.list_projects(with(forged)).await;
        assert_eq!(invalid(answer), ["page_token"], "{forged:?}");
    }
    let tasks = ListTasksRequest { page_token: token.clone(), ..ListTasksRequest::default() };
    assert_eq!(invalid(scene.ann.tasks.list_tasks(tasks).await), ["page_token"]);
    scene.ann.projects.list_projects(with(&token)).await.unwrap();

    let both = ListProjectsRequest { page_size: -1, page_token: "x".to_owned() };
    let answer = scene.ann.projects.list_projects(both).await;
    assert_eq!(invalid(answer), ["page_size", "page_token"]);
}
