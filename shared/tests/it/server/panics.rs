//! Handlers that panic.

use tonic::Code;
use tonic_types::StatusExt;

use super::{
    Served,
    client::{Answer, order},
    service::{DO, HALF},
};

/// The text, and the details, of an internal error name the call as the log does.
pub(crate) fn names_the_call(answer: &Answer) {
    let info = answer.status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["call_id"], answer.id);
    assert_eq!(answer.status.message(), format!("internal error in call {}", answer.id));
}

#[tokio::test]
async fn a_panic_ends_its_own_call_and_no_other() {
    let server = Served::with([("MAX_CALLS", "2")]).await;
    let mut client = server.client().await;
    let other = client.order("wait").await;
    server.service.until_running(1).await;
    for path in [DO, HALF] {
        let headers = [("x-request-id", "clumsy")];
        let answer = client.begin(path, &headers, &order("panic a secret")).await.end().await;
        assert_eq!(answer.kind(), (Code::Internal, "INTERNAL".to_owned()), "{path}");
        assert_eq!(answer.id, "clumsy");
        names_the_call(&answer);
        assert_eq!(client.call().await, Code::Ok, "{path}");
    }
    server.service.gate.send_replace(true);
    assert_eq!(other.end().await.status.code(), Code::Ok);
    server.until("server_calls", 0).await;
}
