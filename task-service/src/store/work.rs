//! What a group of writes works on, and the rules that it works by.

use shared::{
    clock::Time,
    database::{Answers, Engine},
    ids::new_id,
    once::Reused,
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    Quotas,
    kept::Kept,
    operation::{Answer, Ask, Deed},
    owners::Owner,
    projects,
    rows::{Key, Rows},
    tasks,
};
use crate::{
    error::Refusal,
    etag::Etag,
    projects::{NewProject, Project, ProjectChange},
    tasks::{NewTask, Task, TaskChange},
};

/// The rows that a group needs, as they are in its midst.
pub(super) struct Work {
    answers: Answers,
    projects: Rows<Project>,
    tasks: Rows<Task>,
    quotas: Quotas,
    /// How many tasks have gone along with their projects.
    gone: i64,
    now: Time,
}

impl Work {
    /// Reads what these writes need, under the locks of their owners' rows.
    pub(super) async fn load<'a, DB: Engine>(
        connection: &mut DB::Connection,
        asks: impl Iterator<Item = &'a Ask> + Clone,
        quotas: Quotas,
        now: Time,
    ) -> Result<Self, Error> {
        let once = asks.clone().filter_map(|ask| ask.once.as_ref());
        let answers = Answers::load::<DB>(connection, once).await?;
        let needed = asks.clone().filter_map(Ask::project).collect();
        let mut projects = Rows::load::<DB, _>(connection, projects::ByKey, &needed).await?;
        let needed = asks.clone().filter_map(Ask::task).collect();
        let tasks = Rows::load::<DB, _>(connection, tasks::ByKey, &needed).await?;
        // What comes back may have been part of a project that is gone.
        let back = asks.filter(|ask| matches!(ask.deed, Deed::UndeleteTask { .. }));
        let homes = back.filter_map(|ask| Some((ask.owner, tasks.get(ask.task()?)?.project_id?)));
        let homes = homes.filter(|home| projects.get(*home).is_none()).collect();
        projects.extend(Rows::load::<DB, _>(connection, projects::ByKey, &homes).await?);
        Ok(Self { answers, projects, tasks, quotas, gone: 0, now })
    }

    /// Does what is asked for, unless that has been done before or may not be any more, and leaves the
    /// answer.
    pub(super) async fn answer<DB: Engine>(
        &mut self,
        connection: &mut DB::Connection,
        owner: &mut Owner,
        ask: &mut Ask,
    ) -> Result<(), Error> {
        if owner.is_fenced() {
            ask.slot.fill(Err(Refusal::OwnerErased));
            return Ok(());
        }
        if let Some(once) = &ask.once
            && let Some(before) = self.answers.find::<Kept<'_>>(once)?
        {
            ask.slot.fill(match before {
                Ok(kept) => Ok(kept.answer()?),
                Err(Reused) => Err(Refusal::RequestIdReused),
            });
            return Ok(());
        }
        let answer = self.perform::<DB>(connection, owner, ask).await?;
        // A refusal is not kept: nothing was done.
        if let (Some(once), Ok(answer)) = (&ask.once, &answer) {
            self.answers.keep(once, &Kept::of(ask.owner, answer))?;
        }
        ask.slot.fill(answer);
        Ok(())
    }

    /// Writes back the rows that have changed.
    pub(super) async fn store<DB: Engine>(
        &self,
        connection: &mut DB::Connection,
    ) -> Result<(), Error> {
        projects::store::<DB>(connection, &self.projects).await?;
        tasks::store::<DB>(connection, &self.tasks).await
    }

    /// Writes down the answers that may be asked for again.
    pub(super) async fn keep_answers<DB: Engine>(
        self,
        connection: &mut DB::Connection,
    ) -> Result<(), Error> {
        self.answers.store::<DB>(connection, self.now).await
    }

    async fn perform<DB: Engine>(
        &mut self,
        connection: &mut DB::Connection,
        owner: &mut Owner,
        ask: &Ask,
    ) -> Result<Result<Answer, Refusal>, Error> {
        let key = |id: &Uuid| (ask.owner, *id);
        let done = match &ask.deed {
            Deed::CreateProject(new) => self.create_project(owner, ask.owner, new),
            Deed::UpdateProject { id, seen, change } => {
                self.update_project(owner, key(id), *seen, change)
            }
            Deed::DeleteProject { id, seen, force } => {
                self.delete_project::<DB>(connection, owner, key(id), *seen, *force).await?
            }
            Deed::CreateTask(new) => self.create_task(owner, ask.owner, new),
            Deed::UpdateTask { id, seen, change } => {
                self.update_task(owner, key(id), *seen, change)
            }
            Deed::DeleteTask { id, seen } => self.delete_task(owner, key(id), *seen),
            Deed::UndeleteTask { id, seen } => self.undelete_task(owner, key(id), *seen),
        };
        Ok(done)
    }

    fn create_project(
        &mut self,
        owner: &mut Owner,
        owner_id: Uuid,
        new: &NewProject,
    ) -> Result<Answer, Refusal> {
        if owner.projects >= self.quotas.projects {
            return Err(Refusal::QuotaExceeded);
        }
        owner.projects += 1;
        let id = new_id(self.now);
        let project = Project::new(id, new.clone(), self.now, owner.next_revision());
        self.projects.put((owner_id, id), project.clone());
        Ok(Answer::Project(project))
    }

    fn update_project(
        &mut self,
        owner: &mut Owner,
        key: Key,
        seen: Option<Etag>,
        change: &ProjectChange,
    ) -> Result<Answer, Refusal> {
        let mut project = self.projects.get(key).cloned().ok_or(Refusal::ProjectNotFound)?;
        project.change(change.clone(), seen, self.now, owner.next_revision())?;
        self.projects.put(key, project.clone());
        Ok(Answer::Project(project))
    }

    /// Deletes a project when every other write of the group is in the tables.
    async fn delete_project<DB: Engine>(
        &mut self,
        connection: &mut DB::Connection,
        owner: &mut Owner,
        key: Key,
        seen: Option<Etag>,
        force: bool,
    ) -> Result<Result<Answer, Refusal>, Error> {
        let Some(project) = self.projects.get(key) else {
            return Ok(Err(Refusal::ProjectNotFound));
        };
        if let Err(refusal) = Etag::check(seen, project.revision) {
            return Ok(Err(refusal));
        }
        let most = if force { self.quotas.forced_deletion } else { 0 };
        let count = tasks::count_in_project::<DB>(connection, key, most + 1).await?;
        if count > most {
            let refusal = if force { Refusal::ProjectTooLarge } else { Refusal::ProjectNotEmpty };
            return Ok(Err(refusal));
        }
        // What one deletion may take, all of the transaction may: everybody waits for it.
        if self.gone + count > self.quotas.forced_deletion {
            return Ok(Err(Refusal::TooManyDeletions));
        }
        self.gone += count;
        if count > 0 {
            let revision = owner.revision;
            tasks::delete_in_project::<DB>(connection, key, self.now, revision).await?;
            owner.revision += count;
            owner.tasks -= count;
        }
        projects::delete::<DB>(connection, key, self.now, owner.next_revision()).await?;
        owner.projects -= 1;
        self.projects.remove(key);
        Ok(Ok(Answer::Done))
    }

    fn create_task(
        &mut self,
        owner: &mut Owner,
        owner_id: Uuid,
        new: &NewTask,
    ) -> Result<Answer, Refusal> {
        if owner.tasks >= self.quotas.tasks {
            return Err(Refusal::QuotaExceeded);
        }
        self.check_home(owner_id, new.project_id)?;
        owner.tasks += 1;
        let id = new_id(self.now);
        let task = Task::new(id, new.clone(), self.now, owner.next_revision());
        Ok(self.put_task((owner_id, id), task))
    }

    fn update_task(
        &mut self,
        owner: &mut Owner,
        key: Key,
        seen: Option<Etag>,
        change: &TaskChange,
    ) -> Result<Answer, Refusal> {
        let mut task = self.task(key)?;
        task.change(change.clone(), seen, self.now, owner.next_revision())?;
        self.check_home(key.0, change.project_id.flatten())?;
        Ok(self.put_task(key, task))
    }

    fn delete_task(
        &mut self,
        owner: &mut Owner,
        key: Key,
        seen: Option<Etag>,
    ) -> Result<Answer, Refusal> {
        let mut task = self.task(key)?;
        task.delete(seen, self.now, owner.next_revision())?;
        owner.tasks -= 1;
        Ok(self.put_task(key, task))
    }

    fn undelete_task(
        &mut self,
        owner: &mut Owner,
        key: Key,
        seen: Option<Etag>,
    ) -> Result<Answer, Refusal> {
        let mut task = self.task(key)?;
        task.undelete(seen, self.now, owner.next_revision())?;
        if owner.tasks >= self.quotas.tasks {
            return Err(Refusal::QuotaExceeded);
        }
        owner.tasks += 1;
        task.project_id = task.project_id.filter(|id| self.projects.get((key.0, *id)).is_some());
        Ok(self.put_task(key, task))
    }

    fn task(&self, key: Key) -> Result<Task, Refusal> {
        self.tasks.get(key).cloned().ok_or(Refusal::TaskNotFound)
    }

    fn put_task(&mut self, key: Key, task: Task) -> Answer {
        self.tasks.put(key, task.clone());
        Answer::Task(task)
    }

    /// Whether the owner has the project that a task is to be part of.
    fn check_home(&self, owner: Uuid, project: Option<Uuid>) -> Result<(), Refusal> {
        match project {
            Some(id) if self.projects.get((owner, id)).is_none() => Err(Refusal::ProjectNotFound),
            Some(_) | None => Ok(()),
        }
    }
}
