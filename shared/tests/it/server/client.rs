//! A client that speaks HTTP/2 well, and shows all that it hears.

use std::{error::Error, net::SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    Ping, PingPong, RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Method, Request, StatusCode};
use prost::Message;
use shared::pb::auth::ValidateTokenRequest;
use tokio::{net::TcpStream, task::JoinHandle};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::{ErrorDetails, StatusExt};

use super::service::DO;
use crate::support::soon;

pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// One connection.
pub(crate) struct Client {
    send: SendRequest<Bytes>,
    pings: PingPong,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A call under way.
pub(crate) struct Call {
    pub(crate) request: SendStream<Bytes>,
    response: ResponseFuture,
}

/// An answer that has begun.
pub(crate) struct Stream {
    pub(crate) http: StatusCode,
    headers: HeaderMap,
    body: RecvStream,
}

/// How a call has ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// What `x-request-id` says.
    pub(crate) id: String,
    pub(crate) data: Bytes,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self::connect_as(addr, &Builder::new()).await
    }

    pub(crate) async fn connect_as(addr: SocketAddr, settings: &Builder) -> Self {
        Self::try_connect(addr, settings).await.unwrap()
    }

    /// The same where the server may not want the connection.
    pub(crate) async fn try_connect(
        addr: SocketAddr,
        settings: &Builder,
    ) -> Result<Self, Box<dyn Error>> {
        let socket = TcpStream::connect(addr).await?;
        let (send, mut connection) = settings.handshake(socket).await?;
        let pings = connection.ping_pong().unwrap();
        let mut client = Self { send, pings, connection: tokio::spawn(connection) };
        client.ping().await?;
        Ok(client)
    }

    /// Waits for an answer to a ping: all that the server has said before has come by then.
    pub(crate) async fn ping(&mut self) -> Result<(), h2::Error> {
        soon(self.pings.ping(Ping::opaque())).await.map(drop)
    }

    /// How many calls the server lets one connection have.
    pub(crate) fn most_calls(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Begins a call whose request is still to come.
    pub(crate) async fn open(&mut self, path: &str, headers: &[(&str, &str)]) -> Call {
        self.send = soon(self.send.clone().ready()).await.unwrap();
        let uri = format!("http://server{path}");
        let mut request = Request::post(uri).header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("te", "trailers").body(()).unwrap();
        let (response, request) = self.send.send_request(request, false).unwrap();
        Call { request, response }
    }

    /// What HTTP says to a request of this kind.
    pub(crate) async fn http(&mut self, method: Method, kind: &str) -> StatusCode {
        self.send = soon(self.send.clone().ready()).await.unwrap();
        let request = Request::builder().method(method).uri(format!("http://server{DO}"));
        let request = request.header("content-type", kind).body(()).unwrap();
        let (response, _) = self.send.send_request(request, true).unwrap();
        soon(response).await.unwrap().status()
    }

    /// Begins a call with this request.
    pub(crate) async fn begin(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        message: &impl Message,
    ) -> Call {
        let mut call = self.open(path, headers).await;
        call.request.send_data(framed(message), true).unwrap();
        call
    }

    /// Begins a call that tells the service what to do.
    pub(crate) async fn order(&mut self, text: &str) -> Call {
        self.begin(DO, &[], &order(text)).await
    }

    /// The code that a call which does nothing ends with.
    pub(crate) async fn call(&mut self) -> Code {
        self.order("").await.end().await.status.code()
    }

    /// What the health says at once.
    pub(crate) async fn check(&mut self) -> i32 {
        let call = self.begin(CHECK, &[], &HealthCheckRequest::default()).await;
        health(&call.end().await.data)
    }

    /// Watches the health.
    pub(crate) async fn watch(&mut self, headers: &[(&str, &str)]) -> Call {
        self.begin(WATCH, headers, &HealthCheckRequest::default()).await
    }

    /// Resolves when the server has closed the connection.
    pub(crate) async fn closed(self) -> Result<(), h2::Error> {
        let Self { send, pings: _pings, connection } = self;
        let ended = soon(connection).await.unwrap();
        drop(send);
        ended
    }
}

impl Call {
    /// Waits for the head of the answer.
    pub(crate) async fn answered(self) -> Result<Stream, h2::Error> {
        let (head, body) = soon(self.response).await?.into_parts();
        Ok(Stream { http: head.status, headers: head.headers, body })
    }

    /// Waits for all of the answer.
    pub(crate) async fn end(self) -> Answer {
        self.answered().await.unwrap().end().await.unwrap()
    }

    /// The error of a call that is answered by none.
    pub(crate) async fn broken(self) -> h2::Error {
        match self.answered().await {
            Ok(stream) => stream.end().await.expect_err("a broken call"),
            Err(error) => error,
        }
    }
}

impl Stream {
    /// The next part of the body. What is taken makes room for more.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, h2::Error> {
        let Some(part) = soon(self.body.data()).await.transpose()? else { return Ok(None) };
        self.body.flow_control().release_capacity(part.len())?;
        Ok(Some(part))
    }

    pub(crate) async fn end(mut self) -> Result<Answer, h2::Error> {
        let mut data = BytesMut::new();
        while let Some(part) = self.next().await? {
            data.put(part);
        }
        let trailers = soon(self.body.trailers()).await?;
        let status = trailers.as_ref().and_then(Status::from_header_map);
        let status = status.or_else(|| Status::from_header_map(&self.headers));
        let id = self.headers.get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
        Ok(Answer {
            status: status.expect("every answer has a status"),
            id: id.expect("every answer has an id"),
            data: data.freeze(),
        })
    }
}

impl Answer {
    /// The code, and the reason of the `ErrorInfo`.
    pub(crate) fn kind(&self) -> (Code, String) {
        crate::support::told(&self.status)
    }

    pub(crate) fn details(&self) -> ErrorDetails {
        self.status.get_error_details()
    }

    /// Whether the client is told to come back.
    pub(crate) fn may_be_retried(&self) -> bool {
        self.details().retry_info().is_some()
    }
}

/// The request that tells the service what to do.
pub(crate) fn order(text: &str) -> ValidateTokenRequest {
    ValidateTokenRequest { access_token: text.to_owned() }
}

/// A message as it goes over the wire.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.len().try_into().unwrap());
    bytes.put_slice(&message);
    bytes.freeze()
}

/// What a message of the health service says.
pub(crate) fn health(message: &[u8]) -> i32 {
    HealthCheckResponse::decode(&message[5..]).unwrap().status
}
