//! Users who go, and a service that is told of them, for the tests of erasures.

use std::time::Duration;

use e2e::{AuthServer, PATIENCE, Person, SERVICE_SECRET, refused, until};
use shared::pb::auth::{
    AcknowledgeErasureRequest, AcknowledgeErasureResponse, DeleteCurrentUserRequest,
    DeleteCurrentUserResponse, Erasure, ErasureConfirmationState, ErasureState, GetErasureRequest,
    GetErasureResponse, IssueServiceTokenRequest, TrustHead, WatchErasuresRequest,
    WatchErasuresResponse,
};
use tokio::time::timeout;
use tonic::{Code, Response, Status, Streaming};
use uuid::Uuid;

use super::{service_token, watcher::client};

/// Asks for the end of this person's account, whatever comes of it.
pub(super) async fn delete(
    person: &mut Person,
    password: &str,
    erasure_id: &str,
) -> Result<Response<DeleteCurrentUserResponse>, Status> {
    let (current_password, erasure_id) = (password.to_owned(), erasure_id.to_owned());
    let request = DeleteCurrentUserRequest { current_password, erasure_id };
    person.users.delete_current_user(request).await
}

/// Ends the account of somebody whose password is everybody's.
pub(crate) async fn deleted(person: &mut Person) -> Erasure {
    let answer = delete(person, e2e::PASSWORD, "").await;
    answer.unwrap().into_inner().erasure.unwrap()
}

/// Asks for an erasure, whatever comes of it.
pub(super) async fn ask(
    server: &AuthServer,
    id: &str,
) -> Result<Response<GetErasureResponse>, Status> {
    server.anonymous().auth.get_erasure(GetErasureRequest { id: id.to_owned() }).await
}

/// How far an erasure is.
pub(crate) async fn erasure(server: &AuthServer, id: &str) -> Erasure {
    ask(server, id).await.unwrap().into_inner().erasure.unwrap()
}

/// The erasure, once this service itself has done its part.
pub(crate) async fn confirmed_here(server: &AuthServer, id: &str) -> Erasure {
    let is_done = async || state(&erasure(server, id).await, "auth-service") == CONFIRMED;
    until("the service itself has confirmed", is_done).await;
    erasure(server, id).await
}

/// The erasure, once nobody is waited for.
pub(crate) async fn complete(server: &AuthServer, id: &str) -> Erasure {
    let is_done = async || erasure(server, id).await.state() == ErasureState::Complete;
    until("the erasure is complete", is_done).await;
    erasure(server, id).await
}

pub(super) const PENDING: ErasureConfirmationState = ErasureConfirmationState::Pending;
pub(super) const CONFIRMED: ErasureConfirmationState = ErasureConfirmationState::Confirmed;
pub(super) const REMOVED: ErasureConfirmationState = ErasureConfirmationState::Removed;

/// How far the part of a service is.
pub(super) fn state(erasure: &Erasure, service: &str) -> ErasureConfirmationState {
    let mut parts = erasure.confirmations.iter();
    parts.find(|part| part.service == service).expect("the service has a part").state()
}

/// The services that have a part, in order.
pub(super) fn services(erasure: &Erasure) -> Vec<&str> {
    erasure.confirmations.iter().map(|part| part.service.as_str()).collect()
}

/// A new token of a service, registered by this name with this scope alone.
pub(super) async fn token_with_scope(server: &AuthServer, name: &str, scope: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, SERVICE_SECRET).unwrap();
    let line = format!("services add {name} --scope {scope} --secret-file {}", file.display());
    server.operate(&line).await.unwrap();
    let (service, secret) = (name.to_owned(), SERVICE_SECRET.to_owned());
    let request = IssueServiceTokenRequest { service, secret };
    server.anonymous().auth.issue_service_token(request).await.unwrap().into_inner().access_token
}

/// Confirms an erasure with this token, whatever comes of it.
pub(crate) async fn acknowledge(
    server: &AuthServer,
    token: &str,
    user_id: &str,
    counts: &[(&str, i64)],
) -> Result<Response<AcknowledgeErasureResponse>, Status> {
    let counts = counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count));
    let (user_id, deleted_counts) = (user_id.to_owned(), counts.collect());
    let request = AcknowledgeErasureRequest { user_id, deleted_counts };
    client(server, token).acknowledge_erasure(request).await
}

/// A service that is told of whoever has been deleted.
pub(super) struct Listener(Streaming<WatchErasuresResponse>);

impl Listener {
    pub(super) async fn try_start(
        server: &AuthServer,
        token: &str,
        cursor: Option<TrustHead>,
    ) -> Result<Response<Self>, Status> {
        let answer = client(server, token).watch_erasures(WatchErasuresRequest { cursor }).await?;
        Ok(Response::new(Self(answer.into_inner())))
    }

    /// A service that goes on from this cursor.
    pub(super) async fn start(server: &AuthServer, cursor: Option<TrustHead>) -> Self {
        let token = service_token(server, "listener").await;
        Self::try_start(server, &token, cursor).await.unwrap().into_inner()
    }

    /// The next message, or how the stream ends.
    pub(super) async fn message(&mut self) -> Result<WatchErasuresResponse, Status> {
        timeout(PATIENCE, self.next()).await.expect("a message in time")
    }

    async fn next(&mut self) -> Result<WatchErasuresResponse, Status> {
        self.0.message().await.map(|message| message.expect("a stream ends with a status"))
    }

    /// Whether it hears nothing for so long.
    pub(super) async fn hears_nothing_for(&mut self, time: Duration) -> bool {
        timeout(time, self.next()).await.is_err()
    }

    /// The next user that it is told of, and the cursor.
    pub(super) async fn told(&mut self) -> (Uuid, TrustHead) {
        loop {
            let message = self.message().await.unwrap();
            assert_eq!(message.deleted_user.is_some(), message.cursor.is_some());
            if let (Some(user), Some(cursor)) = (message.deleted_user, message.cursor) {
                return (user.user_id.parse().unwrap(), cursor);
            }
        }
    }

    /// The next users that it is told of.
    pub(super) async fn told_of(&mut self, count: usize) -> Vec<Uuid> {
        let mut users = Vec::new();
        for _ in 0..count {
            users.push(self.told().await.0);
        }
        users
    }

    /// How the stream ends, when there is nobody to tell of.
    pub(super) async fn end(&mut self) -> (Code, String) {
        let end = loop {
            match self.message().await {
                Ok(message) => assert_eq!(message, WatchErasuresResponse::default()),
                Err(end) => break end,
            }
        };
        let refused = refused(Err::<Response<()>, _>(end));
        (refused.code, refused.reason)
    }
}
