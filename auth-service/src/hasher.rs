//! Password hashing (Argon2id) on threads of its own, so that it never slows another call.
//!
//! One thread per core, each with its own block memory that it uses again and again, at a low
//! priority, behind one short queue. What does not fit into the queue is refused.

mod argon;
mod bench;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use tokio::sync::oneshot;
use tracing::Span;

pub use argon::{Cost, HashFault, Verdict};

use crate::passwords::{Password, PasswordHash};
use bench::{Bench, Job, Task, Waiting};

/// How many passwords may wait.
const QUEUE: usize = 64;

/// The way to the hashing threads. Cheap to clone; the threads end when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Hasher {
    queue: mpsc::SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    stand_in: PasswordHash,
}

impl Hasher {
    /// Starts this many threads.
    ///
    /// # Errors
    /// When the system gives no thread or not the memory, or the cost is none that Argon2 can have.
    pub fn start(threads: usize, cost: Cost) -> Result<Self, HashFault> {
        let stand_in = argon::stand_in(&cost.params()?)?;
        let (queue, waiting) = mpsc::sync_channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let (mut bench, waiting) = (Bench::new(cost)?, Arc::clone(&waiting));
            thread::Builder::new()
                .name("hasher".to_owned())
                .spawn(move || bench.work(&waiting))
                .map_err(HashFault::Thread)?;
        }
        Ok(Self { queue, waiting: Arc::default(), stand_in })
    }

    /// Hashes a password with the parameters in force and a salt of its own.
    ///
    /// # Errors
    /// [`HashFault::Overloaded`] when too many passwords are waiting.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashFault> {
        self.submit(|reply| Task::Hash { password, reply }).await
    }

    /// Checks a password against a stored hash, with the parameters that the hash was made with.
    ///
    /// # Errors
    /// [`HashFault::Overloaded`] when too many passwords are waiting, [`HashFault::Stored`] when
    /// the hash is none.
    pub async fn verify(
        &self,
        password: Password,
        hash: PasswordHash,
    ) -> Result<Verdict, HashFault> {
        self.submit(|reply| Task::Verify { password, hash, reply }).await
    }

    /// A hash that no password has, for doing the same work when there is no user.
    #[must_use]
    pub fn stand_in(&self) -> PasswordHash {
        self.stand_in.clone()
    }

    /// What tells how many passwords are waiting, now and later.
    pub fn queue_length(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let waiting = Arc::clone(&self.waiting);
        move || waiting.load(Ordering::Relaxed)
    }

    async fn submit<T>(
        &self,
        task: impl FnOnce(oneshot::Sender<Result<T, HashFault>>) -> Task,
    ) -> Result<T, HashFault> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting::new(&self.waiting);
        let job = Job { task: task(reply), span: Span::current(), waiting };
        self.queue.try_send(job).map_err(|refusal| match refusal {
            mpsc::TrySendError::Full(_) => HashFault::Overloaded,
            mpsc::TrySendError::Disconnected(_) => HashFault::Stopped,
        })?;
        answer.await.unwrap_or(Err(HashFault::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    /// As cheap as Argon2 goes.
    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };
    const DEAR: Cost = Cost { memory_kib: 4_096, passes: 2 };

    fn password(text: &str) -> Password {
        Password::presented(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_and_no_other() {
        let hasher = Hasher::start(2, CHEAP).unwrap();
        let hash = hasher.hash(password("right")).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", hash.0);
        assert_ne!(hash, hasher.hash(password("right")).await.unwrap());
        for (text, fits) in [("right", true), ("wrong", false), ("right ", false), ("Right", false)]
        {
            let verdict = hasher.verify(password(text), hash.clone()).await.unwrap();
            assert_eq!(verdict, Verdict { fits, outdated: false });
        }
    }

    #[tokio::test]
    async fn a_hash_keeps_its_parameters_and_is_outdated_when_they_rise() {
        let (old, new) = (Hasher::start(1, CHEAP).unwrap(), Hasher::start(1, DEAR).unwrap());
        let (cheap, dear) = (old.hash(password("p")).await, new.hash(password("p")).await);
        let verdict = new.verify(password("p"), cheap.unwrap()).await.unwrap();
        assert_eq!(verdict, Verdict { fits: true, outdated: true });
        let verdict = old.verify(password("p"), dear.unwrap()).await.unwrap();
        assert_eq!(verdict, Verdict { fits: true, outdated: false });
    }

    #[tokio::test]
    async fn the_stand_in_has_the_parameters_in_force_and_fits_nothing() {
        let hasher = Hasher::start(1, CHEAP).unwrap();
        let verdict = hasher.verify(password("p"), hasher.stand_in()).await.unwrap();
        assert_eq!(verdict, Verdict { fits: false, outdated: false });
    }

    #[tokio::test]
    async fn a_stored_hash_that_is_none_is_a_fault_and_can_not_exhaust_the_memory() {
        let hasher = Hasher::start(1, CHEAP).unwrap();
        let rest = "p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        for stored in [
            String::new(),
            "hunter2".to_owned(),
            format!("$argon2id$v=19$m=4294967295,t=1,{rest}"),
            format!("$argon2id$v=19$m=8,t=4294967295,{rest}"),
            format!("$argon2d$v=19$m=8,t=1,{rest}"),
            format!("$argon2id$v=16$m=8,t=1,{rest}"),
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0".to_owned(),
        ] {
            let fault = hasher.verify(password("p"), PasswordHash(stored.clone())).await;
            assert!(matches!(fault, Err(HashFault::Stored)), "{stored}");
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_queue_is_refused_and_the_rest_is_done() {
        let hasher = Hasher::start(1, DEAR).unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..4 * QUEUE {
            let hasher = hasher.clone();
            calls.spawn(async move { hasher.verify(password("p"), hasher.stand_in()).await });
        }
        let answers = calls.join_all().await;
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        let refused = answers.iter().filter(|a| matches!(a, Err(HashFault::Overloaded))).count();
        assert!(done >= QUEUE && refused > 0, "{done} done, {refused} refused");
        assert_eq!(done + refused, 4 * QUEUE);
    }

    #[test]
    fn nothing_is_hashed_for_a_caller_who_is_gone() {
        let (queue, jobs) = mpsc::sync_channel(2);
        let (reply, answer) = oneshot::channel();
        let hash = PasswordHash("not a hash".to_owned());
        let task = Task::Verify { password: password("p"), hash, reply };
        assert!(!task.is_abandoned());
        drop(answer);
        assert!(task.is_abandoned());
        let waiting = Waiting::new(&Arc::default());
        queue.send(Job { task, span: Span::none(), waiting }).unwrap();
        drop(queue);
        Bench::new(CHEAP).unwrap().work(&Mutex::new(jobs));
    }
}
