//! A connection to the issuer, and the token of the service that it takes.

use std::{error::Error, time::Duration};

use secrecy::ExposeSecret;
use tokio::{task::spawn_blocking, time::timeout};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use super::{TrustSource, outage::Fault};
use crate::{
    clock::Time,
    pb::auth::{
        IssueServiceTokenRequest, IssueServiceTokenResponse, auth_service_client::AuthServiceClient,
    },
    server::causes,
};

/// How long each step of a connection may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long before its end a token is not used for a new stream any more.
const RESERVE: Duration = Duration::from_secs(30);

/// The way to the issuer.
#[derive(Debug)]
pub(crate) struct Link {
    source: TrustSource,
    token: Option<Token>,
}

#[derive(Debug, Clone)]
struct Token {
    /// The value of the authorization header. It is marked as sensitive, and so never shown.
    bearer: MetadataValue<Ascii>,
    /// Until when it may be used.
    until: Time,
}

/// Why there is no answer, or no stream any more.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The token is not accepted any more.
    Token(String),
    /// Anything else.
    Fault(Fault),
}

impl From<Unanswered> for Fault {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Token(reason) => Self::Away(reason),
            Unanswered::Fault(fault) => fault,
        }
    }
}

impl Link {
    pub(crate) fn new(source: TrustSource) -> Self {
        Self { source, token: None }
    }

    /// Where the issuer is.
    pub(crate) fn url(&self) -> &http::Uri {
        self.source.issuer.url()
    }

    /// Makes a new connection and sees to a token. Files are read anew, and a file system that hangs
    /// must not hang the service.
    pub(crate) async fn connect(&mut self, now: Time) -> Result<Channel, Fault> {
        let source = self.source.clone();
        let read = move || (source.issuer.channel(), source.credential.secret());
        let read = timeout(TIMEOUT, spawn_blocking(read)).await;
        let read = read.map_err(|_| Fault::Away("the files can not be read in time".to_owned()))?;
        let (channel, secret) = read.map_err(|panic| Fault::Away(panic.to_string()))?;
        let channel = channel.map_err(Fault::Away)?;
        if self.token.as_ref().is_none_or(|token| token.until <= now) {
            let request = IssueServiceTokenRequest {
                service: self.source.credential.service().to_owned(),
                secret: secret.map_err(Fault::Secret)?.expose_secret().to_owned(),
            };
            let mut client = AuthServiceClient::new(channel.clone());
            let answer = in_time(client.issue_service_token(request)).await;
            self.token = Some(token(&answer.map_err(|status| told(&status))?)?);
        }
        Ok(channel)
    }

    /// A request with the token.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.bearer.clone());
        }
        request
    }

    /// What a call is answered, or why it is not.
    pub(crate) async fn answer<T>(
        &mut self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Unanswered> {
        in_time(call).await.map_err(|status| self.ended(&status))
    }

    /// What the end of a call or a stream means. A token that is not accepted, or allows too little, is not
    /// shown again.
    pub(crate) fn ended(&mut self, status: &Status) -> Unanswered {
        let is_unknown = status.code() == Code::Unauthenticated;
        if is_unknown || status.code() == Code::PermissionDenied {
            self.token = None;
        }
        if is_unknown {
            return Unanswered::Token(reason(status));
        }
        Unanswered::Fault(told(status))
    }
}

/// The token of an answer.
fn token(answer: &IssueServiceTokenResponse) -> Result<Token, Fault> {
    let malformed = || Fault::Away("the issuer's token is malformed".to_owned());
    let bearer = format!("Bearer {}", answer.access_token);
    let mut bearer = MetadataValue::try_from(bearer).map_err(|_| malformed())?;
    bearer.set_sensitive(true);
    let end = answer.access_token_expire_time.ok_or_else(malformed)?;
    let end = Time::try_from(end).map_err(|_| malformed())?;
    Ok(Token { bearer, until: end.minus(RESERVE) })
}

/// The answer to a call, unless it takes too long.
async fn in_time<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    match timeout(TIMEOUT, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

/// What a refused call means for the next one.
fn told(status: &Status) -> Fault {
    if let Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument = status.code() {
        return Fault::Refused(reason(status));
    }
    Fault::Away(reason(status))
}

/// What the issuer says, or what the connection to it says.
pub(super) fn reason(status: &Status) -> String {
    match status.source() {
        Some(cause) => causes(cause),
        None => format!("{}: {}", status.code(), status.message()),
    }
}
