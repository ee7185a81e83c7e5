//! What others do meanwhile, at a rate that does not depend on how they are served.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use e2e::Chance;
use shared::pb::task::{
    CreateTaskRequest, GetTaskRequest, ListTasksRequest, Task, TaskPriority,
    task_service_client::TaskServiceClient,
};
use tokio::{
    runtime::Handle,
    task::{JoinHandle, JoinSet, spawn_blocking},
};
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use crate::{Failure, call::with};

/// How much time lies between a call and the next.
const INTERVAL: Duration = Duration::from_millis(10);
/// How many tasks a list shows.
const PAGE: i32 = 50;
/// What lists are ordered by.
const ORDERS: [&str; 4] = ["create_time desc", "due_time", "priority desc", "title"];
/// What is called, as often as it is here.
const TURNS: [Kind; 5] =
    [Kind::GetTask, Kind::GetTask, Kind::GetTask, Kind::ListTasks, Kind::CreateTask];

/// One of the others.
#[derive(Clone)]
pub(super) struct Other {
    /// Their own connection to task-service.
    pub(super) channel: Channel,
    pub(super) token: String,
    /// The ids of their tasks.
    pub(super) tasks: Arc<[Uuid]>,
}

/// An RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    GetTask,
    ListTasks,
    CreateTask,
}

/// A call that has been answered.
pub(super) struct Call {
    pub(super) kind: Kind,
    /// When it was to be made.
    pub(super) due: Instant,
    /// How long after that it was answered.
    pub(super) took: Duration,
    pub(super) answer: Result<(), Status>,
}

/// The others at work.
pub(super) struct Work {
    is_over: Arc<AtomicBool>,
    calls: JoinHandle<JoinSet<Call>>,
}

impl Work {
    /// Begins it.
    pub(super) fn begin(others: Vec<Other>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (ended, runtime) = (Arc::clone(&is_over), Handle::current());
        // On a thread of its own: the timer of the runtime is a millisecond late at times.
        let calls = spawn_blocking(move || call_in_turn(&others, &ended, &runtime));
        Self { is_over, calls }
    }

    /// Ends it. The calls, in no order.
    pub(super) async fn end(self) -> Result<Vec<Call>, Failure> {
        self.is_over.store(true, Ordering::Relaxed);
        Ok(self.calls.await?.join_all().await)
    }
}

/// Makes each call when it is due, whether or not those before it have been answered.
fn call_in_turn(others: &[Other], is_over: &AtomicBool, runtime: &Handle) -> JoinSet<Call> {
    let (mut calls, mut chance) = (JoinSet::new(), Chance::new(1));
    let mut due = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        due += INTERVAL;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (other, kind) = (chance.pick(others), chance.pick(&TURNS));
        let number = chance.below(1_000_000);
        calls.spawn_on(
            async move {
                let answer = other.call(kind, number).await;
                Call { kind, due, took: due.elapsed(), answer }
            },
            runtime,
        );
    }
    calls
}

impl Other {
    async fn call(self, kind: Kind, number: usize) -> Result<(), Status> {
        let mut tasks = TaskServiceClient::new(self.channel);
        match kind {
            Kind::GetTask => {
                let id = self.tasks.get(number % self.tasks.len().max(1));
                let id = id.map(Uuid::to_string).unwrap_or_default();
                tasks.get_task(with(&self.token, GetTaskRequest { id })).await?;
            }
            Kind::ListTasks => {
                let order_by = ORDERS.get(number % ORDERS.len()).copied().unwrap_or_default();
                let (page_size, order_by) = (PAGE, order_by.to_owned());
                let list = ListTasksRequest { page_size, order_by, ..Default::default() };
                tasks.list_tasks(with(&self.token, list)).await?;
            }
            Kind::CreateTask => {
                let task = Task {
                    title: format!("letter {number}"),
                    priority: TaskPriority::Low.into(),
                    ..Task::default()
                };
                let create = CreateTaskRequest { task: Some(task), ..Default::default() };
                tasks.create_task(with(&self.token, create)).await?;
            }
        }
        Ok(())
    }
}
