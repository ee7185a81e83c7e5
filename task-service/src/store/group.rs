//! Runs the writes that were waiting as one transaction.
//!
//! The owners' rows are locked first. Under those locks the rows that the group needs are read in
//! one statement per table, the rules decide in memory, write by write, and what has changed is
//! written back in one statement per table: the cost of a group hardly grows with its size, and a
//! write may rest on another of its group. Deletions of projects come last, so that they see every
//! task of the group.

use shared::{
    clock::{Clock, Time},
    database::{Engine, Writer},
    ids::new_id,
};
use uuid::Uuid;

use super::{
    Quotas,
    operation::{Operation, ProjectDeletion, ProjectWrite, TaskWrite},
    owners::{Owner, Owners},
    projects,
    rows::Rows,
    tasks, trust, vault,
};
use crate::{error::Refusal, etag::Etag, projects::Project, tasks::Task};

/// The tables of this service.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) quotas: Quotas,
    pub(super) clock: Clock,
}

impl<DB: Engine> Writer<DB> for Tables {
    type Write = Operation;

    async fn run(
        &self,
        connection: &mut DB::Connection,
        group: &mut [Operation],
    ) -> Result<(), sqlx::Error> {
        let owners = group.iter().filter_map(Operation::owner);
        let mut owners = Owners::lock::<DB>(connection, owners).await?;
        let needed = group.iter().filter_map(Operation::project).collect();
        let projects = projects::load::<DB>(connection, &needed).await?;
        let needed = group.iter().filter_map(Operation::task).collect();
        let tasks = tasks::load::<DB>(connection, &needed).await?;
        let mut work = Work { projects, tasks, quotas: self.quotas, now: self.clock.now() };

        let mut deletions = Vec::new();
        for operation in group {
            match operation {
                Operation::Task { owner, write, slot } => {
                    slot.fill(work.write_task(owners.of(*owner)?, *owner, write));
                }
                Operation::Project { owner, write, slot } => {
                    slot.fill(work.write_project(owners.of(*owner)?, *owner, write));
                }
                Operation::DeleteProject { owner, deletion, slot } => {
                    deletions.push((*owner, deletion, slot));
                }
                Operation::KeepPageKey { fresh, slot } => {
                    slot.fill(vault::keep_page_key::<DB>(connection, fresh.clone()).await?);
                }
                Operation::KeepTrust { said, slot } => {
                    slot.fill(trust::keep::<DB>(connection, said).await?);
                }
            }
        }
        projects::store::<DB>(connection, &work.projects).await?;
        tasks::store::<DB>(connection, &work.tasks).await?;
        for (owner, deletion, slot) in deletions {
            let row = owners.of(owner)?;
            slot.fill(work.delete_project::<DB>(connection, row, owner, deletion).await?);
        }
        owners.settle::<DB>(connection).await
    }
}

/// The rows that a group works on, and the rules that it works by.
struct Work {
    projects: Rows<Project>,
    tasks: Rows<Task>,
    quotas: Quotas,
    now: Time,
}

impl Work {
    fn write_project(
        &mut self,
        owner: &mut Owner,
        owner_id: Uuid,
        write: &ProjectWrite,
    ) -> Result<Project, Refusal> {
        let revision = owner.next_revision();
        let project = match write {
            ProjectWrite::Create(_) if owner.projects >= self.quotas.projects => {
                return Err(Refusal::QuotaExceeded);
            }
            ProjectWrite::Create(new) => {
                owner.projects += 1;
                Project::new(new_id(self.now), new.clone(), self.now, revision)
            }
            ProjectWrite::Update { id, seen, change } => {
                let project = self.projects.get((owner_id, *id));
                let mut project = project.cloned().ok_or(Refusal::ProjectNotFound)?;
                project.change(change.clone(), *seen, self.now, revision)?;
                project
            }
        };
        self.projects.put((owner_id, project.id), project.clone());
        Ok(project)
    }

    fn write_task(
        &mut self,
        owner: &mut Owner,
        owner_id: Uuid,
        write: &TaskWrite,
    ) -> Result<Task, Refusal> {
        let revision = owner.next_revision();
        let known = |id: Uuid| self.tasks.get((owner_id, id)).cloned().ok_or(Refusal::TaskNotFound);
        let (task, count) = match write {
            TaskWrite::Create(_) if owner.tasks >= self.quotas.tasks => {
                return Err(Refusal::QuotaExceeded);
            }
            TaskWrite::Create(new) => {
                (Task::new(new_id(self.now), new.clone(), self.now, revision), 1)
            }
            TaskWrite::Update { id, seen, change } => {
                let mut task = known(*id)?;
                task.change(change.clone(), *seen, self.now, revision)?;
                (task, 0)
            }
            TaskWrite::Delete { id, seen } => {
                let mut task = known(*id)?;
                task.delete(*seen, self.now, revision)?;
                (task, -1)
            }
        };
        if write.project().is_some_and(|id| self.projects.get((owner_id, id)).is_none()) {
            return Err(Refusal::ProjectNotFound);
        }
        owner.tasks += count;
        self.tasks.put((owner_id, task.id), task.clone());
        Ok(task)
    }

    /// Deletes a project when every other write of the group is in the tables.
    async fn delete_project<DB: Engine>(
        &mut self,
        connection: &mut DB::Connection,
        owner: &mut Owner,
        owner_id: Uuid,
        deletion: &ProjectDeletion,
    ) -> Result<Result<(), Refusal>, sqlx::Error> {
        let key = (owner_id, deletion.id);
        let Some(project) = self.projects.get(key) else {
            return Ok(Err(Refusal::ProjectNotFound));
        };
        if let Err(refusal) = Etag::check(deletion.seen, project.revision) {
            return Ok(Err(refusal));
        }
        let most = if deletion.force { i64::MAX } else { 1 };
        let count = tasks::count_in_project::<DB>(connection, key, most).await?;
        if count > 0 && !deletion.force {
            return Ok(Err(Refusal::ProjectNotEmpty));
        }
        if count > 0 {
            let revision = owner.revision;
            tasks::delete_in_project::<DB>(connection, key, self.now, revision).await?;
            owner.revision += count;
            owner.tasks -= count;
        }
        projects::delete::<DB>(connection, key).await?;
        owner.projects -= 1;
        self.projects.remove(key);
        Ok(Ok(()))
    }
}
