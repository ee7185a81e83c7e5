//! Several servers of each service on one database, side by side.

use std::time::Duration;

use e2e::{AuthServer, Engine, TaskServer, clock, on_every_engine, until};
use shared::{
    database::{Database, Settings},
    on_engine,
    pb::{
        auth::{GetCurrentUserRequest, ListSigningKeysRequest},
        task::{CreateProjectRequest, ListProjectsRequest, ListTasksRequest, Project},
    },
};

on_every_engine!(
    servers_that_start_at_once_on_an_empty_database_agree,
    a_key_that_one_server_has_made_is_used_by_all,
    a_database_of_the_other_service_is_left_alone,
);

/// Three of each, all of them started at the same moment on two empty databases.
async fn start(on: Engine) -> ([AuthServer; 3], [TaskServer; 3]) {
    let (clock, place) = (clock(), on.place("auth").await);
    let server = || AuthServer::start_at(place.clone(), clock.clone(), []);
    let (one, two, three) = tokio::join!(server(), server(), server());
    let place = on.place("task").await;
    let server = |auth| TaskServer::start_at(auth, place.clone(), []);
    let tasks = tokio::join!(server(&one), server(&two), server(&three));
    ([one, two, three], tasks.into())
}

/// The ids of the keys that a server publishes.
async fn kids(server: &AuthServer) -> Vec<String> {
    let answer = server.anonymous().auth.list_signing_keys(ListSigningKeysRequest {}).await;
    answer.unwrap().into_inner().signing_keys.into_iter().map(|key| key.kid).collect()
}

async fn servers_that_start_at_once_on_an_empty_database_agree(on: Engine) {
    let (auths, tasks) = Box::pin(start(on)).await;
    let first = kids(&auths[0]).await;
    assert_eq!(first.len(), 1);
    for (auth, name) in auths.iter().zip(["ann", "bob", "eve"]) {
        assert_eq!(kids(auth).await, first);
        let person = auth.register(name).await;
        for other in &auths {
            let mut there = person.at(other.channel());
            there.users.get_current_user(GetCurrentUserRequest {}).await.unwrap();
        }
        for task in &tasks {
            let mut there = person.at(task.channel());
            let project = Project { title: "p".to_owned(), ..Project::default() };
            let request = CreateProjectRequest { project: Some(project), ..Default::default() };
            there.projects.create_project(request).await.unwrap();
        }
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        for task in &tasks {
            let mut there = person.at(task.channel());
            let request = ListProjectsRequest { page_size: 1, page_token };
            let page = there.projects.list_projects(request).await.unwrap().into_inner();
            seen.extend(page.projects.into_iter().map(|project| project.id));
            page_token = page.next_page_token;
        }
        seen.dedup();
        assert_eq!((seen.len(), page_token.as_str()), (3, ""), "a page from each of the three");
    }
}

async fn a_key_that_one_server_has_made_is_used_by_all(on: Engine) {
    let (auths, tasks) = Box::pin(start(on)).await;
    let first = header(&auths[0].register("first").await.token);
    auths[0].operate("keys rotate").await.unwrap();
    for auth in &auths {
        until("it has seen the new key", async || kids(auth).await.len() == 2).await;
    }
    auths[0].clock.advance(Duration::from_mins(1));
    let mut headers = Vec::new();
    for (auth, name) in auths.iter().zip(["ann", "bob", "eve"]) {
        let person = auth.register(name).await;
        headers.push(header(&person.token));
        for task in &tasks {
            let mut there = person.at(task.channel());
            until("it knows the new key", async || {
                there.tasks.list_tasks(ListTasksRequest::default()).await.is_ok()
            })
            .await;
        }
    }
    headers.dedup();
    assert!(headers.len() == 1 && headers[0] != first, "all sign with the new key");
}

/// The part of a token that names its key.
fn header(token: &str) -> String {
    token.split('.').next().unwrap().to_owned()
}

async fn a_database_of_the_other_service_is_left_alone(on: Engine) {
    let (auth, task) = (auth_service::store::MIGRATIONS, task_service::store::MIGRATIONS);
    for [first, other] in [[&auth, &task], [&task, &auth]] {
        let settings = Settings::new("test", &on.place("pair").await.url).unwrap();
        let said = on_engine!(settings, DB => {
            Database::<DB>::open(&settings, first).await.unwrap();
            Database::<DB>::open(&settings, other).await.unwrap_err().to_string()
        });
        assert!(said.contains("another service, which needs one of its own"), "{said}");
    }
}
