//! The id of a call, on whatever answer.

use tonic::Code;

use super::{
    Served,
    client::{CHECK, WATCH, order},
    service::{DO, HALF, NAME},
};

#[tokio::test]
async fn every_answer_has_the_id_of_its_call() {
    let settings = [("MAX_CALLS", "1"), ("MAX_STREAMS", "1"), ("CALL_TIMEOUT", "2s")];
    let server = Served::with(settings).await;
    let mut client = server.client().await;
    let unknown = format!("/{NAME}/Unknown");
    let unimplemented = format!("/{NAME}/Login");
    for (path, text, code) in [
        (DO, "", Code::Ok),
        (DO, "panic", Code::Internal),
        (HALF, "", Code::Internal),
        (DO, "wait", Code::DeadlineExceeded),
        (CHECK, "", Code::Ok),
        (unknown.as_str(), "", Code::Unimplemented),
        ("/nothing", "", Code::Unimplemented),
        (unimplemented.as_str(), "", Code::Unimplemented),
    ] {
        for id in ["mine", "not plain"] {
            let headers = [("x-request-id", id), ("grpc-timeout", "100m")];
            let answer = client.begin(path, &headers, &order(text)).await.end().await;
            assert_eq!(answer.status.code(), code, "{path} {text}");
            assert_eq!(answer.id == id, id == "mine", "{path} {text}: {}", answer.id);
        }
    }
    let _watch = client.watch(&[]).await.answered().await.unwrap();
    let _call = client.order("wait").await;
    server.service.until_running(1).await;
    for path in [DO, WATCH] {
        let headers = [("x-request-id", "mine")];
        let refused = client.begin(path, &headers, &order("")).await.end().await;
        assert_eq!((refused.status.code(), refused.id.as_str()), (Code::ResourceExhausted, "mine"));
    }
}
