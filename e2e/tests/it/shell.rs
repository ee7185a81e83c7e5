//! What the server shell does for every RPC.

use std::time::Duration;

use e2e::{AuthServer, Identity, TaskServer, refused};
use shared::pb::{
    auth::ListSigningKeysRequest,
    task::{CreateTaskRequest, Task},
};
use tonic::{
    Code, Request, Response, Status, client::Grpc, service::interceptor::InterceptedService,
};
use tonic_prost::ProstCodec;

/// A message whose first field is bytes where every other has a string or a message.
#[derive(Clone, PartialEq, prost::Message)]
struct Bytes {
    #[prost(bytes = "vec", tag = "1")]
    first: Vec<u8>,
}

#[tokio::test]
async fn a_request_that_can_not_be_read_is_the_clients_fault() {
    let auth = AuthServer::start().await;
    let task = TaskServer::start(&auth).await;
    let ann = task.register(&auth, "ann").await;
    for path in ["TaskService/GetTask", "TaskService/CreateTask", "ProjectService/ListProjects"] {
        let channel = InterceptedService::new(task.channel(), Identity::bearer(&ann.token));
        let mut client = Grpc::new(channel);
        client.ready().await.unwrap();
        let path = format!("/taskmanager.task.v1.{path}").parse().unwrap();
        let request = Request::new(Bytes { first: vec![0xff, 0xfe] });
        let codec = ProstCodec::<Bytes, ()>::default();
        let answer: Result<Response<()>, Status> = client.unary(request, path, codec).await;
        let refused = refused(answer);
        assert_eq!(refused.kind(), (Code::InvalidArgument, "REQUEST_UNREADABLE"));
        assert!(!refused.message.contains("GetTaskRequest"), "{}", refused.message);
    }
}

#[tokio::test]
async fn a_call_has_an_id_which_is_the_clients_if_it_is_plain() {
    let auth = AuthServer::start().await;
    let call = async |id: Option<&str>| {
        let mut request = Request::new(ListSigningKeysRequest {});
        if let Some(id) = id {
            request.metadata_mut().insert("x-request-id", id.parse().unwrap());
        }
        let answer = auth.anonymous().auth.list_signing_keys(request).await.unwrap();
        answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(call(Some("plain-id_1.2")).await, "plain-id_1.2");
    let long = "x".repeat(65);
    for odd in [None, Some(""), Some("two words"), Some("a\tb"), Some("a\"b"), Some(long.as_str())]
    {
        let made = call(odd).await;
        assert_eq!(made.len(), 36, "{odd:?} becomes {made}");
    }
}

#[tokio::test]
async fn a_server_ends_although_a_client_holds_on() {
    let auth = AuthServer::start().await;
    let mut ann = auth.register("ann").await;
    let ended = tokio::time::timeout(Duration::from_secs(30), auth.stop()).await;
    assert!(ended.is_ok());
    let late = ann.auth.list_signing_keys(ListSigningKeysRequest {}).await;
    assert_eq!(late.unwrap_err().code(), Code::Unavailable);
}

/// Whoever copies the file then has everything.
#[tokio::test]
async fn after_a_clean_end_the_data_are_in_one_file() {
    let auth = AuthServer::start().await;
    let task = TaskServer::start(&auth).await;
    let mut ann = task.register(&auth, "ann").await;
    let task_of_ann = Task { title: "Water the plants".to_owned(), ..Task::default() };
    let request = CreateTaskRequest { task: Some(task_of_ann), ..Default::default() };
    ann.tasks.create_task(request).await.unwrap();
    for place in [task.stop().await, auth.stop().await] {
        let file = place.url.strip_prefix("sqlite://").unwrap().to_owned();
        let beside = std::fs::metadata(format!("{file}-wal")).map_or(0, |wal| wal.len());
        assert_eq!(beside, 0, "{file}");
    }
}
