//! The same operations on both engines, side by side: whatever they are, both give the same answers.

mod plan;
mod side;

use std::{collections::BTreeSet, time::Duration};

use e2e::{Chance, Engine, postgres};
use shared::{
    clock::{Clock, Time},
    database::{Postgres, Sqlite},
    testing::Forge,
};
use task_service::error::Refusal;
use uuid::Uuid;

use plan::{Plan, Step};
use side::{Answer, Side};

/// How many lists of operations there are, and how long each is.
const SEEDS: u64 = 4;
const STEPS: usize = 600;

/// What there must have been something of.
const OPERATIONS: usize = 3_000;
const REFUSALS: [Refusal; 10] = [
    Refusal::OwnerErased,
    Refusal::ProjectNotFound,
    Refusal::ProjectNotEmpty,
    Refusal::TaskNotFound,
    Refusal::TaskDeleted,
    Refusal::TaskNotDeleted,
    Refusal::EtagMismatch,
    Refusal::QuotaExceeded,
    Refusal::RequestIdReused,
    Refusal::ResyncRequired,
];

#[tokio::test]
async fn both_engines_answer_alike() {
    if !postgres::is_here() {
        return;
    }
    let mut answers = Vec::new();
    for seed in 0..SEEDS {
        answers.extend(answer_alike(seed).await);
    }
    let refusals = answers.iter().filter_map(|answer| {
        if let Answer::Refused(refusal) = answer { Some(refusal.to_string()) } else { None }
    });
    let refusals: BTreeSet<_> = refusals.collect();
    assert_eq!(refusals, REFUSALS.map(|it| it.to_string()).into());
    assert!(answers.len() >= OPERATIONS, "{} answers", answers.len());
}

/// What a list of operations is answered with.
async fn answer_alike(seed: u64) -> Vec<Answer> {
    let clock = Clock::manual(Time::from_seconds(1_700_000_000));
    let forge = Forge::new();
    let callers = [(); 2].map(|()| forge.caller(Uuid::new_v4()));
    let place = Engine::Sqlite.place("test").await;
    let mut one = Side::<Sqlite>::open(place, &clock, &callers).await;
    let place = Engine::Postgres.place("test").await;
    let mut other = Side::<Postgres>::open(place, &clock, &callers).await;
    let (mut plan, mut answers) = (Plan::new(Chance::new(seed)), Vec::new());
    for number in 0..STEPS {
        // What is made at one moment has no order.
        clock.advance(Duration::from_millis(1));
        clock.advance(plan.pause());
        let step = plan.next(one.counts());
        let (answer, same) = tokio::join!(one.take(&step), other.take(&step));
        assert_eq!(answer, same, "seed {seed}, step {number}: {step:?}");
        answers.extend(answer);
    }
    let (counts, same) = tokio::join!(one.erase(), other.erase());
    assert_eq!(counts, same, "seed {seed}: the first caller is erased");
    for caller in 0..2 {
        let step = Step::Changes(caller, None);
        let (answer, same) = tokio::join!(one.take(&step), other.take(&step));
        assert_eq!(answer, same, "seed {seed}: {step:?}");
        answers.extend(answer);
    }
    answers
}
