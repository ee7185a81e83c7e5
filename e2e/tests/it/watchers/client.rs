//! Clients that lose their connections at random, and go on at any server.

use std::time::Duration;

use e2e::{
    Chance, Person,
    lane::{Answer, Call, Lane},
};
use shared::pb::task::{WatchTasksRequest, WatchTasksResponse};
use tokio::{
    sync::watch,
    time::{Interval, interval, timeout},
};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use super::model::Model;

/// How long a client holds out for an answer, at the most.
const PATIENCE: usize = 20_000;

/// Somebody's way to the servers.
pub(super) struct Client {
    person: Person,
    urls: Vec<String>,
    chance: Chance,
    channel: Option<Channel>,
    /// When a failed call is made again.
    pause: Interval,
}

impl Client {
    pub(super) fn new(person: &Person, urls: &[String], seed: u64) -> Self {
        Self {
            person: person.clone(),
            urls: urls.to_vec(),
            chance: Chance::new(seed),
            channel: None,
            pause: interval(Duration::from_millis(10)),
        }
    }

    /// The person, at any of the servers, on the connection that there is or on another.
    fn somewhere(&mut self) -> Person {
        if self.chance.below(3) == 0 {
            self.channel = None;
        }
        let url = self.chance.pick(&self.urls);
        let connect = || Endpoint::from_shared(url).unwrap().connect_lazy();
        self.person.at(self.channel.get_or_insert_with(connect).clone())
    }

    /// A call has failed, as calls do at a server that ends or has too much to do.
    async fn failed(&mut self, status: &Status) {
        let reason = status.get_details_error_info().map(|info| info.reason);
        let of_server = ["DRAINING", "OVERLOADED", "TRUST_UNAVAILABLE"];
        match reason {
            Some(reason) => assert!(of_server.contains(&reason.as_str()), "{status}"),
            None => assert_ne!(status.code(), Code::Ok, "a connection has ended"),
        }
        self.channel = None;
        self.pause.tick().await;
    }
}

/// Writes one thing after another, each until it is answered.
pub(super) async fn write(mut client: Client, writes: usize, progress: watch::Sender<usize>) {
    let mut lane = Lane::default();
    for _ in 0..writes {
        let call = lane.next(&mut client.chance);
        let answer = answered(&mut client, &call).await;
        lane.take(&call, answer);
        progress.send_modify(|count| *count += 1);
    }
}

async fn answered(client: &mut Client, call: &Call) -> Answer {
    loop {
        let patience = match client.chance.below(4) {
            0 => client.chance.below(PATIENCE),
            _ => 1_000 * PATIENCE,
        };
        let patience = Duration::from_micros(patience.try_into().unwrap());
        match timeout(patience, call.clone().send(client.somewhere())).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(status)) => client.failed(&status).await,
            Err(_) => {}
        }
    }
}

/// Somebody who watches, on and off.
pub(super) struct Watcher {
    client: Client,
    model: Model,
    /// Where to go on, and the etag that was told last.
    cursor: String,
    last: String,
    /// Whether everything is written.
    end: watch::Receiver<bool>,
    /// How often it has gone on where it was.
    resumed: usize,
}

impl Watcher {
    pub(super) fn new(client: Client, end: watch::Receiver<bool>) -> Self {
        let (model, cursor, last) = Default::default();
        Self { client, model, cursor, last, end, resumed: 0 }
    }

    /// Watches until everything is written and told. The answer is what is known then, and how often it
    /// has gone on where it was.
    pub(super) async fn watch(mut self) -> (Model, usize) {
        while !*self.end.borrow() {
            self.follow().await;
        }
        while !self.catch_up().await {}
        (self.model, self.resumed)
    }

    /// Follows for a while.
    async fn follow(&mut self) {
        if self.client.chance.below(20) == 0 {
            (self.model, self.cursor, self.last) = Default::default();
        }
        let Some(mut messages) = self.open(true).await else { return };
        let mut end = self.end.clone();
        for _ in 0..=self.client.chance.below(5) {
            let message = tokio::select! {
                message = messages.message() => message,
                _ = end.wait_for(|end| *end) => return,
            };
            match message {
                Ok(message) => self.apply(message.expect("it has no end")),
                Err(status) => return self.client.failed(&status).await,
            }
        }
    }

    /// Hears of everything that there is; the answer is whether that went well.
    async fn catch_up(&mut self) -> bool {
        let Some(mut messages) = self.open(false).await else { return false };
        let mut is_current = false;
        loop {
            match messages.message().await {
                Ok(Some(message)) => {
                    is_current = message.current;
                    self.apply(message);
                }
                Ok(None) => {
                    assert!(is_current, "it ends when everything is told");
                    return true;
                }
                Err(status) => {
                    self.client.failed(&status).await;
                    return false;
                }
            }
        }
    }

    async fn open(&mut self, follow: bool) -> Option<Streaming<WatchTasksResponse>> {
        let request = WatchTasksRequest { cursor: self.cursor.clone(), follow };
        match self.client.somewhere().tasks.watch_tasks(request).await {
            Ok(messages) => {
                self.resumed += usize::from(!self.cursor.is_empty());
                Some(messages.into_inner())
            }
            Err(status) => {
                self.client.failed(&status).await;
                None
            }
        }
    }

    fn apply(&mut self, message: WatchTasksResponse) {
        for change in message.changes {
            self.model.apply(change, &mut self.last);
        }
        self.cursor = message.cursor;
    }
}
