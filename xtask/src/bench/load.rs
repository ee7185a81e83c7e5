//! Who calls: as little work for each call as can be, so that it is the server that is measured.
//!
//! A crew of callers keeps so many calls in flight ([`Crew::closed`]), or makes calls at a rate that does
//! not depend on how they are answered ([`Crew::open`]). An answer that is not OK ends it.

mod caller;
mod pace;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::timeout,
};

pub(super) use caller::{Caller, Connection, Work, framed};

use crate::{Failure, figures::Times};
use pace::Pace;

/// How long the last calls may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Callers who work at the same time.
pub(super) struct Crew(Vec<Caller>);

/// Calls that were answered.
pub(super) struct Calls {
    /// How long it took until the last one was.
    pub(super) took: Duration,
    /// How long each one took.
    pub(super) times: Times,
}

type Done = Result<(Caller, Vec<Duration>), Failure>;

impl Crew {
    pub(super) fn new(callers: impl IntoIterator<Item = Caller>) -> Self {
        Self(callers.into_iter().collect())
    }

    /// Each calls again as soon as it is answered, for so long.
    pub(super) async fn closed(&mut self, time: Duration) -> Result<Calls, Failure> {
        let (mut work, begun) = (JoinSet::<Done>::new(), Instant::now());
        let end = begun + time;
        for mut caller in mem::take(&mut self.0) {
            work.spawn(async move {
                let mut times = Vec::new();
                let mut now = Instant::now();
                while now < end {
                    caller.call().await?;
                    let answered = Instant::now();
                    times.push(answered - now);
                    now = answered;
                }
                Ok((caller, times))
            });
        }
        self.gather(work, begun, time).await
    }

    /// So many calls are made in a second, for so long, each by whoever is free. The time of a call runs
    /// from the moment when it was due.
    pub(super) async fn open(&mut self, rate: f64, time: Duration) -> Result<Calls, Failure> {
        let (due, calls) = mpsc::unbounded_channel();
        let (mut work, calls) = (JoinSet::<Done>::new(), Arc::new(Mutex::new(calls)));
        for mut caller in mem::take(&mut self.0) {
            let calls = Arc::clone(&calls);
            work.spawn(async move {
                let mut times = Vec::new();
                loop {
                    let next = calls.lock().await.recv().await;
                    let Some(due): Option<Instant> = next else { return Ok((caller, times)) };
                    caller.call().await?;
                    times.push(due.elapsed());
                }
            });
        }
        let begun = Instant::now();
        let mut pace = Pace::begin(begun, Duration::from_secs_f64(1.0 / rate))?;
        let mut next = pace.next().await?;
        while next < begun + time {
            // Nobody takes it any more when all have failed.
            if due.send(next).is_err() {
                break;
            }
            next = pace.next().await?;
        }
        drop(due);
        self.gather(work, begun, Duration::ZERO).await
    }

    /// Waits for the last answers.
    async fn gather(
        &mut self,
        mut work: JoinSet<Done>,
        begun: Instant,
        time: Duration,
    ) -> Result<Calls, Failure> {
        let mut times = Vec::new();
        let gathered = timeout(time + PATIENCE, async {
            while let Some(done) = work.join_next().await {
                let (caller, its) = done??;
                self.0.push(caller);
                times.extend(its);
            }
            Ok::<_, Failure>(())
        });
        gathered.await.map_err(|_| "calls are not answered")??;
        Ok(Calls { took: begun.elapsed(), times: Times::new(times) })
    }
}
