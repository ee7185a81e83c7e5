//! What a list promises while others write: a task that is there all the time, and whose order key
//! and filtered fields stay as they are, is returned exactly once.

mod moving;

use std::{collections::BTreeMap, sync::Arc};

use e2e::Chance;
use shared::{
    clock::{Clock, Time},
    database::Engine,
    trust::Caller,
};
use task_service::{
    pages::Page,
    store::{Quotas, SqlStore},
    tasks::{NewTask, Priority, Status, Task, TaskFilter, TaskOrder},
};
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use self::moving::{Moving, Writer};
use super::{
    Scene, at,
    lists::{ORDERS, order_key, part, passes},
    new_task, on_every_engine,
};

on_every_engine!(Scene: a_stable_task_is_returned_exactly_once_whatever_others_write);

/// More than a page looks through at once.
const STABLE: usize = 2_300;
const WRITERS: u64 = 3;
const WALKERS: u64 = 3;
const WALKS: usize = 20;
/// How many writes the writers may be behind the walkers.
const MOST_BEHIND: usize = 50;
/// How many writes follow on each page that has been read.
const WRITES: usize = 3;

const TITLES: [&str; 6] = ["red", "RED", "Grün", "GRÜN %", "blue_", "ß"];
const STATUSES: [Status; 3] = [Status::Todo, Status::InProgress, Status::Completed];
const PRIORITIES: [Priority; 4] =
    [Priority::Low, Priority::Medium, Priority::High, Priority::Urgent];

/// What the writers and the walkers share.
struct World<DB: Engine> {
    store: SqlStore<DB>,
    clock: Clock,
    ann: Caller,
    projects: Vec<Uuid>,
    /// The tasks that are there all the time, each with what may happen to it.
    stable: BTreeMap<Uuid, (Task, Moving)>,
    /// What the writers may still do; closed when the walkers are done.
    writes: Semaphore,
}

impl<DB: Engine> World<DB> {
    async fn new(scene: &Scene<DB>, chance: &mut Chance) -> Self {
        let mut projects = Vec::new();
        for _ in 0..2 {
            projects.push(scene.project(&scene.ann, "p").await.id);
        }
        let quotas = Quotas { projects: 10, tasks: 100_000, forced_deletion: 100_000 };
        let clock = scene.clock.clone();
        let store = SqlStore::open(&scene.settings, quotas, clock.clone()).await.unwrap();
        let (ann, stable, writes) = (scene.ann.clone(), BTreeMap::new(), Semaphore::new(0));
        let mut world = Self { store, clock, ann, projects, stable, writes };
        for _ in 0..STABLE / 100 {
            let news = (0..100).map(|_| world.new_task(chance)).collect::<Vec<_>>();
            let made = news.into_iter().map(|new| world.store.create_task(&world.ann, None, new));
            for task in futures_util::future::try_join_all(made).await.unwrap() {
                let moving = chance.pick(&Moving::ALL);
                world.stable.insert(task.id, (task, moving));
            }
            scene.later();
        }
        world
    }

    /// A task with few different values, so that ties are common.
    fn new_task(&self, chance: &mut Chance) -> NewTask {
        let mut new = new_task(chance.pick(&TITLES));
        new.project_id = self.project(chance);
        new.status = chance.pick(&STATUSES);
        new.priority = chance.pick(&PRIORITIES);
        new.due_time = due_time(chance);
        new
    }

    fn project(&self, chance: &mut Chance) -> Option<Uuid> {
        self.projects.get(chance.below(self.projects.len() + 1)).copied()
    }

    /// A filter of any kind. Most tasks pass most parts of it, so that some pass all.
    fn filter(&self, chance: &mut Chance) -> TaskFilter {
        let mut filter = TaskFilter {
            order: chance.pick(&ORDERS),
            descending: chance.below(2) == 0,
            show_deleted: chance.below(2) == 0,
            ..TaskFilter::default()
        };
        if chance.below(3) == 0 {
            filter.project_id = self.project(chance);
        }
        if chance.below(3) == 0 {
            filter.statuses = STATUSES[chance.below(2)..].to_vec();
        }
        if chance.below(3) == 0 {
            filter.priorities = PRIORITIES[chance.below(4)..].to_vec();
        }
        if chance.below(3) == 0 {
            filter.due_start = Some(at(1));
            filter.due_end = (chance.below(2) == 0).then(|| at(3));
        }
        if chance.below(3) == 0 {
            filter.title_contains = part(chance.pick(&["R", "grün", "_", "%", "SS"]));
        }
        filter
    }

    /// Walks through a list, and checks what it returns.
    async fn walk(&self, chance: &mut Chance) {
        let filter = self.filter(chance);
        let (begun, size) = (self.clock.now(), chance.pick(&[40, 333, 1_000]));
        let (mut walked, mut page) = (Vec::new(), Page { size, after: None });
        loop {
            let rows = self.store.list_tasks(&self.ann, &filter, &page).await.unwrap();
            walked.extend(rows.rows);
            self.writes.add_permits(WRITES);
            self.let_them_write().await;
            page.after = rows.next;
            if page.after.is_none() || is_past(&walked, &filter, begun) {
                break;
            }
        }
        self.check(&walked, &filter);
    }

    /// Waits for the writers, should they have fallen far behind.
    async fn let_them_write(&self) {
        while self.writes.available_permits() > MOST_BEHIND {
            tokio::task::yield_now().await;
        }
    }

    fn check(&self, walked: &[Task], filter: &TaskFilter) {
        let place = |task: &Task| (order_key(task, filter.order), task.id);
        let in_order = walked.is_sorted_by(|one, next| {
            let (one, next) = (place(one), place(next));
            if filter.descending { one > next } else { one < next }
        });
        assert!(in_order, "{filter:?}");
        assert!(walked.iter().all(|task| passes(task, filter)), "{filter:?}");
        let mut times = BTreeMap::<Uuid, usize>::new();
        for task in walked {
            *times.entry(task.id).or_default() += 1;
        }
        for (id, (task, moving)) in &self.stable {
            if !moving.matters_to(filter) {
                let expected = usize::from(passes(task, filter));
                let found = times.get(id).copied().unwrap_or_default();
                assert_eq!(found, expected, "{moving:?} {task:?} {filter:?}");
            }
        }
    }
}

/// Whether the walk has come to what was changed after it had begun: in this order that goes on for as
/// long as somebody writes.
fn is_past(walked: &[Task], filter: &TaskFilter, begun: Time) -> bool {
    filter.order == TaskOrder::UpdateTime
        && !filter.descending
        && walked.last().is_some_and(|task| task.update_time > begun)
}

fn due_time(chance: &mut Chance) -> Option<Time> {
    [None, Some(at(1)), Some(at(2)), Some(at(3))][chance.below(4)]
}

async fn a_stable_task_is_returned_exactly_once_whatever_others_write<DB: Engine>(
    scene: Scene<DB>,
) {
    let world = Arc::new(World::new(&scene, &mut Chance::new(0)).await);
    let mut writers = JoinSet::new();
    for seed in 1..=WRITERS {
        writers.spawn(Writer::new(world.clone(), seed, WRITERS).run());
    }
    let mut walkers = JoinSet::new();
    for seed in 1..=WALKERS {
        let world = world.clone();
        walkers.spawn(async move {
            let mut chance = Chance::new(WRITERS + seed);
            for _ in 0..WALKS {
                world.walk(&mut chance).await;
            }
        });
    }
    walkers.join_all().await;
    world.writes.close();
    let written: usize = writers.join_all().await.into_iter().sum();
    assert!(written > STABLE / 10, "the writers did not come to much: {written}");
}
