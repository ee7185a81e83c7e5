//! The program ended while it is busy.

use std::time::Duration;

use e2e::{
    AuthServer, Identity,
    load::{end_under_load, with_id},
};
use shared::pb::task::{CreateTaskRequest, task_service_client::TaskServiceClient};
use tonic::{Code, service::interceptor::InterceptedService};

use crate::{
    api::titled,
    program::{PROGRAM, registered},
};

#[tokio::test]
async fn ten_times_ended_under_load_it_loses_no_write() {
    let auth = AuthServer::start_now().await;
    let (url, ann) = (auth.url(), auth.register("ann").await);
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        registered(&auth).await,
        ("TASK_AUTH_URL", url.as_str()),
        ("TASK_LOG_FORMAT", "json"),
        ("TASK_SHUTDOWN_DELAY", "50ms"),
        ("TASK_DRAIN_TIMEOUT", "20s"),
    ];
    for _ in 0..10 {
        let running = PROGRAM.start(directory.path(), &settings).await;
        running.healthy().await;
        let token = Identity::bearer(&ann.token);
        let ended = end_under_load(running, move |channel, id| {
            let channel = InterceptedService::new(channel, token.clone());
            let request = CreateTaskRequest { task: Some(titled("t")), ..Default::default() };
            async move {
                let mut client = TaskServiceClient::new(channel);
                client.create_task(with_id(request, id)).await.map(drop)
            }
        });
        let ended = ended.await;
        assert_eq!((ended.code, ended.lost.as_slice()), (Some(0), [].as_slice()), "{ended:?}");
        assert!(ended.answered >= 100 && ended.took < Duration::from_secs(10), "{ended:?}");
        for stream in ended.streams {
            assert_eq!(stream, (Code::Unavailable, "DRAINING".to_owned()));
        }
    }
}
