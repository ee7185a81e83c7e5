//! The same write many times at the same moment.

use e2e::{AuthServer, Engine, TaskServer, on_every_engine};
use shared::pb::task::{CreateTaskRequest, ListTasksRequest, Task};
use tokio::task::JoinSet;
use uuid::Uuid;

on_every_engine!(sixty_four_times_at_once_it_is_done_once);

const TIMES: usize = 64;

/// As many servers as the engine is made for.
async fn start(on: Engine, auth: &AuthServer) -> Vec<TaskServer> {
    let place = on.place("task").await;
    let mut servers = vec![TaskServer::start_at(auth, place.clone(), []).await];
    if on == Engine::Postgres {
        servers.push(TaskServer::start_at(auth, place, []).await);
    }
    servers
}

async fn sixty_four_times_at_once_it_is_done_once(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let servers = start(on, &auth).await;
    let mut ann = servers[0].register(&auth, "ann").await;
    for round in 0..3 {
        let request = CreateTaskRequest {
            task: Some(Task { title: round.to_string(), ..Task::default() }),
            request_id: Uuid::new_v4().to_string(),
        };
        let mut calls = JoinSet::new();
        for number in 0..TIMES {
            let mut there = ann.at(servers[number % servers.len()].channel());
            let request = request.clone();
            calls.spawn(async move { there.tasks.create_task(request).await });
        }
        let answers = calls.join_all().await.into_iter();
        let tasks: Vec<_> = answers.map(|it| it.unwrap().into_inner().task.unwrap()).collect();
        assert_eq!(tasks, vec![tasks[0].clone(); TIMES]);
        let listed = ann.tasks.list_tasks(ListTasksRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.tasks.len(), round + 1);
        assert!(listed.tasks.contains(&tasks[0]));
    }
}
