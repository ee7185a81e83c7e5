//! What the store promises, on every engine: one suite, run on SQLite and on PostgreSQL.

mod changes;
mod engines;
mod erasures;
mod groups;
mod isolation;
mod list_guarantee;
mod lists;
mod migrations;
mod once;
mod projects;
mod tasks;
mod titles;
mod trust;
mod vault;

pub(crate) use e2e::on_every_engine;

use std::{sync::Arc, time::Duration};

use e2e::Place;
use shared::{
    clock::{Clock, Time},
    database::{Database, Engine, Settings, Statement},
    testing::Forge,
    trust::Caller,
};
use task_service::{
    error::{Error, Refusal},
    pages::Page,
    projects::{NewProject, Project},
    store::{MIGRATIONS, Quotas, SqlStore},
    tasks::{NewTask, Priority, Status, Task},
    text::{Description, Title},
};
use uuid::Uuid;

/// A first page that takes everything that a test makes.
pub(crate) const ALL: Page = Page { size: 1_000, after: None };

pub(crate) const QUOTAS: Quotas = Quotas { projects: 10, tasks: 300, forced_deletion: 299 };

/// A store with an empty database, and two people who use it.
pub(crate) struct Scene<DB: Engine> {
    pub(crate) store: Arc<SqlStore<DB>>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) ann: Caller,
    pub(crate) bob: Caller,
    _place: Place,
}

impl<DB: Engine> Scene<DB> {
    pub(crate) async fn open(place: Place) -> Self {
        let settings = Settings::new("test", &place.url).unwrap();
        let clock = Clock::manual(at(1_700_000_000));
        let store = Arc::new(SqlStore::open(&settings, QUOTAS, clock.clone()).await.unwrap());
        let forge = Forge::new();
        let (ann, bob) = (forge.caller(Uuid::new_v4()), forge.caller(Uuid::new_v4()));
        Self { store, settings, clock, ann, bob, _place: place }
    }

    /// Another process on the same database.
    pub(crate) async fn second_store(&self) -> SqlStore<DB> {
        SqlStore::open(&self.settings, QUOTAS, self.clock.clone()).await.unwrap()
    }

    pub(crate) async fn project(&self, caller: &Caller, title: &str) -> Project {
        self.store.create_project(caller, None, new_project(title)).await.unwrap()
    }

    pub(crate) async fn task(&self, caller: &Caller, new: NewTask) -> Task {
        self.store.create_task(caller, None, new).await.unwrap()
    }

    /// Runs a statement on somebody's rows, whose id is `$1`.
    pub(crate) async fn by_hand(&self, owner: &Caller, sql: &'static str) {
        self.run(Statement::new(sql).bind(owner.user_id())).await;
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, statement: Statement<DB>) {
        let database = Database::<DB>::open(&self.settings, &MIGRATIONS).await.unwrap();
        let mut connection = database.connect_writer().await.unwrap();
        statement.all(&mut connection).await.unwrap();
    }

    /// Moves the clock, and says what it shows then.
    pub(crate) fn later(&self) -> Time {
        self.clock.advance(Duration::from_secs(1));
        self.clock.now()
    }
}

pub(crate) fn at(second: i64) -> Time {
    Time::from_seconds(second)
}

pub(crate) fn title(text: &str) -> Title {
    Title::parse(text.to_owned()).unwrap()
}

pub(crate) fn description(text: &str) -> Description {
    Description::parse(text.to_owned()).unwrap()
}

pub(crate) fn new_project(text: &str) -> NewProject {
    NewProject { title: title(text), description: description("") }
}

pub(crate) fn new_task(text: &str) -> NewTask {
    NewTask {
        project_id: None,
        title: title(text),
        description: description(""),
        status: Status::Todo,
        priority: Priority::Medium,
        due_time: None,
    }
}

pub(crate) fn task_in(project: &Project, text: &str) -> NewTask {
    NewTask { project_id: Some(project.id), ..new_task(text) }
}

/// The refusal that an answer must be.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> Refusal {
    match answer {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}
