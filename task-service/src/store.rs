//! Projects and tasks in SQL, each owner's own.
//!
//! Every method that an RPC reaches takes the [`Caller`] first, and the owner is in the WHERE clause
//! of every statement. Lists are read at once, single rows through doors of their own. Writes are values
//! that go through the door: `group.rs` runs those that are waiting as one transaction, by the rules of
//! `work.rs`. A write that comes with a [`Once`] is done once, and none is of an owner who is erased:
//! [`Refusal::OwnerErased`].

mod operation;
mod group;
mod work;
mod kept;
mod rows;
mod page;
mod owners;
mod projects;
mod tasks;
mod task_list;
mod changes;
mod sweep;
mod erase;
mod titles;
mod vault;
mod trust;
mod trust_rows;

use std::sync::{Arc, Mutex};

use shared::{
    clock::Clock,
    database::{Database, Door, Engine, Migrations, OpenError, ReadDoor, Settings, WriteError},
    metrics::Metrics,
    once::Once,
    trust::Caller,
};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use erase::Batch;
pub(crate) use sweep::Sweep;
pub use vault::Vault;

use crate::{
    changes::{Changes, Position},
    error::{Error, Refusal},
    etag::Etag,
    feed::Heads,
    pages::{Page, Rows},
    projects::{NewProject, Project, ProjectChange},
    tasks::{NewTask, Task, TaskChange, TaskFilter},
};
use operation::{Answer, Ask, Deed, Operation};
use rows::Key;

/// The schema, step by step.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &[
        ("projects and tasks", include_str!("../migrations/sqlite/0001_projects_and_tasks.sql")),
        ("trust", include_str!("../migrations/sqlite/0002_trust.sql")),
        ("changes", include_str!("../migrations/sqlite/0003_changes.sql")),
        ("erasures", include_str!("../migrations/sqlite/0004_erasures.sql")),
    ],
    postgres: &[
        ("projects and tasks", include_str!("../migrations/postgres/0001_projects_and_tasks.sql")),
        ("trust", include_str!("../migrations/postgres/0002_trust.sql")),
        ("changes", include_str!("../migrations/postgres/0003_changes.sql")),
        ("erasures", include_str!("../migrations/postgres/0004_erasures.sql")),
    ],
};

/// How much each owner may have.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// How many projects.
    pub projects: i64,
    /// How many tasks, deleted ones not counted.
    pub tasks: i64,
    /// How many tasks a project may have that is deleted along with them: in one transaction, which
    /// everybody else waits for.
    pub forced_deletion: i64,
}

/// The store of this service on any engine.
#[derive(Debug)]
pub struct SqlStore<DB: Engine> {
    database: Database<DB>,
    door: Door<Operation>,
    projects: ReadDoor<Key, Project>,
    tasks: ReadDoor<Key, Task>,
    heads: Arc<Heads>,
}

impl<DB: Engine> SqlStore<DB> {
    /// Opens the database that the settings name, with every migration applied.
    ///
    /// # Errors
    /// See [`OpenError`]; or when the database does not answer.
    pub async fn open(
        settings: &Settings,
        quotas: Quotas,
        clock: Clock,
    ) -> Result<Self, StoreFault> {
        let database = Database::open(settings, &MIGRATIONS).await?;
        let heads = Arc::<Heads>::default();
        let written = Mutex::default();
        let tables = group::Tables { quotas, clock, heads: Arc::clone(&heads), written };
        let door = Door::open(database.clone(), tables);
        let projects = ReadDoor::open(database.clone(), projects::ByKey);
        let tasks = ReadDoor::open(database.clone(), tasks::ByKey);
        let store = Self { database, door, projects, tasks, heads };
        while store.door.submit(|slot| Operation::FoldTitles { slot }).await? {}
        Ok(store)
    }

    /// Shows how the database is used.
    pub fn report(&self, metrics: &mut Metrics) {
        self.database.report(metrics);
        self.door.report(metrics);
        let help = "Reads of single projects that wait for a statement";
        self.projects.report("db_project_read_queue_length", help, metrics);
        let help = "Reads of single tasks that wait for a statement";
        self.tasks.report("db_task_read_queue_length", help, metrics);
    }

    /// Makes a project.
    ///
    /// # Errors
    /// [`Refusal::QuotaExceeded`], or when the database is away.
    pub async fn create_project(
        &self,
        caller: &Caller,
        once: Option<Once>,
        new: NewProject,
    ) -> Result<Project, Error> {
        Ok(self.write(caller, once, Deed::CreateProject(new)).await?.project()?)
    }

    /// Reads a project.
    ///
    /// # Errors
    /// [`Refusal::ProjectNotFound`], or when the database is away.
    pub async fn get_project(&self, caller: &Caller, id: Uuid) -> Result<Project, Error> {
        let project = self.projects.find((caller.user_id(), id)).await?;
        Ok(project.ok_or(Refusal::ProjectNotFound)?)
    }

    /// Reads a page of projects, the oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list_projects(
        &self,
        caller: &Caller,
        page: &Page,
    ) -> Result<Rows<Project>, Error> {
        Ok(projects::list(&self.database, caller.user_id(), page).await?)
    }

    /// Changes a project.
    ///
    /// # Errors
    /// [`Refusal::ProjectNotFound`], [`Refusal::EtagMismatch`], or when the database is away.
    pub async fn update_project(
        &self,
        caller: &Caller,
        once: Option<Once>,
        id: Uuid,
        seen: Option<Etag>,
        change: ProjectChange,
    ) -> Result<Project, Error> {
        let deed = Deed::UpdateProject { id, seen, change };
        Ok(self.write(caller, once, deed).await?.project()?)
    }

    /// Deletes a project, with `force` its tasks too.
    ///
    /// # Errors
    /// [`Refusal::ProjectNotFound`], [`Refusal::EtagMismatch`], [`Refusal::ProjectNotEmpty`], with
    /// `force` [`Refusal::ProjectTooLarge`] and [`Refusal::TooManyDeletions`] instead; or when the
    /// database is away.
    pub async fn delete_project(
        &self,
        caller: &Caller,
        once: Option<Once>,
        id: Uuid,
        seen: Option<Etag>,
        force: bool,
    ) -> Result<(), Error> {
        self.write(caller, once, Deed::DeleteProject { id, seen, force }).await.map(drop)
    }

    /// Makes a task.
    ///
    /// # Errors
    /// [`Refusal::ProjectNotFound`], [`Refusal::QuotaExceeded`], or when the database is away.
    pub async fn create_task(
        &self,
        caller: &Caller,
        once: Option<Once>,
        new: NewTask,
    ) -> Result<Task, Error> {
        Ok(self.write(caller, once, Deed::CreateTask(new)).await?.task()?)
    }

    /// Reads a task, also a deleted one.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], or when the database is away.
    pub async fn get_task(&self, caller: &Caller, id: Uuid) -> Result<Task, Error> {
        let task = self.tasks.find((caller.user_id(), id)).await?;
        Ok(task.ok_or(Refusal::TaskNotFound)?)
    }

    /// Reads a page of the tasks that pass the filter, in its order.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list_tasks(
        &self,
        caller: &Caller,
        filter: &TaskFilter,
        page: &Page,
    ) -> Result<Rows<Task>, Error> {
        Ok(task_list::list(&self.database, caller.user_id(), filter, page).await?)
    }

    /// Changes a task.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::ProjectNotFound`], [`Refusal::TaskDeleted`],
    /// [`Refusal::EtagMismatch`], or when the database is away.
    pub async fn update_task(
        &self,
        caller: &Caller,
        once: Option<Once>,
        id: Uuid,
        seen: Option<Etag>,
        change: TaskChange,
    ) -> Result<Task, Error> {
        Ok(self.write(caller, once, Deed::UpdateTask { id, seen, change }).await?.task()?)
    }

    /// Marks a task as deleted.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::TaskDeleted`], [`Refusal::EtagMismatch`], or when the
    /// database is away.
    pub async fn delete_task(
        &self,
        caller: &Caller,
        once: Option<Once>,
        id: Uuid,
        seen: Option<Etag>,
    ) -> Result<Task, Error> {
        Ok(self.write(caller, once, Deed::DeleteTask { id, seen }).await?.task()?)
    }

    /// Takes the deletion of a task back.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::TaskNotDeleted`], [`Refusal::EtagMismatch`],
    /// [`Refusal::QuotaExceeded`], or when the database is away.
    pub async fn undelete_task(
        &self,
        caller: &Caller,
        once: Option<Once>,
        id: Uuid,
        seen: Option<Etag>,
    ) -> Result<Task, Error> {
        Ok(self.write(caller, once, Deed::UndeleteTask { id, seen }).await?.task()?)
    }

    /// Reads what has changed since a position, a page of it; without one, from the beginning.
    ///
    /// # Errors
    /// [`Refusal::ResyncRequired`], [`Refusal::OwnerErased`], or when the database is away.
    pub async fn changes(
        &self,
        caller: &Caller,
        since: Option<Position>,
    ) -> Result<Changes, Error> {
        Ok(changes::read(&self.database, caller.user_id(), since).await??)
    }

    /// Tells when there may be more: the owner's last revision, as soon as it is seen.
    #[must_use]
    pub fn head(&self, caller: &Caller) -> watch::Receiver<i64> {
        self.heads.watch(caller.user_id())
    }

    async fn write(
        &self,
        caller: &Caller,
        once: Option<Once>,
        deed: Deed,
    ) -> Result<Answer, Error> {
        let owner = caller.user_id();
        let ask = |slot| Operation::Ask(Ask { owner, once, deed, slot });
        Ok(self.door.submit(ask).await??)
    }

    /// What this store keeps for the service itself.
    #[must_use]
    pub fn vault(&self) -> Vault<DB> {
        Vault { database: self.database.clone(), door: self.door.clone() }
    }

    /// What those who watch wait for.
    #[must_use]
    pub fn heads(&self) -> Arc<Heads> {
        Arc::clone(&self.heads)
    }
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It opens, and does not answer.
    #[error(transparent)]
    Write(#[from] WriteError),
}
