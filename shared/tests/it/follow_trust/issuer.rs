//! An issuer that says what the test wants, over a real channel.

use std::time::Instant;

use shared::{
    clock::Time,
    pb::auth::{
        AcknowledgeErasureRequest, AcknowledgeErasureResponse, GetErasureRequest,
        GetErasureResponse, IssueServiceTokenRequest, IssueServiceTokenResponse,
        ListSigningKeysRequest, ListSigningKeysResponse, LoginRequest, LoginResponse,
        LogoutRequest, LogoutResponse, RefreshTokenRequest, RefreshTokenResponse, RegisterRequest,
        RegisterResponse, SigningKey, ValidateTokenRequest, ValidateTokenResponse,
        WatchErasuresRequest, WatchErasuresResponse, WatchTrustRequest, WatchTrustResponse,
        auth_service_server::AuthService, trust_service_server::TrustService,
    },
    trust::{Head, News, PublicKey},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status};

/// Whether a token is given, and until when it is good.
pub(crate) type TokenAnswer = Result<Time, Status>;

#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) token: watch::Receiver<TokenAnswer>,
    pub(crate) asked: mpsc::UnboundedSender<Asked>,
    pub(crate) opened: mpsc::UnboundedSender<Opened>,
    pub(crate) watched: mpsc::UnboundedSender<Watched>,
    pub(crate) confirmed: mpsc::UnboundedSender<Confirmed>,
}

/// A token was asked for.
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) service: String,
    pub(crate) secret: String,
}

/// A stream was opened.
pub(crate) struct Opened {
    pub(crate) at: Instant,
    pub(crate) head: Option<Head>,
    pub(crate) authorization: String,
    stream: mpsc::UnboundedSender<Result<WatchTrustResponse, Status>>,
}

impl Opened {
    pub(crate) fn say(&self, news: &News) {
        self.send(message(news));
    }

    pub(crate) fn send(&self, message: WatchTrustResponse) {
        self.stream.send(Ok(message)).expect("the stream is open");
    }

    pub(crate) fn end(self, status: Status) {
        self.stream.send(Err(status)).expect("the stream is open");
    }
}

/// A stream of erasures was opened.
pub(crate) struct Watched {
    pub(crate) at: Instant,
    pub(crate) cursor: Option<Head>,
    pub(crate) authorization: String,
    stream: mpsc::UnboundedSender<Result<WatchErasuresResponse, Status>>,
}

impl Watched {
    pub(crate) fn send(&self, message: WatchErasuresResponse) {
        self.stream.send(Ok(message)).expect("the stream is open");
    }

    pub(crate) fn end(self, status: Status) {
        self.stream.send(Err(status)).expect("the stream is open");
    }
}

/// An erasure was confirmed. Dropped, it is not answered with sense.
pub(crate) struct Confirmed {
    pub(crate) request: AcknowledgeErasureRequest,
    pub(crate) authorization: String,
    pub(crate) answer: oneshot::Sender<Result<(), Status>>,
}

/// The token of a request.
fn authorization<T>(request: &Request<T>) -> String {
    let authorization = request.metadata().get("authorization").expect("a token");
    authorization.to_str().expect("a text").to_owned()
}

/// News as the issuer sends them.
pub(crate) fn message(news: &News) -> WatchTrustResponse {
    WatchTrustResponse {
        head: news.head.map(Into::into),
        is_snapshot: news.is_snapshot,
        signing_keys: news.keys.iter().flatten().map(published).collect(),
        revocations: news.revocations.iter().copied().map(Into::into).collect(),
        forgotten_time: news.forgotten.map(Into::into),
    }
}

fn published(key: &PublicKey) -> SigningKey {
    SigningKey {
        kid: key.kid().to_owned(),
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        r#use: "sig".to_owned(),
        x: key.x(),
        ..SigningKey::default()
    }
}

#[tonic::async_trait]
impl TrustService for Issuer {
    type WatchTrustStream = UnboundedReceiverStream<Result<WatchTrustResponse, Status>>;

    async fn watch_trust(
        &self,
        request: Request<WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        let authorization = authorization(&request);
        let head = request.into_inner().head.map(|head| Head::try_from(head).unwrap());
        let (stream, messages) = mpsc::unbounded_channel();
        let _ = self.opened.send(Opened { at: Instant::now(), head, authorization, stream });
        Ok(Response::new(UnboundedReceiverStream::new(messages)))
    }

    type WatchErasuresStream = UnboundedReceiverStream<Result<WatchErasuresResponse, Status>>;

    async fn watch_erasures(
        &self,
        request: Request<WatchErasuresRequest>,
    ) -> Result<Response<Self::WatchErasuresStream>, Status> {
        let authorization = authorization(&request);
        let cursor = request.into_inner().cursor.map(|head| Head::try_from(head).unwrap());
        let (stream, messages) = mpsc::unbounded_channel();
        let _ = self.watched.send(Watched { at: Instant::now(), cursor, authorization, stream });
        Ok(Response::new(UnboundedReceiverStream::new(messages)))
    }

    async fn acknowledge_erasure(
        &self,
        request: Request<AcknowledgeErasureRequest>,
    ) -> Result<Response<AcknowledgeErasureResponse>, Status> {
        let (answer, answered) = oneshot::channel();
        let authorization = authorization(&request);
        let request = request.into_inner();
        let _ = self.confirmed.send(Confirmed { request, authorization, answer });
        answered.await.map_err(|_| Status::unavailable("lost"))??;
        Ok(Response::new(AcknowledgeErasureResponse {}))
    }
}

#[tonic::async_trait]
impl AuthService for Issuer {
    async fn issue_service_token(
        &self,
        request: Request<IssueServiceTokenRequest>,
    ) -> Result<Response<IssueServiceTokenResponse>, Status> {
        let IssueServiceTokenRequest { service, secret } = request.into_inner();
        let _ = self.asked.send(Asked { at: Instant::now(), service, secret });
        let end = self.token.borrow().clone()?;
        Ok(Response::new(IssueServiceTokenResponse {
            access_token: uuid::Uuid::new_v4().to_string(),
            token_type: "Bearer".to_owned(),
            access_token_expire_time: Some(end.into()),
            scopes: vec!["trust.watch".to_owned()],
        }))
    }

    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        Err(Status::unimplemented("register"))
    }

    async fn login(&self, _: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        Err(Status::unimplemented("login"))
    }

    async fn refresh_token(
        &self,
        _: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        Err(Status::unimplemented("refresh_token"))
    }

    async fn logout(&self, _: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        Err(Status::unimplemented("logout"))
    }

    async fn validate_token(
        &self,
        _: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        Err(Status::unimplemented("validate_token"))
    }

    async fn list_signing_keys(
        &self,
        _: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        Err(Status::unimplemented("list_signing_keys"))
    }

    async fn get_erasure(
        &self,
        _: Request<GetErasureRequest>,
    ) -> Result<Response<GetErasureResponse>, Status> {
        Err(Status::unimplemented("get_erasure"))
    }
}
