//! Hears of those who are deleted, has all erased who are waiting for it, and confirms each.

use std::{convert::Infallible, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Streaming, transport::Channel};

use super::{Counts, Eraser, Erasure};
use crate::{
    clock::Clock,
    pb::auth::{
        AcknowledgeErasureRequest, WatchErasuresRequest, WatchErasuresResponse,
        trust_service_client::TrustServiceClient,
    },
    trust::{Fault, Link, Outage, Pace, TrustSource, Unanswered},
};

/// How long the issuer may say nothing: it says something every ten seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it is tried to confirm what is done, before it is looked whether it is asked for still.
const PERSISTENCE: Duration = Duration::from_mins(1);
/// How many users are erased before the first of them is confirmed, and for how long more are added.
const BATCH: usize = 256;
const GATHERING: Duration = Duration::from_secs(5);

/// Has everybody erased who is deleted, for as long as it is polled.
///
/// What can not be done now is tried again and again, and the log says so once. Dropping the future ends it
/// at any point: who was being erased then comes again.
pub async fn follow_erasures<E: Eraser>(
    source: TrustSource,
    eraser: E,
    clock: Clock,
) -> Infallible {
    let outage = Outage::without("users who are deleted are not erased here");
    let link = Link::new(source);
    Follower { eraser, link, clock, pace: Pace::default(), outage, heard: false }.follow().await
}

struct Follower<E> {
    eraser: E,
    link: Link,
    clock: Clock,
    pace: Pace,
    outage: Outage,
    /// Whether the issuer was heard of on this connection.
    heard: bool,
}

impl<E: Eraser> Follower<E> {
    /// Goes from one connection to the next.
    async fn follow(mut self) -> Infallible {
        loop {
            self.heard = false;
            let Err(end) = self.listen().await;
            let fault = match end {
                // A new one is to be had at once.
                Unanswered::Token(_) if self.heard => continue,
                end @ (Unanswered::Token(_) | Unanswered::Fault(_)) => end.into(),
            };
            self.wait_after(&fault).await;
        }
    }

    /// Says what is wrong, and waits until it may be tried again.
    async fn wait_after(&mut self, fault: &Fault) {
        self.outage.goes_on(fault, self.link.url());
        let pause = match fault {
            Fault::Refused(_) => Pace::refused(),
            Fault::Secret(_) | Fault::Away(_) | Fault::Unable(_) => self.pace.failed(),
        };
        sleep(pause).await;
    }

    /// Connects, and does what it is told until nothing comes any more.
    async fn listen(&mut self) -> Result<Infallible, Unanswered> {
        let cursor = self.eraser.cursor().await.map_err(unable)?;
        let mut client = self.connect().await?;
        let request = WatchErasuresRequest { cursor: cursor.map(Into::into) };
        let request = self.link.request(request);
        let mut stream = self.link.answer(client.watch_erasures(request)).await?;
        loop {
            let mut erased = Vec::new();
            let end = self.erase(&mut stream, &mut erased).await;
            if !erased.is_empty() {
                self.eraser.purge().await.map_err(unable)?;
            }
            for (erasure, counts) in erased {
                self.confirm(&mut client, &erasure, counts).await?;
                self.eraser.confirmed(&erasure).await.map_err(unable)?;
            }
            end?;
            self.outage.is_over();
            self.pace.succeeded();
        }
    }

    /// Waits for the next message, and has everybody erased who is told of by then.
    async fn erase(
        &mut self,
        stream: &mut Streaming<WatchErasuresResponse>,
        erased: &mut Vec<(Erasure, Counts)>,
    ) -> Result<(), Unanswered> {
        let mut told = self.next(stream).await?;
        self.heard = true;
        let began = Instant::now();
        loop {
            if let Some(erasure) = told {
                let counts = self.eraser.erase(&erasure).await.map_err(unable)?;
                erased.push((erasure, counts));
            }
            if erased.len() >= BATCH || began.elapsed() >= GATHERING {
                return Ok(());
            }
            told = match self.next(stream).now_or_never() {
                Some(told) => told?,
                None => return Ok(()),
            };
        }
    }

    async fn connect(&mut self) -> Result<TrustServiceClient<Channel>, Unanswered> {
        let channel = self.link.connect(self.clock.now()).await.map_err(Unanswered::Fault)?;
        Ok(TrustServiceClient::new(channel))
    }

    async fn next(
        &mut self,
        stream: &mut Streaming<WatchErasuresResponse>,
    ) -> Result<Option<Erasure>, Unanswered> {
        let away = |reason: String| Unanswered::Fault(Fault::Away(reason));
        match timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(message))) => Erasure::told(message)
                .map_err(|fault| away(format!("a message is malformed: {fault}"))),
            Ok(Ok(None)) => Err(away("the stream has ended".to_owned())),
            Ok(Err(status)) => Err(self.link.ended(&status)),
            Err(_) => Err(away(format!("silent for {SILENCE:?}"))),
        }
    }

    /// Confirms, and for a while again and again: it may have taken long to erase, and the token has ended
    /// meanwhile. To erase once more would take as long.
    async fn confirm(
        &mut self,
        client: &mut TrustServiceClient<Channel>,
        erasure: &Erasure,
        counts: Counts,
    ) -> Result<(), Unanswered> {
        let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let counts = counts.into_iter().map(|(kind, it)| (kind.to_owned(), count(it)));
        let message = AcknowledgeErasureRequest {
            user_id: erasure.user_id.to_string(),
            deleted_counts: counts.collect(),
        };
        let began = Instant::now();
        loop {
            let request = self.link.request(message.clone());
            let end = match self.link.answer(client.acknowledge_erasure(request)).await {
                Ok(_) => break,
                Err(end) if began.elapsed() >= PERSISTENCE => return Err(end),
                Err(end) => end,
            };
            match &end {
                Unanswered::Token(_) => sleep(self.pace.failed()).await,
                Unanswered::Fault(fault) => self.wait_after(fault).await,
            }
            match self.connect().await {
                Ok(connected) => *client = connected,
                Err(end) => self.wait_after(&end.into()).await,
            }
        }
        tracing::info!(user_id = %erasure.user_id, "a user is erased here");
        Ok(())
    }
}

/// The service itself can not now.
fn unable(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Fault(Fault::Unable(error.to_string()))
}
