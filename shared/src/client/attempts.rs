//! How often a call is made, and when: within its time, after pauses, out of a budget.

use std::{
    error::Error,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use crate::{backoff::Backoff, server::causes, status::deadline_exceeded};

/// The longest that a call can be given.
const MOST: Duration = Duration::from_hours(24);
/// What a failure costs; a success gives back 1. It is the `tokenRatio` of `proto/service_config.json`.
const PRICE: u32 = 10;

/// How long a call may go on, and how hard it tries.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long a call may take with all its attempts and the pauses between them, a day at the most.
    pub timeout: Duration,
    /// The longest pause after the first failure; it doubles with each further one. What an answer's
    /// `RetryInfo` asks for comes on top.
    pub first_pause: Duration,
    /// The longest pause at all.
    pub longest_pause: Duration,
    /// The tokens that all calls of a client share (gRFC A6): a failure takes one, a success gives a
    /// tenth back, and calls are repeated while more than half of them are there.
    pub budget: u16,
}

impl Default for Policy {
    /// As long as the servers give a call, 30 s.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            first_pause: Duration::from_millis(150),
            longest_pause: Duration::from_secs(2),
            budget: 100,
        }
    }
}

/// What is left to repeat calls with: where most calls fail, repetitions only add to the load.
#[derive(Debug)]
pub(super) struct Budget {
    full: u32,
    left: AtomicU32,
}

impl Budget {
    pub(super) fn of(policy: &Policy) -> Self {
        let full = u32::from(policy.budget) * PRICE;
        Self { full, left: AtomicU32::new(full) }
    }

    /// A call has failed. The answer is whether it may be repeated.
    fn failed(&self) -> bool {
        self.change(|left| left.saturating_sub(PRICE)) > self.full / 2
    }

    fn succeeded(&self) {
        self.change(|left| left.saturating_add(1).min(self.full));
    }

    /// What is left after this change.
    fn change(&self, change: impl Fn(u32) -> u32) -> u32 {
        let mut now = self.left.load(Ordering::Relaxed);
        loop {
            let next = change(now);
            let order = Ordering::Relaxed;
            match self.left.compare_exchange_weak(now, next, order, order) {
                Ok(_) => return next,
                Err(other) => now = other,
            }
        }
    }
}

/// The attempts at one call.
#[derive(Debug)]
pub(super) struct Attempts<'c> {
    budget: &'c Budget,
    /// Whether there may be more than one.
    repeats: bool,
    backoff: Backoff,
    deadline: Instant,
    failures: u32,
}

impl<'c> Attempts<'c> {
    /// Its time begins, and there has been none yet.
    pub(super) fn new(policy: &Policy, budget: &'c Budget, repeats: bool) -> Self {
        let backoff = Backoff { first: policy.first_pause, most: policy.longest_pause };
        let deadline = Instant::now() + policy.timeout.min(MOST);
        Self { budget, repeats, backoff, deadline, failures: 0 }
    }

    /// How much time is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// What this comes to in the time that is left.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        match timeout_at(self.deadline, work).await {
            Ok(answer) => answer.map_err(as_other_clients_say),
            Err(_) => Err(deadline_exceeded()),
        }
    }

    /// One has succeeded.
    pub(super) fn succeeded(&self) {
        self.budget.succeeded();
    }

    /// Waits until the call may be made again after this answer, or gives it back.
    pub(super) async fn again(&mut self, status: Status) -> Result<(), Status> {
        match self.next(&status) {
            Some(next) => sleep_until(next).await,
            None => return Err(status),
        }
        Ok(())
    }

    /// When the call may be made again after this answer, if at all.
    fn next(&mut self, status: &Status) -> Option<Instant> {
        if status.code() != Code::Unavailable || !self.budget.failed() || !self.repeats {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
        // On top, so that those who were told the same do not come back together.
        let pause = asked.unwrap_or_default().saturating_add(self.backoff.pause(self.failures));
        Instant::now().checked_add(pause).filter(|next| *next < self.deadline)
    }
}

/// tonic has codes of its own for a call that is cut off on this side: CANCELLED when its time is up,
/// and UNKNOWN, INTERNAL or CANCELLED when its connection breaks.
fn as_other_clients_say(status: Status) -> Status {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return deadline_exceeded();
        }
        if error.is::<hyper::Error>()
            && let Code::Unknown | Code::Internal | Code::Cancelled = status.code()
        {
            return Status::unavailable(causes(error));
        }
        cause = error.source();
    }
    status
}
