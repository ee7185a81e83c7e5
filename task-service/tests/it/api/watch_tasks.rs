//! `TaskService.WatchTasks`.

use std::{collections::BTreeSet, time::Duration};

use e2e::{Engine, Identity, PATIENCE, Person, TaskServer, on_every_engine, refused, until};
use shared::pb::{
    auth::LogoutRequest,
    task::{
        Change, DeleteProjectRequest, DeleteTaskRequest, Task, UpdateTaskRequest,
        WatchTasksRequest, WatchTasksResponse, change::Resource,
        task_service_client::TaskServiceClient,
    },
};
use tokio::time::{interval, timeout};
use tonic::{
    Code, Status, Streaming, service::interceptor::InterceptedService, transport::Endpoint,
};

use super::{Scene, create_project, create_task, invalid, titled};

on_every_engine!(
    it_begins_with_everything_and_goes_on_with_what_changes,
    without_follow_it_ends_when_everything_is_told,
    without_follow_nothing_is_left_out_that_changes_meanwhile,
    a_deletion_is_told,
    it_goes_on_from_its_cursor_on_any_server,
    nobody_hears_of_what_is_not_theirs,
    a_cursor_is_good_for_its_caller_alone,
    a_cursor_older_than_what_is_kept_is_out_of_range,
    a_silent_stream_says_where_it_is,
    it_ends_with_its_session,
    it_ends_when_its_token_does,
    it_ends_with_the_server,
    who_reads_slowly_is_told_so_and_goes_on_from_the_cursor,
    a_caller_has_so_many_streams_and_no_more,
);

/// A stream, and where it is.
pub(super) struct Watch {
    stream: Streaming<WatchTasksResponse>,
    cursor: String,
}

impl Watch {
    pub(super) async fn begin(by: &mut Person, cursor: &str, follow: bool) -> Self {
        let request = WatchTasksRequest { cursor: cursor.to_owned(), follow };
        let stream = by.tasks.watch_tasks(request).await.unwrap().into_inner();
        Self { stream, cursor: cursor.to_owned() }
    }

    /// The next message; nothing at the end.
    async fn next(&mut self) -> Result<Option<WatchTasksResponse>, Status> {
        let message = timeout(PATIENCE, self.stream.message()).await.expect("a message in time")?;
        if let Some(message) = &message {
            self.cursor = message.cursor.clone();
        }
        Ok(message)
    }

    /// What is told until everything is.
    pub(super) async fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let message = self.next().await.unwrap().unwrap();
            told.extend(message.changes.into_iter().map(name));
            if message.current {
                return told;
            }
        }
    }

    /// How it ends.
    pub(super) async fn end(&mut self) -> (Code, String) {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return (Code::Ok, String::new()),
                Err(status) => {
                    let end = refused::<()>(Err(status));
                    return (end.code, end.reason);
                }
            }
        }
    }
}

/// What a change is about.
fn name(change: Change) -> String {
    match change.resource.unwrap() {
        Resource::Task(task) if task.delete_time.is_some() => format!("-{}", task.title),
        Resource::Task(task) => task.title,
        Resource::Project(project) => project.title,
        Resource::DeletedProjectId(_) => "-project".to_owned(),
    }
}

async fn rename(by: &mut Person, id: &str, title: &str) {
    let task = Some(Task { id: id.to_owned(), ..titled(title) });
    by.tasks.update_task(UpdateTaskRequest { task, ..Default::default() }).await.unwrap();
}

async fn it_begins_with_everything_and_goes_on_with_what_changes(on: Engine) {
    let mut scene = Scene::new(on).await;
    let task = create_task(&mut scene.ann, titled("one")).await;
    create_project(&mut scene.ann, "p").await;
    rename(&mut scene.ann, &task.id, "uno").await;
    let mut watch = Watch::begin(&mut scene.ann, "", true).await;
    assert_eq!(watch.told().await, ["p", "uno"]);
    for title in ["two", "three"] {
        create_task(&mut scene.ann, titled(title)).await;
        assert_eq!(watch.told().await, [title]);
    }
}

async fn without_follow_it_ends_when_everything_is_told(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut watch = Watch::begin(&mut scene.ann, "", false).await;
    let message = watch.next().await.unwrap().unwrap();
    assert_eq!((message.changes, message.current), (vec![], true));
    assert_eq!(watch.end().await, (Code::Ok, String::new()));
    create_task(&mut scene.ann, titled("one")).await;
    for told in [vec!["one"], vec![]] {
        let mut again = Watch::begin(&mut scene.ann, &watch.cursor, false).await;
        assert_eq!(again.told().await, told);
        assert_eq!(again.end().await, (Code::Ok, String::new()));
        watch = again;
    }
}

async fn without_follow_nothing_is_left_out_that_changes_meanwhile(on: Engine) {
    let mut scene = Scene::new(on).await;
    let large =
        |title: usize| Task { description: "🦀".repeat(10_000), ..titled(&title.to_string()) };
    let mut ids = Vec::new();
    for number in 0..90 {
        ids.push(create_task(&mut scene.ann, large(number)).await.id);
    }
    let mut watch = Watch::begin(&mut scene.ann, "", false).await;
    let mut told =
        watch.next().await.unwrap().unwrap().changes.into_iter().map(name).collect::<BTreeSet<_>>();
    assert!((1..45).contains(&told.len()), "{}", told.len());
    // All that has not been told yet comes after everything that there was at the beginning.
    for (number, id) in ids.iter().enumerate().skip(told.len()) {
        rename(&mut scene.ann, id, &format!("{number} again")).await;
    }
    let mut is_current = false;
    while let Some(message) = watch.next().await.unwrap() {
        is_current = message.current;
        told.extend(message.changes.into_iter().map(name));
    }
    let known = told.iter().map(|name| name.split(' ').next().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!((known.len(), is_current), (90, true));
}

async fn a_deletion_is_told(on: Engine) {
    let mut scene = Scene::new(on).await;
    let project_id = create_project(&mut scene.ann, "p").await.id;
    let one = create_task(&mut scene.ann, titled("one")).await;
    create_task(&mut scene.ann, Task { project_id: project_id.clone(), ..titled("two") }).await;
    let mut watch = Watch::begin(&mut scene.ann, "", true).await;
    assert_eq!(watch.told().await, ["p", "one", "two"]);
    let delete = DeleteTaskRequest { id: one.id, ..Default::default() };
    scene.ann.tasks.delete_task(delete).await.unwrap();
    assert_eq!(watch.told().await, ["-one"]);
    let delete = DeleteProjectRequest { id: project_id, force: true, ..Default::default() };
    scene.ann.projects.delete_project(delete).await.unwrap();
    assert_eq!(watch.told().await, ["-two", "-project"]);
}

async fn it_goes_on_from_its_cursor_on_any_server(on: Engine) {
    // No bookmark shall tell what was missed.
    let silent = [("TASK_WATCH_BOOKMARK_INTERVAL", "1h")];
    let mut scene = Scene::with(on, silent).await;
    let second = TaskServer::start_at(&scene.auth, scene.server.place(), silent).await;
    let mut there = scene.ann.at(second.channel());
    create_task(&mut scene.ann, titled("one")).await;
    let mut watch = Watch::begin(&mut there, "", true).await;
    assert_eq!(watch.told().await, ["one"]);
    create_task(&mut scene.ann, titled("two")).await;
    assert_eq!(watch.told().await, ["two"]);
    let cursor = watch.cursor.clone();
    drop(watch);
    create_task(&mut there, titled("three")).await;
    let mut watch = Watch::begin(&mut scene.ann, &cursor, true).await;
    assert_eq!(watch.told().await, ["three"]);
}

async fn nobody_hears_of_what_is_not_theirs(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut watch = Watch::begin(&mut scene.bob, "", true).await;
    assert_eq!(watch.told().await, <[&str; 0]>::default());
    create_task(&mut scene.ann, titled("ann's")).await;
    create_task(&mut scene.bob, titled("bob's")).await;
    assert_eq!(watch.told().await, ["bob's"]);
}

async fn a_cursor_is_good_for_its_caller_alone(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut watch = Watch::begin(&mut scene.ann, "", false).await;
    watch.told().await;
    let good = watch.cursor;
    let mut forged = good.clone().into_bytes();
    forged[3] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    let page_token = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for cursor in [&good[1..], &forged, page_token, "x", "\0", "é", &"A".repeat(10_000)] {
        let request = WatchTasksRequest { cursor: cursor.to_owned(), follow: true };
        assert_eq!(invalid(scene.ann.tasks.watch_tasks(request).await), ["cursor"], "{cursor}");
    }
    let request = WatchTasksRequest { cursor: good, follow: true };
    assert_eq!(invalid(scene.bob.tasks.watch_tasks(request).await), ["cursor"]);
}

async fn a_cursor_older_than_what_is_kept_is_out_of_range(on: Engine) {
    let settings = [("TASK_DELETED_RETENTION", "1h")];
    let mut scene = Scene::with(on, settings).await;
    let task = create_task(&mut scene.ann, titled("one")).await;
    let mut watch = Watch::begin(&mut scene.ann, "", false).await;
    watch.told().await;
    let delete = DeleteTaskRequest { id: task.id, ..Default::default() };
    scene.ann.tasks.delete_task(delete).await.unwrap();
    scene.auth.clock.advance(Duration::from_hours(1));
    // A start looks for what is over.
    let server = scene.server.restart().await;
    let mut ann = scene.ann.again(scene.auth.channel()).await.at(server.channel());
    until("the task is purged", async || {
        let request = WatchTasksRequest { cursor: watch.cursor.clone(), follow: true };
        match ann.clone().tasks.watch_tasks(request).await {
            Ok(_) => false,
            gone => {
                assert_eq!(refused(gone).kind(), (Code::OutOfRange, "RESYNC_REQUIRED"));
                true
            }
        }
    })
    .await;
    let mut watch = Watch::begin(&mut ann, "", true).await;
    assert_eq!(watch.told().await, <[&str; 0]>::default());
}

async fn a_silent_stream_says_where_it_is(on: Engine) {
    let mut scene = Scene::with(on, [("TASK_WATCH_BOOKMARK_INTERVAL", "100ms")]).await;
    create_task(&mut scene.ann, titled("one")).await;
    let mut watch = Watch::begin(&mut scene.ann, "", true).await;
    watch.told().await;
    for _ in 0..3 {
        let bookmark = watch.next().await.unwrap().unwrap();
        assert_eq!((bookmark.changes, bookmark.current), (vec![], true));
    }
    let cursor = watch.cursor;
    create_task(&mut scene.ann, titled("two")).await;
    assert_eq!(Watch::begin(&mut scene.ann, &cursor, true).await.told().await, ["two"]);
}

async fn it_ends_with_its_session(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut watch = Watch::begin(&mut scene.ann, "", true).await;
    let mut others = Watch::begin(&mut scene.bob, "", true).await;
    watch.told().await;
    others.told().await;
    let refresh_token = scene.ann.refresh_token.clone();
    let mut anonymous = scene.auth.anonymous().auth;
    anonymous.logout(LogoutRequest { refresh_token }).await.unwrap();
    let revoked = (Code::Unauthenticated, "TOKEN_REVOKED".to_owned());
    assert_eq!(watch.end().await, revoked);
    create_task(&mut scene.bob, titled("bob's")).await;
    assert_eq!(others.told().await, ["bob's"]);
}

async fn it_ends_when_its_token_does(on: Engine) {
    let mut scene = Scene::new(on).await;
    create_task(&mut scene.ann, titled("one")).await;
    let mut watch = Watch::begin(&mut scene.ann, "", true).await;
    watch.told().await;
    scene.auth.clock.advance(Duration::from_mins(16));
    assert_eq!(watch.end().await, (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()));
    let mut ann = scene.ann.again(scene.auth.channel()).await.at(scene.server.channel());
    create_task(&mut ann, titled("two")).await;
    assert_eq!(Watch::begin(&mut ann, &watch.cursor, true).await.told().await, ["two"]);
}

async fn it_ends_with_the_server(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut watch = Watch::begin(&mut scene.ann, "", true).await;
    watch.told().await;
    create_task(&mut scene.ann, titled("one")).await;
    watch.told().await;
    let (server, end) = tokio::join!(scene.server.restart(), watch.end());
    assert_eq!(end, (Code::Unavailable, "DRAINING".to_owned()));
    let mut ann = scene.ann.at(server.channel());
    create_task(&mut ann, titled("two")).await;
    assert_eq!(Watch::begin(&mut ann, &watch.cursor, true).await.told().await, ["two"]);
}

async fn who_reads_slowly_is_told_so_and_goes_on_from_the_cursor(on: Engine) {
    let mut scene = Scene::with(on, [("TASK_CALL_TIMEOUT", "4s")]).await;
    let large = Task { description: "🦀".repeat(10_000), ..titled("t") };
    for _ in 0..60 {
        create_task(&mut scene.ann, large.clone()).await;
    }
    let endpoint = Endpoint::from_shared(scene.server.url()).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    let identity = Identity::bearer(&scene.ann.token);
    let mut tasks = TaskServiceClient::new(InterceptedService::new(channel, identity));
    let request = WatchTasksRequest { follow: true, ..Default::default() };
    let stream = tasks.watch_tasks(request).await.unwrap().into_inner();
    let mut watch = Watch { stream, cursor: String::new() };
    // More than half of the time that a call may take, and less than all of it.
    let mut pause = interval(Duration::from_millis(2_500));
    pause.tick().await;
    pause.tick().await;
    let mut told = 0;
    let end = loop {
        match watch.next().await {
            Ok(message) => told += message.unwrap().changes.len(),
            Err(end) => break refused::<()>(Err(end)),
        }
    };
    assert_eq!(end.kind(), (Code::ResourceExhausted, "SLOW_READER"));
    assert!((1..60).contains(&told), "{told}");
    let rest = Watch::begin(&mut scene.ann, &watch.cursor, true).await.told().await.len();
    assert_eq!(told + rest, 60);
}

async fn a_caller_has_so_many_streams_and_no_more(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut watches = Vec::new();
    for _ in 0..16 {
        let mut ann = scene.ann.at(scene.server.channel());
        watches.push(Watch::begin(&mut ann, "", true).await);
    }
    let mut ann = scene.ann.at(scene.server.channel());
    let request = WatchTasksRequest { follow: true, ..Default::default() };
    let full = refused(ann.tasks.watch_tasks(request).await);
    assert_eq!(full.kind(), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(full.retry.is_some());
    Watch::begin(&mut scene.bob, "", true).await.told().await;
    drop(watches.pop());
    until("there is room again", async || {
        let request = WatchTasksRequest { follow: true, ..Default::default() };
        scene.ann.at(scene.server.channel()).tasks.watch_tasks(request).await.is_ok()
    })
    .await;
}
