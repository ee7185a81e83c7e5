//! Those who write while others walk.

use std::{sync::Arc, time::Duration};

use e2e::Chance;
use shared::database::Engine;
use task_service::tasks::{Task, TaskChange, TaskFilter, TaskOrder};
use tokio::sync::SemaphorePermit;
use uuid::Uuid;

use super::{PRIORITIES, STATUSES, TITLES, World, due_time};
use crate::contract::{description, title};

/// What may happen to a task that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moving {
    Nothing,
    Description,
    Project,
    Status,
    Priority,
    DueTime,
    Title,
    /// Once, and never taken back.
    Deletion,
}

impl Moving {
    pub(super) const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Description,
        Self::Project,
        Self::Status,
        Self::Priority,
        Self::DueTime,
        Self::Title,
        Self::Deletion,
    ];

    /// Whether it changes the order key of a list, or what it filters by.
    pub(super) fn matters_to(self, filter: &TaskFilter) -> bool {
        let TaskFilter { project_id, statuses, priorities, order, .. } = filter;
        let of_update = *order == TaskOrder::UpdateTime;
        match self {
            Self::Nothing => false,
            Self::Description => of_update,
            Self::Project => of_update || project_id.is_some(),
            Self::Status => of_update || !statuses.is_empty(),
            Self::Priority => of_update || !priorities.is_empty() || *order == TaskOrder::Priority,
            Self::DueTime => {
                let is_filtered = filter.due_start.is_some() || filter.due_end.is_some();
                of_update || is_filtered || *order == TaskOrder::DueTime
            }
            Self::Title => {
                of_update || filter.title_contains.is_some() || *order == TaskOrder::Title
            }
            Self::Deletion => of_update || !filter.show_deleted,
        }
    }
}

/// Somebody who makes tasks of their own, changes and deletes them, and moves those that stay.
pub(super) struct Writer<DB: Engine> {
    world: Arc<World<DB>>,
    chance: Chance,
    own: Vec<Uuid>,
    moved: Vec<(Uuid, Moving)>,
}

impl<DB: Engine> Writer<DB> {
    /// One of so many, who share the tasks that stay among them.
    pub(super) fn new(world: Arc<World<DB>>, number: u64, of: u64) -> Self {
        let stable = world.stable.iter().filter(|(_, (_, moving))| *moving != Moving::Nothing);
        let shared = usize::try_from(of).unwrap();
        let skipped = usize::try_from(number).unwrap() - 1;
        let moved = stable.map(|(id, (_, moving))| (*id, *moving)).skip(skipped).step_by(shared);
        let (moved, chance) = (moved.collect(), Chance::new(number));
        Self { world, chance, own: Vec::new(), moved }
    }

    /// Writes for as long as there is somebody who walks; returns how often.
    pub(super) async fn run(mut self) -> usize {
        let mut written = 0;
        while self.may_go_on().await {
            self.world.clock.advance(Duration::from_millis(1));
            match self.chance.below(8) {
                0 => self.create().await,
                1 => self.delete().await,
                2 => self.change_own().await,
                _ => self.move_one().await,
            }
            written += 1;
        }
        written
    }

    async fn may_go_on(&self) -> bool {
        self.world.writes.acquire().await.map(SemaphorePermit::forget).is_ok()
    }

    async fn create(&mut self) {
        let new = self.world.new_task(&mut self.chance);
        let task = self.world.store.create_task(&self.world.ann, None, new).await.unwrap();
        self.own.push(task.id);
    }

    async fn delete(&mut self) {
        if !self.own.is_empty() {
            let id = self.own.swap_remove(self.chance.below(self.own.len()));
            self.world.store.delete_task(&self.world.ann, None, id, None).await.unwrap();
        }
    }

    async fn change_own(&mut self) {
        if !self.own.is_empty() {
            let id = self.chance.pick(&self.own);
            let moving = self.chance.pick(&Moving::ALL[2..7]);
            self.change(id, moving).await;
        }
    }

    async fn move_one(&mut self) {
        let at = self.chance.below(self.moved.len());
        match self.moved[at] {
            (id, Moving::Deletion) => {
                self.moved.swap_remove(at);
                self.world.store.delete_task(&self.world.ann, None, id, None).await.unwrap();
            }
            (id, moving) => drop(self.change(id, moving).await),
        }
    }

    async fn change(&mut self, id: Uuid, moving: Moving) -> Task {
        let (world, chance) = (&self.world, &mut self.chance);
        let mut to = TaskChange::default();
        match moving {
            Moving::Nothing | Moving::Deletion => {}
            Moving::Description => to.description = Some(description("changed")),
            Moving::Project => to.project_id = Some(world.project(chance)),
            Moving::Status => to.status = Some(chance.pick(&STATUSES)),
            Moving::Priority => to.priority = Some(chance.pick(&PRIORITIES)),
            Moving::DueTime => to.due_time = Some(due_time(chance)),
            Moving::Title => to.title = Some(title(chance.pick(&TITLES))),
        }
        world.store.update_task(&world.ann, None, id, None, to).await.unwrap()
    }
}
