//! What is done, chosen by chance.

use std::{mem::discriminant, time::Duration};

use e2e::Chance;
use task_service::{
    projects::ProjectChange,
    tasks::{NewTask, Priority, Status, TaskChange, TaskFilter, TaskOrder},
    text::TitlePart,
};

use super::super::{at, description, title};

const TITLES: [&str; 6] = ["a", "B", "é", "Ä 100%_", "'\"\\ {}", "\u{1f980}"];
const DESCRIPTIONS: [&str; 3] = ["", "two\nlines\t\"quoted\"", "null"];
const STATUSES: [Status; 3] = [Status::Todo, Status::InProgress, Status::Completed];
const PRIORITIES: [Priority; 4] =
    [Priority::Low, Priority::Medium, Priority::High, Priority::Urgent];
const ORDERS: [TaskOrder; 5] = [
    TaskOrder::CreateTime,
    TaskOrder::UpdateTime,
    TaskOrder::DueTime,
    TaskOrder::Priority,
    TaskOrder::Title,
];

/// What happens next. Rows are named by the number of their creation.
#[derive(Debug)]
pub(super) enum Step {
    /// These writes, at once.
    Write(Vec<Ask>),
    GetTask(usize, usize),
    GetProject(usize, usize),
    /// All pages of this size, of the tasks of a project or of all.
    ListTasks(usize, Option<usize>, TaskFilter, usize),
    ListProjects(usize, usize),
    /// From the beginning, or from where an earlier one ended.
    Changes(usize, Option<usize>),
    Sweep,
}

/// A write of one of the callers, once if it has a request id.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) caller: usize,
    pub(super) request: Option<u128>,
    pub(super) deed: Deed,
}

#[derive(Debug, Clone)]
pub(super) enum Deed {
    CreateProject(&'static str),
    UpdateProject(usize, Seen, ProjectChange),
    DeleteProject(usize, Seen, bool),
    CreateTask(Option<usize>, NewTask),
    UpdateTask(usize, Seen, Home, TaskChange),
    DeleteTask(usize, Seen),
    UndeleteTask(usize, Seen),
}

/// What becomes of a task's project.
#[derive(Debug, Clone, Copy)]
pub(super) enum Home {
    Stays,
    Ends,
    Is(usize),
}

/// Which etag is sent: none, the one that was told last, or another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    Any,
    Last,
    Other,
}

/// Chooses what happens.
pub(super) struct Plan {
    chance: Chance,
    /// How many rows there have been: projects, tasks.
    counts: (usize, usize),
    asked: Vec<Ask>,
    requests: u128,
}

impl Plan {
    pub(super) fn new(chance: Chance) -> Self {
        Self { chance, counts: (0, 0), asked: Vec::new(), requests: 0 }
    }

    /// How long nothing happens: not at all for the most part, or so long that something is over.
    pub(super) fn pause(&mut self) -> Duration {
        match self.chance.below(60) {
            0 => Duration::from_hours(25),
            1..4 => Duration::from_mins(30),
            _ => Duration::ZERO,
        }
    }

    pub(super) fn next(&mut self, counts: (usize, usize)) -> Step {
        self.counts = counts;
        let caller = self.caller();
        match self.chance.below(20) {
            0 => Step::GetTask(caller, self.task()),
            1 => Step::GetProject(caller, self.project()),
            2 | 3 => {
                let (project, size) = (self.maybe(Self::project), 1 + self.chance.below(12));
                Step::ListTasks(caller, project, self.filter(), size)
            }
            4 => Step::ListProjects(caller, 1 + self.chance.below(3)),
            5 | 6 => Step::Changes(caller, self.maybe(|it| it.chance.below(40))),
            7 => Step::Sweep,
            8 | 9 => Step::Write(self.several()),
            _ => Step::Write(vec![self.ask()]),
        }
    }

    /// Writes whose answers do not depend on how they are grouped: the deletion of a project comes last in
    /// its group, and what is made at one moment has no order.
    fn several(&mut self) -> Vec<Ask> {
        let mut creations = 0;
        let mut asks: Vec<_> = (0..8).map(|_| self.ask()).collect();
        asks.retain(|ask| match ask.deed {
            Deed::CreateProject(_) | Deed::CreateTask(..) => {
                creations += 1;
                creations == 1
            }
            Deed::DeleteProject(..) => false,
            Deed::UpdateProject(..)
            | Deed::UpdateTask(..)
            | Deed::DeleteTask(..)
            | Deed::UndeleteTask(..) => true,
        });
        asks
    }

    /// A write: without a request id, with a new one, an old one again, or an old one for another write.
    fn ask(&mut self) -> Ask {
        let choice = self.chance.below(10);
        if choice == 0 && !self.asked.is_empty() {
            return self.chance.pick(&self.asked);
        }
        if choice == 1 && !self.asked.is_empty() {
            let before = self.chance.pick(&self.asked);
            let mut deed = self.deed();
            while discriminant(&deed) != discriminant(&before.deed) {
                deed = self.deed();
            }
            return Ask { deed, ..before };
        }
        let (caller, deed) = (self.caller(), self.deed());
        let request = (choice < 6).then(|| {
            self.requests += 1;
            self.requests
        });
        let ask = Ask { caller, request, deed };
        self.asked.extend(request.map(|_| ask.clone()));
        ask
    }

    fn deed(&mut self) -> Deed {
        match self.chance.below(20) {
            0 | 1 => Deed::CreateProject(self.text(&TITLES)),
            2 => {
                let text = self.maybe(|it| description(it.text(&DESCRIPTIONS)));
                let change = ProjectChange { title: self.maybe(Self::title), description: text };
                Deed::UpdateProject(self.project(), self.etag(), change)
            }
            3 => Deed::DeleteProject(self.project(), self.etag(), self.chance.below(2) == 0),
            4..9 => Deed::CreateTask(self.maybe(Self::project), self.new_task()),
            9..14 => {
                let (task, seen, change) = (self.task(), self.etag(), self.change());
                let project = self.project();
                let home = self.chance.pick(&[Home::Stays, Home::Ends, Home::Is(project)]);
                Deed::UpdateTask(task, seen, home, change)
            }
            14..17 => Deed::DeleteTask(self.task(), self.etag()),
            _ => Deed::UndeleteTask(self.task(), self.etag()),
        }
    }

    fn new_task(&mut self) -> NewTask {
        NewTask {
            project_id: None,
            title: self.title(),
            description: description(self.text(&DESCRIPTIONS)),
            status: self.chance.pick(&STATUSES),
            priority: self.chance.pick(&PRIORITIES),
            due_time: self.maybe(|it| at(i64::try_from(it.chance.below(5)).unwrap())),
        }
    }

    fn change(&mut self) -> TaskChange {
        let NewTask { title, description, status, priority, due_time, .. } = self.new_task();
        TaskChange {
            project_id: None,
            title: self.maybe(|_| title),
            description: self.maybe(|_| description),
            status: self.maybe(|_| status),
            priority: self.maybe(|_| priority),
            due_time: self.maybe(|_| due_time),
        }
    }

    fn filter(&mut self) -> TaskFilter {
        let statuses = STATUSES.into_iter().filter(|_| self.chance.below(3) == 0).collect();
        let priorities = PRIORITIES.into_iter().filter(|_| self.chance.below(4) == 0).collect();
        let part = self.text(&TITLES).chars().take(self.chance.below(3)).collect::<String>();
        let mut due = || at(i64::try_from(self.chance.below(5)).unwrap());
        let (due_start, due_end) = (due(), due());
        TaskFilter {
            statuses,
            priorities,
            title_contains: TitlePart::parse(&part).unwrap(),
            show_deleted: self.chance.below(2) == 0,
            due_start: self.maybe(|_| due_start),
            due_end: self.maybe(|_| due_end),
            order: self.chance.pick(&ORDERS),
            descending: self.chance.below(2) == 0,
            ..TaskFilter::default()
        }
    }

    fn caller(&mut self) -> usize {
        self.chance.below(2)
    }

    fn text(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.chance.below(texts.len())]
    }

    fn title(&mut self) -> task_service::text::Title {
        title(self.text(&TITLES))
    }

    /// One of the last that were made, or none that ever was.
    fn task(&mut self) -> usize {
        (self.counts.1 + 1).saturating_sub(self.chance.below(40))
    }

    fn project(&mut self) -> usize {
        (self.counts.0 + 1).saturating_sub(self.chance.below(8))
    }

    fn etag(&mut self) -> Seen {
        self.chance.pick(&[Seen::Any, Seen::Any, Seen::Last, Seen::Last, Seen::Other])
    }

    fn maybe<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.chance.below(2) == 0).then(|| of(self))
    }
}
