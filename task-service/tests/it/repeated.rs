//! Writes that are repeated because the program was killed before their answers came: each is done
//! once, and answered as if nothing had happened.

mod audit;

use std::time::Duration;

use e2e::{
    AuthServer, Chance, Engine, Identity, PATIENCE, Person, Place, SERVICE_SECRET,
    lane::{Answer, Call, History, Lane},
    on_every_engine,
    program::Running,
    until,
    wire::{State, Wire},
};
use shared::pb::task::ListTasksRequest;
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout},
};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::program::{PROGRAM, registered};

on_every_engine!(a_write_whose_answer_is_lost_is_done_once);

/// How often the program is killed.
const KILLS: usize = 100;
/// How many writes are under way when it is, of how many people.
const LANES: usize = 6;
const NAMES: [&str; 2] = ["ann", "bob"];

/// A program that is killed again and again, and those who write to it.
struct Scene {
    auth: AuthServer,
    place: Place,
    directory: TempDir,
    running: Option<Running>,
    wire: Wire,
    tokens: Vec<String>,
    lanes: Vec<Lane>,
    /// What has been sent and not been answered, lane by lane.
    pending: Vec<Option<Call>>,
    /// How many writes were answered.
    answered: i64,
    chance: Chance,
    /// How long an answer takes.
    usual: Duration,
}

async fn start(auth: &AuthServer, place: &Place, directory: &TempDir) -> Running {
    let (url, secret) = (auth.url(), ("TASK_SERVICE_SECRET", SERVICE_SECRET));
    let settings =
        [secret, ("TASK_AUTH_URL", url.as_str()), ("TASK_DATABASE_URL", place.url.as_str())];
    PROGRAM.start(directory.path(), &settings).await
}

impl Scene {
    async fn new(on: Engine) -> Self {
        let auth = AuthServer::start_now().await;
        let (place, directory) = (on.place("task").await, tempfile::tempdir().unwrap());
        registered(&auth).await;
        let running = start(&auth, &place, &directory).await;
        running.healthy().await;
        audit::begin(&place.url).await;
        let mut tokens = Vec::new();
        for name in NAMES {
            tokens.push(auth.register(name).await.token);
        }
        Self {
            wire: Wire::to(&running.url()).await,
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            pending: (0..LANES).map(|_| None).collect(),
            running: Some(running),
            answered: 0,
            chance: Chance::new(7),
            usual: Duration::from_millis(5),
            auth,
            place,
            directory,
            tokens,
        }
    }

    /// Who writes in a lane, at the other end of a channel.
    fn writer(&self, lane: usize, channel: &Channel) -> Person {
        let token = &self.tokens[lane % self.tokens.len()];
        Person::new("writer", channel.clone(), Identity::bearer(token))
    }

    /// Sends a write from each lane, through a wire that lets no answer through.
    async fn send(&mut self) -> JoinSet<()> {
        self.wire.lead_to(&self.running.as_ref().unwrap().url());
        self.wire.set(State::Whole);
        let channel = Endpoint::from_shared(self.wire.url()).unwrap().connect_lazy();
        let first = self.writer(0, &channel);
        until("the program serves", async || {
            first.tasks.clone().list_tasks(ListTasksRequest::default()).await.is_ok()
        })
        .await;
        self.wire.set(State::OneWay);
        let mut calls = JoinSet::new();
        for lane in 0..LANES {
            if self.pending[lane].is_none() {
                self.pending[lane] = Some(self.lanes[lane].next(&mut self.chance));
            }
            let call = self.pending[lane].clone().unwrap();
            let call = call.send(self.writer(lane, &channel));
            calls.spawn(async { assert!(call.await.is_err(), "no answer comes through") });
        }
        calls
    }

    /// Kills the program while it does what was sent: as soon as it has answered some of it, or at any
    /// moment until then.
    async fn kill(&mut self, when_answered: bool) {
        let calls = self.send().await;
        let mut answers = self.wire.answers();
        let enough = *answers.borrow() + 1 + self.chance.below(LANES);
        let begun = Instant::now();
        let answered = answers.wait_for(|count| *count >= enough);
        if when_answered {
            timeout(PATIENCE, answered).await.expect("answers in time").unwrap();
            self.usual = begun.elapsed();
        } else {
            let percent = u32::try_from(self.chance.below(100)).unwrap();
            drop(timeout(self.usual * percent / 100, answered).await);
        }
        self.running.take().unwrap().kill().await;
        self.wire.set(State::Cut);
        calls.join_all().await;
        self.running = Some(start(&self.auth, &self.place, &self.directory).await);
    }

    /// Repeats what was sent until it is answered.
    async fn repeat(&mut self) {
        let channel = self.running.as_ref().unwrap().channel();
        let mut answers = JoinSet::new();
        for lane in 0..LANES {
            if let Some(call) = self.pending[lane].take() {
                let answer = answered(call.clone(), self.writer(lane, &channel));
                answers.spawn(async move { (lane, call, answer.await) });
            }
        }
        for (lane, call, answer) in answers.join_all().await {
            self.lanes[lane].take(&call, answer);
            self.answered += 1;
        }
    }
}

/// What a call is answered with in the end.
async fn answered(call: Call, writer: Person) -> Answer {
    let mut ticks = interval(Duration::from_millis(10));
    let answer = async {
        loop {
            ticks.tick().await;
            match call.clone().send(writer.clone()).await {
                Ok(answer) => return answer,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status} {call:?}"),
            }
        }
    };
    timeout(PATIENCE, answer).await.expect("an answer in time")
}

async fn a_write_whose_answer_is_lost_is_done_once(on: Engine) {
    let mut scene = Scene::new(on).await;
    for round in 0..KILLS {
        let when_answered = round % 2 == 0;
        let is_fresh = scene.pending.iter().all(Option::is_none);
        scene.kill(when_answered).await;
        if is_fresh && when_answered {
            let kept = audit::answers(&scene.place.url).await - scene.answered;
            assert!(kept > 0, "what was answered had been done");
        }
        // Some are killed a second time, while they are repeated.
        if scene.chance.below(4) > 0 {
            scene.repeat().await;
        }
    }
    scene.repeat().await;
    assert_eq!(audit::answers(&scene.place.url).await, scene.answered);
    let mut written = audit::history(&scene.place.url).await;
    let expected: History = scene.lanes.into_iter().flat_map(|lane| lane.history).collect();
    for (row, expected) in written.values_mut().flatten().zip(expected.values().flatten()) {
        // Nobody was told.
        if expected.etag.is_none() {
            row.etag = None;
        }
    }
    assert_eq!(written, expected);
}
