//! The body of a response, until the peer has taken all of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::{Code, Status, body::Body};

use super::{
    admission::Place,
    call::panicked,
    end::End,
    peer::{Offer, Peer, UnderWay},
    record::Record,
    rpcs::Kind,
};
use crate::status;

/// An answer goes out in parts of this size, each when the peer has taken the one before. One that is
/// larger keeps its call's place until the last, so that the memory of all answers is bounded by the
/// number of places.
pub(super) const PART: usize = 16 * 1024;

/// The body of a response, with all that lasts as long as it does.
pub(super) struct Answer {
    body: Body,
    /// What is left of the frame that the body gave last.
    rest: Bytes,
    /// What ends a stream from outside.
    end: Option<End>,
    /// When a peer that takes the answer bit by bit must have all of it. A stream has no such end.
    taken_by: Option<Instant>,
    /// How long a peer may leave a part of a stream untaken.
    patience: Duration,
    /// Whether it has left one for longer.
    is_slow: bool,
    is_over: bool,
    record: Record,
    place: Option<Place>,
    peer: Arc<Peer>,
    offer: Option<Offer>,
    _under_way: Calling,
}

/// That a call is under way, for whoever waits until none is.
#[derive(Debug)]
pub(super) struct Calling {
    /// For the connection, which may go when it has none.
    pub(super) _of_peer: UnderWay,
    /// For the end of the server, which waits for calls and not for streams.
    pub(super) _in_all: Option<TaskTrackerToken>,
}

impl Answer {
    pub(super) fn new(
        body: Body,
        record: Record,
        place: Option<Place>,
        end: Option<End>,
        peer: &Arc<Peer>,
        patience: Duration,
        under_way: Calling,
    ) -> Self {
        Self {
            is_over: body.is_end_stream(),
            body,
            rest: Bytes::new(),
            taken_by: end.is_none().then(|| Instant::now() + patience),
            patience,
            is_slow: false,
            end,
            record,
            place,
            peer: Arc::clone(peer),
            offer: None,
            _under_way: under_way,
        }
    }

    /// Ends the answer with this status.
    fn end(&mut self, status: &Status) -> Result<Frame<Bytes>, Status> {
        self.is_over = true;
        let better = self.explain(status);
        let status = better.as_ref().unwrap_or(status);
        self.record.end(status.code());
        let mut trailers = http::HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }

    /// A status in the middle of an answer as ours are. A stream is still being asked then; anybody
    /// else has been understood, and it is the answer that can not be written.
    fn explain(&self, status: &Status) -> Option<Status> {
        let Record { rpc, id, .. } = &self.record;
        let is_ours = !status.details().is_empty();
        match (status.code(), rpc.kind) {
            (Code::Internal, _) if is_ours => Some(status::internal(id.as_str())),
            (Code::Internal, Kind::Stream) => Some(status::unreadable()),
            (Code::Internal | Code::OutOfRange, Kind::Unary | Kind::Check) if !is_ours => {
                tracing::error!(cause = status.message(), "an answer can not be written");
                Some(status::internal(id.as_str()))
            }
            _ => None,
        }
    }

    /// Passes on what the body gives.
    fn pass(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Status> {
        let frame = match frame.into_data() {
            Ok(data) => {
                if data.len() <= PART && self.end.is_none() {
                    self.place = None;
                }
                self.rest = data;
                return Ok(self.part());
            }
            Err(frame) => frame,
        };
        match frame.trailers_ref().and_then(Status::from_header_map) {
            Some(status) => self.end(&status),
            None => Ok(frame),
        }
    }

    /// Offers the next part to the peer.
    fn part(&mut self) -> Frame<Bytes> {
        self.offer = Some(self.peer.offer());
        let size = self.rest.len().min(PART);
        Frame::data(self.rest.split_to(size))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // Being asked for more means that the part before has been taken.
        if let Some(offer) = self.offer.take() {
            self.is_slow |= self.end.is_some() && offer.age() > self.patience;
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.taken_by.is_some_and(|end| end < Instant::now()) {
            let late = status::deadline_exceeded();
            self.is_over = true;
            self.record.end(late.code());
            return Poll::Ready(Some(Err(late)));
        }
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.part())));
        }
        // Whoever is slow has got the whole of this message, and can go on after it.
        if self.is_slow {
            return Poll::Ready(Some(self.end(&status::slow_reader())));
        }
        // Looked at first: a stream that always has something to say must end too.
        if let Some(Poll::Ready(status)) = self.end.as_mut().map(|end| end.poll(cx)) {
            return Poll::Ready(Some(self.end(&status)));
        }
        let body = Pin::new(&mut self.body);
        match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            Ok(Poll::Ready(Some(Ok(frame)))) => Poll::Ready(Some(self.pass(frame))),
            Ok(Poll::Ready(Some(Err(status)))) => Poll::Ready(Some(self.end(&status))),
            Ok(Poll::Ready(None)) => Poll::Ready(None),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Some(self.end(&panicked(&*panic)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
