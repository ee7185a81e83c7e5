//! Hears of those who are deleted, has all erased who are waiting for it, and confirms each.

use std::{convert::Infallible, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
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
/// How many users are confirmed together at the most, and for how long the others are waited for.
const BATCH: usize = 256;
const GATHERING: Duration = Duration::from_secs(2);

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

/// What the issuer tells on one connection.
struct Told {
    stream: Streaming<WatchErasuresResponse>,
    /// Who was told of last, and is not erased.
    next: Option<Erasure>,
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
        let stream = self.link.answer(client.watch_erasures(request)).await?;
        let (mut told, mut client) = (Told { stream, next: None }, Some(client));
        loop {
            let (erased, end) = self.gather(&mut told).await;
            if end.is_err() {
                client = None;
            }
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

    /// Waits for a message, and has everybody erased who is told of by then: all are confirmed together. Only
    /// the first may take as long as it takes; for another one who does, they do not wait.
    async fn gather(
        &mut self,
        told: &mut Told,
    ) -> (Vec<(Erasure, Counts)>, Result<(), Unanswered>) {
        let mut erased = Vec::new();
        let end = self.gather_into(&mut erased, told).await;
        (erased, end)
    }

    async fn gather_into(
        &mut self,
        erased: &mut Vec<(Erasure, Counts)>,
        told: &mut Told,
    ) -> Result<(), Unanswered> {
        let first = match told.next.take() {
            Some(erasure) => Some(erasure),
            None => self.hear(&mut told.stream).await?,
        };
        self.heard = true;
        let Some(erasure) = first else { return Ok(()) };
        let counts = self.eraser.erase(&erasure).await.map_err(unable)?;
        erased.push((erasure, counts));
        let end = Instant::now() + GATHERING;
        while erased.len() < BATCH
            && let Some(heard) = self.hear(&mut told.stream).now_or_never()
        {
            let Some(erasure) = heard? else { continue };
            let Ok(counts) = timeout_at(end, self.eraser.erase(&erasure)).await else {
                told.next = Some(erasure);
                break;
            };
            erased.push((erasure, counts.map_err(unable)?));
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<TrustServiceClient<Channel>, Unanswered> {
        let channel = self.link.connect(self.clock.now()).await.map_err(Unanswered::Fault)?;
        Ok(TrustServiceClient::new(channel))
    }

    async fn hear(
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
        client: &mut Option<TrustServiceClient<Channel>>,
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
        while let Err(end) = self.acknowledge(client, message.clone()).await {
            *client = None;
            if began.elapsed() >= PERSISTENCE {
                return Err(end);
            }
            match &end {
                Unanswered::Token(_) => sleep(self.pace.failed()).await,
                Unanswered::Fault(fault) => self.wait_after(fault).await,
            }
        }
        tracing::info!(user_id = %erasure.user_id, "a user is erased here");
        Ok(())
    }

    /// Confirms once, on this connection or on a new one.
    async fn acknowledge(
        &mut self,
        client: &mut Option<TrustServiceClient<Channel>>,
        message: AcknowledgeErasureRequest,
    ) -> Result<(), Unanswered> {
        let client = match client {
            Some(client) => client,
            None => client.insert(self.connect().await?),
        };
        let request = self.link.request(message);
        self.link.answer(client.acknowledge_erasure(request)).await?;
        Ok(())
    }
}

/// The service itself can not now.
fn unable(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Fault(Fault::Unable(error.to_string()))
}
