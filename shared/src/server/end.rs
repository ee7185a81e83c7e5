//! What ends a stream from outside.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::drain::Drain;
use crate::status;

/// Resolves to the status that a stream is ended with.
pub(super) struct End(Pin<Box<dyn Future<Output = Status> + Send>>);

impl End {
    /// The end of the server, or this deadline.
    pub(super) fn new(drain: &Drain, deadline: Option<Instant>) -> Self {
        let begun = drain.begun.clone();
        Self(Box::pin(async move {
            let deadline = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = begun.cancelled() => status::draining(),
                () = deadline => status::deadline_exceeded(),
            }
        }))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        self.0.as_mut().poll(cx)
    }
}
