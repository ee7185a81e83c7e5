//! The program ended while it is busy.

use std::time::Duration;

use e2e::load::{end_under_load, with_id};
use shared::pb::auth::{ListSigningKeysRequest, auth_service_client::AuthServiceClient};
use tonic::Code;

use crate::program::PROGRAM;

#[tokio::test]
async fn ten_times_ended_under_load_it_loses_no_call() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("AUTH_LOG_FORMAT", "json"),
        ("AUTH_SHUTDOWN_DELAY", "50ms"),
        ("AUTH_DRAIN_TIMEOUT", "20s"),
    ];
    for _ in 0..10 {
        let running = PROGRAM.start(directory.path(), &settings).await;
        let ended = end_under_load(running, |channel, id| async move {
            let request = with_id(ListSigningKeysRequest {}, id);
            AuthServiceClient::new(channel).list_signing_keys(request).await.map(drop)
        });
        let ended = ended.await;
        assert_eq!((ended.code, ended.lost.as_slice()), (Some(0), [].as_slice()), "{ended:?}");
        assert!(ended.answered >= 100 && ended.took < Duration::from_secs(10), "{ended:?}");
        for stream in ended.streams {
            assert_eq!(stream, (Code::Unavailable, "DRAINING".to_owned()));
        }
    }
}
