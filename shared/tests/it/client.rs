//! When a call is made again, and with what. Answers come from a script, and time passes when nothing
//! else happens.

use std::{
    collections::{BTreeSet, VecDeque},
    future::{Ready, pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use shared::{
    client::{Client, Policy},
    pb::{
        auth::LoginRequest,
        task::{CreateTaskRequest, GetTaskRequest, Task},
    },
    status::{refusal, retry_after},
};
use tokio::{task::JoinSet, time::Instant};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

/// A service that answers what it is told to, and then OK.
#[derive(Debug)]
struct Script<M>(Arc<Mutex<Told<M>>>);

#[derive(Debug)]
struct Told<M> {
    answers: VecDeque<Status>,
    attempts: Vec<(Duration, Request<M>)>,
    began: Instant,
}

impl<M> Clone for Script<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Send> Script<M> {
    fn new(answers: impl IntoIterator<Item = Status>) -> Self {
        let answers = answers.into_iter().collect();
        let told = Told { answers, attempts: Vec::new(), began: Instant::now() };
        Self(Arc::new(Mutex::new(told)))
    }

    fn answer(&mut self, request: Request<M>) -> Ready<Result<Response<()>, Status>> {
        let mut told = self.0.lock().unwrap();
        let at = told.began.elapsed();
        told.attempts.push((at, request));
        ready(told.answers.pop_front().map_or(Ok(Response::new(())), Err))
    }

    /// Never answers.
    async fn hang(&mut self, request: Request<M>) -> Result<Response<()>, Status> {
        drop(self.answer(request).await);
        pending().await
    }

    /// When the attempts were made.
    fn times(&self) -> Vec<Duration> {
        self.0.lock().unwrap().attempts.iter().map(|(at, _)| *at).collect()
    }

    /// What passed from each attempt to the next.
    fn pauses(&self) -> Vec<Duration> {
        let times = self.times();
        times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
    }

    /// The `grpc-timeout` of each attempt.
    fn timeouts(&self) -> Vec<Duration> {
        let told = self.0.lock().unwrap();
        let headers = told.attempts.iter().map(|(_, it)| it.metadata().get("grpc-timeout"));
        headers.map(|header| micros(header.unwrap().to_str().unwrap())).collect()
    }
}

impl Script<CreateTaskRequest> {
    /// The `request_id` of each attempt.
    fn ids(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        told.attempts.iter().map(|(_, it)| it.get_ref().request_id.clone()).collect()
    }
}

fn micros(timeout: &str) -> Duration {
    Duration::from_micros(timeout.strip_suffix('u').unwrap().parse().unwrap())
}

/// What a connection says that is refused: no `RetryInfo`.
fn away() -> Status {
    Status::unavailable("connection refused")
}

fn away_for(delay: Duration) -> Status {
    retry_after(delay, Code::Unavailable, "DATABASE_UNAVAILABLE", "the database is not available")
}

fn nobody() -> Client {
    Client::anonymous(Policy::default())
}

async fn read(client: &Client, script: &Script<GetTaskRequest>) -> Result<(), Status> {
    client.read(script, Script::answer, GetTaskRequest::default()).await
}

fn code(answer: Result<(), Status>) -> Code {
    answer.expect_err("a refusal").code()
}

#[tokio::test(start_paused = true)]
async fn unavailable_alone_is_called_again() {
    let codes = (1..=16).map(Code::from).filter(|code| *code != Code::Unavailable);
    for refused in codes {
        let script = Script::new([refusal(refused, "REASON", "no")]);
        assert_eq!(code(read(&nobody(), &script).await), refused);
        assert_eq!(script.times().len(), 1, "{refused:?}");
    }
    let script = Script::new([away(), away()]);
    read(&nobody(), &script).await.unwrap();
    assert_eq!(script.times().len(), 3);
    let script = Script::new([away(), refusal(Code::NotFound, "TASK_NOT_FOUND", "no")]);
    assert_eq!(code(read(&nobody(), &script).await), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn what_neither_reads_nor_has_a_request_id_is_called_once() {
    let script = Script::new([away()]);
    let answer = nobody().call(&script, Script::answer, LoginRequest::default()).await;
    assert_eq!(code(answer), Code::Unavailable);
    assert_eq!(script.times().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_are_never_alike() {
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let script = Script::new([(); 7].map(|()| away()));
        read(&nobody(), &script).await.unwrap();
        let pauses = script.pauses();
        for (pause, longest) in pauses.iter().zip([150, 300, 600, 1200, 2000, 2000, 2000]) {
            // The timer rounds up to a millisecond.
            let range = Duration::from_millis(longest / 2)..=Duration::from_millis(longest + 2);
            assert!(range.contains(pause), "{pauses:?}");
        }
        seen.insert(pauses);
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_sooner_than_the_answer_asks_for() {
    for delay in [SECOND, 5 * SECOND] {
        let script = Script::new([away_for(delay), away_for(delay), away_for(delay)]);
        read(&nobody(), &script).await.unwrap();
        let pauses = script.pauses();
        assert!(pauses.iter().all(|pause| *pause > delay), "{pauses:?}");
        assert!(pauses[0] < delay + Duration::from_millis(200), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_asks_for_more_time_than_there_is_is_the_last() {
    for delay in [30 * SECOND, Duration::from_secs(1 << 37), Duration::MAX] {
        let script = Script::new([away_for(delay)]);
        assert_eq!(code(read(&nobody(), &script).await), Code::Unavailable);
        assert_eq!(script.times(), [Duration::ZERO]);
    }
}

#[tokio::test(start_paused = true)]
async fn all_attempts_share_one_deadline() {
    let began = Instant::now();
    let client = nobody().within(10 * SECOND);
    let script = Script::new([(); 100].map(|()| away_for(SECOND)));
    assert_eq!(code(read(&client, &script).await), Code::Unavailable);
    assert!(began.elapsed() <= 10 * SECOND, "{:?}", began.elapsed());
    let (times, timeouts) = (script.times(), script.timeouts());
    assert!(times.len() >= 4, "{times:?}");
    for (at, timeout) in times.iter().zip(timeouts) {
        assert_eq!(*at + timeout, 10 * SECOND, "each is told what is left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    let began = Instant::now();
    let script = Script::new([]);
    let client = nobody().within(3 * SECOND);
    let answer = client.read(&script, Script::hang, GetTaskRequest::default()).await;
    assert_eq!(code(answer), Code::DeadlineExceeded);
    assert_eq!(began.elapsed().as_secs(), 3);
    let script = Script::new([]);
    let client = nobody().within(Duration::MAX);
    let answer = client.read(&script, Script::hang, GetTaskRequest::default()).await;
    assert_eq!(code(answer), Code::DeadlineExceeded, "forever is a day");
}

#[tokio::test(start_paused = true)]
async fn all_calls_share_one_budget() {
    let client = Client::anonymous(Policy { budget: 10, ..Policy::default() });
    let other = client.within(60 * SECOND);
    // Ten, less three, and a tenth back; less three.
    let script = Script::new([away(), away(), away()]);
    read(&client, &script).await.unwrap();
    let script = Script::new([away(), away(), away()]);
    assert_eq!(code(read(&other, &script).await), Code::Unavailable);
    assert_eq!(script.times().len(), 3);
    // What is called once takes part: 3.1 are left.
    let script = Script::new([away()]);
    drop(client.call(&script, Script::answer, LoginRequest::default()).await);

    // Six and a failure are half of them, which is not more than half.
    let good = Script::new([]);
    for (successes, attempts) in [(29, 1), (11, 2)] {
        for _ in 0..successes {
            read(&client, &good).await.unwrap();
        }
        let script = Script::new([away()]);
        drop(read(&other, &script).await);
        assert_eq!(script.times().len(), attempts);
    }
}

fn create(request_id: &str) -> CreateTaskRequest {
    let task = Some(Task { title: "t".to_owned(), ..Task::default() });
    CreateTaskRequest { task, request_id: request_id.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_at_a_write_has_the_same_request_id() {
    let script = Script::new([away(), away_for(SECOND)]);
    for _ in 0..2 {
        nobody().write(&script, Script::answer, create("")).await.unwrap();
    }
    let ids = script.ids();
    let [a, b, c, another] = ids.as_slice() else { panic!("{ids:?}") };
    assert!(a == b && b == c && Uuid::try_parse(a).is_ok(), "{ids:?}");
    assert_ne!(a, another, "another call has another");

    let own = Uuid::new_v4().to_string();
    let script = Script::new([away()]);
    nobody().write(&script, Script::answer, create(&own)).await.unwrap();
    assert_eq!(script.ids(), [own.clone(), own]);
}

#[tokio::test(start_paused = true)]
async fn calls_may_be_made_side_by_side() {
    let (client, script) = (nobody(), Script::new([(); 16].map(|()| away())));
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let (client, script) = (client.clone(), script.clone());
        calls.spawn(async move { client.write(&script, Script::answer, create("")).await });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    let ids: BTreeSet<String> = script.ids().into_iter().collect();
    assert_eq!((script.times().len(), ids.len()), (32, 16));
}
