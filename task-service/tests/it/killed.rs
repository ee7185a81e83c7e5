//! The program killed while it is busy.

use e2e::{AuthServer, Engine, Identity, Person, on_every_engine, until};
use shared::pb::task::CreateTaskRequest;
use tokio::task::JoinSet;

use crate::{
    api::{get_task, titled},
    program::{PROGRAM, registered},
};

on_every_engine!(no_acknowledged_write_is_lost_when_the_program_is_killed);

/// Creates tasks until nobody answers any more. Those that were acknowledged.
async fn create(mut ann: Person) -> Vec<String> {
    let mut kept = Vec::new();
    loop {
        let request = CreateTaskRequest { task: Some(titled("t")), ..Default::default() };
        match ann.tasks.create_task(request).await {
            Ok(answer) => kept.push(answer.into_inner().task.unwrap().id),
            Err(_) => return kept,
        }
    }
}

async fn no_acknowledged_write_is_lost_when_the_program_is_killed(on: Engine) {
    let auth = AuthServer::start_now().await;
    let (url, ann) = (auth.url(), auth.register("ann").await);
    let (place, directory) = (on.place("task").await, tempfile::tempdir().unwrap());
    let settings = [
        registered(&auth).await,
        ("TASK_AUTH_URL", url.as_str()),
        ("TASK_DATABASE_URL", place.url.as_str()),
        ("TASK_METRICS_ADDR", "127.0.0.1:0"),
    ];
    let mut kept = Vec::new();
    for _ in 0..3 {
        let running = PROGRAM.start(directory.path(), &settings).await;
        running.healthy().await;
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            clients.spawn(create(running.somebody(Identity::bearer(&ann.token))));
        }
        let committed = async || running.metric("db_writes_committed_total").await;
        until("writes are done", async || committed().await > 200).await;
        running.kill().await;
        kept.extend(clients.join_all().await.concat());
    }
    assert!(kept.len() > 500, "{} were acknowledged", kept.len());
    let running = PROGRAM.start(directory.path(), &settings).await;
    running.healthy().await;
    let mut ann = running.somebody(Identity::bearer(&ann.token));
    for id in &kept {
        get_task(&mut ann, id).await;
    }
}
