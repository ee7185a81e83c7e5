//! A service that watches, for the tests of `TrustService`.

use std::{collections::BTreeSet, time::Duration};

use e2e::{As, AuthServer, Identity, PATIENCE, refused};
use shared::pb::auth::{
    LogoutRequest, SigningKey, TrustHead, WatchTrustRequest, WatchTrustResponse,
    trust_service_client::TrustServiceClient,
};
use tokio::time::timeout;
use tonic::{Code, Response, Status, Streaming, service::interceptor::InterceptedService};
use uuid::Uuid;

use super::{service_token, session};

/// A service that watches.
pub(super) struct Watcher(Streaming<WatchTrustResponse>);

/// What a watcher is told up to a head.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) head: TrustHead,
    pub(super) is_snapshot: bool,
    pub(super) keys: Vec<SigningKey>,
    pub(super) revoked: BTreeSet<Uuid>,
    /// How many revocations each message had.
    pub(super) sizes: Vec<usize>,
}

/// `TrustService`, called with this token.
pub(super) fn client(server: &AuthServer, token: &str) -> TrustServiceClient<As> {
    TrustServiceClient::new(InterceptedService::new(server.channel(), Identity::bearer(token)))
}

impl Watcher {
    pub(super) async fn try_start(
        server: &AuthServer,
        token: &str,
        head: Option<TrustHead>,
    ) -> Result<Response<Self>, Status> {
        let answer = client(server, token).watch_trust(WatchTrustRequest { head }).await?;
        Ok(Response::new(Self(answer.into_inner())))
    }

    /// A new service that has come this far.
    pub(super) async fn start(server: &AuthServer, head: Option<TrustHead>) -> Self {
        let token = service_token(server, "watcher").await;
        Self::try_start(server, &token, head).await.unwrap().into_inner()
    }

    /// The next message, or how the stream ends.
    pub(super) async fn message(&mut self) -> Result<WatchTrustResponse, Status> {
        let message = timeout(PATIENCE, self.0.message()).await.expect("a message in time");
        message.map(|message| message.expect("a stream ends with a status"))
    }

    /// Everything up to the next head.
    pub(super) async fn told(&mut self) -> Told {
        let mut told = Told::default();
        loop {
            let message = self.message().await.unwrap();
            assert!(message.head.is_some() || message.signing_keys.is_empty(), "keys come last");
            told.is_snapshot = message.is_snapshot;
            told.keys.extend(message.signing_keys);
            told.sizes.push(message.revocations.len());
            for revocation in message.revocations {
                assert!(told.revoked.insert(Uuid::from_slice(&revocation.id).unwrap()));
            }
            assert_eq!(message.head.is_some(), message.forgotten_time.is_some());
            if let Some(head) = message.head {
                return Told { head, ..told };
            }
        }
    }

    /// What is told next that is news.
    pub(super) async fn news(&mut self) -> Told {
        let wait = async {
            loop {
                let told = self.told().await;
                if told.is_snapshot || !told.keys.is_empty() || !told.revoked.is_empty() {
                    return told;
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("news in time")
    }

    /// How the stream ends.
    pub(super) async fn end(&mut self) -> (Code, String) {
        let wait = async {
            loop {
                if let Err(status) = self.message().await {
                    let refused = refused(Err::<Response<()>, _>(status));
                    return (refused.code, refused.reason);
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("it ends in time")
    }

    /// Nothing comes for this long.
    pub(super) async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.0.message()).await.is_err()
    }
}

/// Begins and ends a session; the answer is its id.
pub(super) async fn end_one(server: &AuthServer) -> Uuid {
    let tokens = session(server, "ann").await;
    let request = LogoutRequest { refresh_token: tokens.refresh_token };
    server.anonymous().auth.logout(request).await.unwrap();
    Uuid::parse_str(&tokens.session_id).unwrap()
}
