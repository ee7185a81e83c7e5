//! A call over HTTP/2, with everything prepared that can be.

use std::{future::poll_fn, net::SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    RecvStream,
    client::{Builder, SendRequest},
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use prost::Message;
use tokio::net::TcpStream;

use crate::Failure;

/// How many bytes may be on their way to us, on a stream and on a connection.
const WINDOW: u32 = 4 * 1024 * 1024;
/// The bytes before a message: whether it is compressed, and how long it is.
const PREFIX: usize = 5;

/// What a caller asks for, again and again.
pub(in crate::bench) trait Work: Send + 'static {
    /// The next request, framed.
    fn next(&mut self) -> Bytes;

    /// Takes note of what it was answered with.
    fn answered(&mut self, message: Bytes) -> Result<(), Failure> {
        drop(message);
        Ok(())
    }
}

/// A connection to a server, which is there as long as somebody uses it.
pub(in crate::bench) struct Connection {
    addr: SocketAddr,
    requests: SendRequest<Bytes>,
}

/// Calls one RPC, one call after another.
pub(in crate::bench) struct Caller {
    requests: SendRequest<Bytes>,
    uri: Uri,
    headers: HeaderMap,
    work: Box<dyn Work>,
}

impl Connection {
    pub(in crate::bench) async fn open(addr: SocketAddr) -> Result<Self, Failure> {
        let socket = TcpStream::connect(addr).await?;
        socket.set_nodelay(true)?;
        let mut http = Builder::new();
        http.initial_window_size(WINDOW).initial_connection_window_size(4 * WINDOW);
        let (requests, connection) = http.handshake(socket).await?;
        // What goes wrong here is told to whoever calls.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { addr, requests })
    }

    /// Somebody who calls this RPC with this token.
    pub(in crate::bench) fn caller(
        &self,
        rpc: &str,
        token: &str,
        work: impl Work,
    ) -> Result<Caller, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        if !token.is_empty() {
            headers.insert("authorization", format!("Bearer {token}").parse()?);
        }
        let uri = format!("http://{}{rpc}", self.addr).parse()?;
        Ok(Caller { requests: self.requests.clone(), uri, headers, work: Box::new(work) })
    }
}

impl Caller {
    /// Makes one call.
    pub(in crate::bench) async fn call(&mut self) -> Result<(), Failure> {
        let (headers, mut body) = self.ask().await?;
        let mut message = Bytes::new();
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
            message = joined(message, part);
        }
        match body.trailers().await? {
            Some(trailers) => ok(&trailers)?,
            None => ok(&headers)?,
        }
        self.work.answered(message.slice(PREFIX.min(message.len())..))
    }

    /// Opens a stream, and waits for its first message; it is open as long as the answer is kept.
    pub(in crate::bench) async fn watch(&mut self) -> Result<RecvStream, Failure> {
        let (headers, mut body) = self.ask().await?;
        let Some(part) = body.data().await else { return Err(refused(&headers)) };
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        Ok(body)
    }

    async fn ask(&mut self) -> Result<(HeaderMap, RecvStream), Failure> {
        poll_fn(|context| self.requests.poll_ready(context)).await?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let (answer, mut stream) = self.requests.send_request(request, false)?;
        stream.send_data(self.work.next(), true)?;
        let answer = answer.await?;
        if answer.status() != 200 {
            return Err(format!("HTTP says {}", answer.status()).into());
        }
        let (head, body) = answer.into_parts();
        Ok((head.headers, body))
    }
}

/// A message as gRPC sends it.
pub(in crate::bench) fn framed(message: &impl Message) -> Bytes {
    let size = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + size);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
    bytes.put(message.encode_to_vec().as_slice());
    bytes.freeze()
}

fn joined(message: Bytes, part: Bytes) -> Bytes {
    if message.is_empty() {
        return part;
    }
    let mut whole = BytesMut::from(message);
    whole.extend_from_slice(&part);
    whole.freeze()
}

fn ok(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get("grpc-status") {
        Some(status) if status == "0" => Ok(()),
        _ => Err(refused(headers)),
    }
}

/// Why a call was not answered with OK.
fn refused(headers: &HeaderMap) -> Failure {
    let text = |name| headers.get(name).and_then(|it: &HeaderValue| it.to_str().ok());
    let [status, message] =
        ["grpc-status", "grpc-message"].map(|name| text(name).unwrap_or("nothing"));
    format!("a call was answered with gRPC status {status}: {message}").into()
}

#[cfg(test)]
mod tests {
    use shared::pb::task::GetTaskRequest;

    use super::*;

    #[test]
    fn a_message_says_how_long_it_is() {
        let message = framed(&GetTaskRequest { id: "abc".to_owned() });
        assert_eq!(&message[..], b"\0\0\0\0\x05\x0a\x03abc");
        assert_eq!(joined(message.slice(..2), message.slice(2..)), message);
    }

    #[test]
    fn only_ok_is_ok() {
        let told = |headers: &[(&'static str, &'static str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            ok(&headers.collect::<HeaderMap>()).map_err(|failure| failure.to_string())
        };
        assert_eq!(told(&[("grpc-status", "0")]), Ok(()));
        let refused = told(&[("grpc-status", "5"), ("grpc-message", "gone")]).unwrap_err();
        assert!(refused.ends_with("status 5: gone"), "{refused}");
        assert!(told(&[]).is_err());
    }
}
