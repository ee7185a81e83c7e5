//! Projects and tasks in SQL, each owner's own.
//!
//! Every method that an RPC reaches takes the [`Caller`] first, and the owner is in the WHERE clause
//! of every statement. Reads run at once. Writes are values that go through the door: `group.rs`
//! runs those that are waiting as one transaction.

mod operation;
mod group;
mod rows;
mod page;
mod owners;
mod projects;
mod tasks;
mod task_list;
mod vault;
mod trust;
mod trust_rows;

use shared::{
    clock::Clock,
    database::{Database, Door, Engine, Migrations, OpenError, Settings},
    metrics::Metrics,
    trust::Caller,
};
use uuid::Uuid;

pub use vault::Vault;

use crate::{
    error::{Error, Refusal},
    etag::Etag,
    pages::{Page, Rows},
    projects::{NewProject, Project, ProjectChange},
    tasks::{NewTask, Task, TaskChange, TaskFilter},
};
use operation::{Operation, ProjectDeletion, ProjectWrite, TaskWrite};

/// The schema, step by step.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &[
        ("projects and tasks", include_str!("../migrations/sqlite/0001_projects_and_tasks.sql")),
        ("trust", include_str!("../migrations/sqlite/0002_trust.sql")),
    ],
    postgres: &[
        ("projects and tasks", include_str!("../migrations/postgres/0001_projects_and_tasks.sql")),
        ("trust", include_str!("../migrations/postgres/0002_trust.sql")),
    ],
};

/// How much each owner may have.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// How many projects.
    pub projects: i64,
    /// How many tasks, deleted ones not counted.
    pub tasks: i64,
}

/// The store of this service on any engine.
#[derive(Debug)]
pub struct SqlStore<DB: Engine> {
    database: Database<DB>,
    door: Door<Operation>,
}

impl<DB: Engine> SqlStore<DB> {
    /// Opens the database that the settings name, with every migration applied.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        settings: &Settings,
        quotas: Quotas,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let database = Database::open(settings, &MIGRATIONS).await?;
        let door = Door::open(database.clone(), group::Tables { quotas, clock });
        Ok(Self { database, door })
    }

    /// Shows how the database is used.
    pub fn report(&self, metrics: &mut Metrics) {
        self.database.report(metrics);
        self.door.report(metrics);
    }

    /// Makes a project.
    ///
    /// # Errors
    /// [`Refusal::QuotaExceeded`], or when the database is away.
    pub async fn create_project(&self, caller: &Caller, new: NewProject) -> Result<Project, Error> {
        self.write_project(caller, ProjectWrite::Create(new)).await
    }

    /// Reads a project.
    ///
    /// # Errors
    /// [`Refusal::ProjectNotFound`], or when the database is away.
    pub async fn get_project(&self, caller: &Caller, id: Uuid) -> Result<Project, Error> {
        let project = projects::find(&self.database, caller.user_id(), id).await?;
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
        id: Uuid,
        seen: Option<Etag>,
        change: ProjectChange,
    ) -> Result<Project, Error> {
        self.write_project(caller, ProjectWrite::Update { id, seen, change }).await
    }

    /// Deletes a project, with `force` its tasks too.
    ///
    /// # Errors
    /// [`Refusal::ProjectNotFound`], [`Refusal::ProjectNotEmpty`], [`Refusal::EtagMismatch`], or
    /// when the database is away.
    pub async fn delete_project(
        &self,
        caller: &Caller,
        id: Uuid,
        seen: Option<Etag>,
        force: bool,
    ) -> Result<(), Error> {
        let owner = caller.user_id();
        let deletion = ProjectDeletion { id, seen, force };
        Ok(self.door.submit(|slot| Operation::DeleteProject { owner, deletion, slot }).await??)
    }

    /// Makes a task.
    ///
    /// # Errors
    /// [`Refusal::ProjectNotFound`], [`Refusal::QuotaExceeded`], or when the database is away.
    pub async fn create_task(&self, caller: &Caller, new: NewTask) -> Result<Task, Error> {
        self.write_task(caller, TaskWrite::Create(new)).await
    }

    /// Reads a task, also a deleted one.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], or when the database is away.
    pub async fn get_task(&self, caller: &Caller, id: Uuid) -> Result<Task, Error> {
        let task = tasks::find(&self.database, caller.user_id(), id).await?;
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
        id: Uuid,
        seen: Option<Etag>,
        change: TaskChange,
    ) -> Result<Task, Error> {
        self.write_task(caller, TaskWrite::Update { id, seen, change }).await
    }

    /// Marks a task as deleted.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::TaskDeleted`], [`Refusal::EtagMismatch`], or when the
    /// database is away.
    pub async fn delete_task(
        &self,
        caller: &Caller,
        id: Uuid,
        seen: Option<Etag>,
    ) -> Result<Task, Error> {
        self.write_task(caller, TaskWrite::Delete { id, seen }).await
    }

    async fn write_project(&self, caller: &Caller, write: ProjectWrite) -> Result<Project, Error> {
        let owner = caller.user_id();
        Ok(self.door.submit(|slot| Operation::Project { owner, write, slot }).await??)
    }

    async fn write_task(&self, caller: &Caller, write: TaskWrite) -> Result<Task, Error> {
        let owner = caller.user_id();
        Ok(self.door.submit(|slot| Operation::Task { owner, write, slot }).await??)
    }

    /// What this store keeps for the service itself.
    #[must_use]
    pub fn vault(&self) -> Vault<DB> {
        Vault { database: self.database.clone(), door: self.door.clone() }
    }
}
