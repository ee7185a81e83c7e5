//! What only the statements themselves show: which way they go, and how far.

mod plans;
mod windows;

use std::collections::BTreeMap;

use e2e::Place;
use shared::{
    clock::Time,
    database::{Database, Engine, Settings, Statement},
    ids::new_id,
};
use uuid::Uuid;

use crate::{
    store::{
        MIGRATIONS,
        rows::{Key, Rows},
        tasks,
    },
    tasks::{NewTask, Priority, Status, Task},
    text::{Description, Title},
};

/// How many tasks are written with one statement.
const BATCH: i64 = 10_000;

/// A database with tasks of one owner and one connection to read them with, so that what is set for
/// it holds for the next statement.
struct Data<DB: Engine> {
    database: Database<DB>,
    owner: Uuid,
    _place: Place,
}

impl<DB: Engine> Data<DB> {
    async fn open(place: Place) -> Self {
        let mut settings = Settings::new("test", &place.url).unwrap();
        settings.connections = 1;
        let database = Database::open(&settings, &MIGRATIONS).await.unwrap();
        Self { database, owner: Uuid::new_v4(), _place: place }
    }

    /// Writes so many tasks, in these projects.
    async fn fill(&self, count: i64, projects: &[Uuid]) {
        let mut connection = self.database.connect_writer().await.unwrap();
        for first in (0..count).step_by(BATCH.try_into().unwrap()) {
            let mut rows = Rows::new(BTreeMap::new());
            for number in first..count.min(first + BATCH) {
                let (key, task) = self.numbered(number, projects);
                rows.put(key, task);
            }
            tasks::store::<DB>(&mut connection, &rows).await.unwrap();
        }
    }

    /// A task with few different values in everything that tasks are ordered and filtered by.
    fn numbered(&self, number: i64, projects: &[Uuid]) -> (Key, Task) {
        let now = Time::from_seconds(1_700_000_000 + number / 10);
        let project = usize::try_from(number).unwrap() % (projects.len() + 1);
        let new = NewTask {
            project_id: projects.get(project).copied(),
            title: Title::parse(format!("Title {}", number % 5_000)).unwrap(),
            description: Description::parse("more about it".to_owned()).unwrap(),
            status: [Status::Todo, Status::Completed][usize::from(number % 3 == 0)],
            priority: [Priority::Medium, Priority::Low][usize::from(number % 7 == 0)],
            due_time: (number % 4 > 0).then(|| Time::from_seconds(number % 1_000)),
        };
        let mut task = Task::new(new_id(now), new, now, number);
        task.delete_time = (number % 20 == 0).then_some(now);
        ((self.owner, task.id), task)
    }

    /// Has so many others have the same tasks.
    async fn copy_to_others(&self, count: usize) {
        let mut connection = self.database.connect_writer().await.unwrap();
        let rest = format!("{}, {}", tasks::FIELDS, tasks::DERIVED).replacen("owner_id, ", "", 1);
        for _ in 0..count {
            let statement = Statement::<DB>::new(format!(
                "insert into tasks (owner_id, {rest})
                 select $1, {rest} from tasks where owner_id = $2"
            ));
            let statement = statement.bind(Uuid::new_v4()).bind(self.owner);
            statement.all(&mut connection).await.unwrap();
        }
    }

    async fn analyze(&self) {
        self.write("analyze").await;
    }

    async fn write(&self, sql: &'static str) {
        let mut connection = self.database.connect_writer().await.unwrap();
        Statement::<DB>::new(sql).all(&mut connection).await.unwrap();
    }
}
