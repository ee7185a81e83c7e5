//! A store on one of the engines, and its answers with the numbers of rows in place of their ids.

use std::time::Duration;

use e2e::Place;
use futures_util::future::join_all;
use shared::{
    clock::Clock,
    database::{Engine, Settings},
    erasure::{Counts, Eraser, Erasure},
    fields::Violations,
    once::{Digests, Once, Repeatable},
    pb::task as pb,
    trust::{Caller, Head},
};
use task_service::{
    changes::{Change, Position},
    error::{Error, Refusal},
    etag::Etag,
    housekeeping::sweep,
    pages::Page,
    projects::Project,
    store::{Quotas, SqlStore},
    tasks::{NewTask, Task, TaskChange, TaskFilter},
};
use uuid::Uuid;

use super::{
    super::new_project,
    plan::{Ask, Deed, Home, Seen, Step},
};

const QUOTAS: Quotas = Quotas { projects: 4, tasks: 20, forced_deletion: 3 };
/// How long deleted tasks are kept.
const RETENTION: Duration = Duration::from_hours(1);

/// What was answered.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Project(Project),
    Task(Task),
    Done,
    Refused(Refusal),
    /// A page.
    Tasks(Vec<Task>),
    Projects(Vec<Project>),
    /// And whether that is everything.
    Changes(Vec<Change>, bool),
}

pub(super) struct Side<DB: Engine> {
    store: SqlStore<DB>,
    clock: Clock,
    callers: [Caller; 2],
    projects: Vec<Known>,
    tasks: Vec<Known>,
    /// Where each caller has been.
    positions: [Vec<Position>; 2],
    _place: Place,
}

/// A row, and its revision as it was told last.
struct Known {
    id: Uuid,
    revision: i64,
}

impl<DB: Engine> Side<DB> {
    pub(super) async fn open(place: Place, clock: &Clock, callers: &[Caller; 2]) -> Self {
        let settings = Settings::new("test", &place.url).unwrap();
        Self {
            store: SqlStore::open(&settings, QUOTAS, clock.clone()).await.unwrap(),
            clock: clock.clone(),
            callers: callers.clone(),
            projects: Vec::new(),
            tasks: Vec::new(),
            positions: [Vec::new(), Vec::new()],
            _place: place,
        }
    }

    /// How many projects and how many tasks there have been.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.projects.len(), self.tasks.len())
    }

    pub(super) async fn take(&mut self, step: &Step) -> Vec<Answer> {
        match step {
            Step::Write(asks) => {
                let answers = join_all(asks.iter().map(|ask| self.write(ask))).await;
                answers.into_iter().map(|answer| self.told(answer)).collect()
            }
            Step::GetTask(caller, task) => {
                let id = id(&self.tasks, *task);
                let task = self.store.get_task(&self.callers[*caller], id).await;
                vec![self.told(task.map(Answer::Task))]
            }
            Step::GetProject(caller, project) => {
                let id = id(&self.projects, *project);
                let project = self.store.get_project(&self.callers[*caller], id).await;
                vec![self.told(project.map(Answer::Project))]
            }
            Step::ListTasks(caller, project, filter, size) => {
                let project_id = project.map(|it| id(&self.projects, it));
                let filter = TaskFilter { project_id, ..filter.clone() };
                self.list_tasks(*caller, &filter, *size).await
            }
            Step::ListProjects(caller, size) => self.list_projects(*caller, *size).await,
            Step::Changes(caller, since) => vec![self.changes(*caller, *since).await],
            Step::Sweep => {
                sweep(&self.store.vault(), RETENTION, &self.clock).await.unwrap();
                vec![Answer::Done]
            }
        }
    }

    /// Erases the first caller.
    pub(super) async fn erase(&self) -> Counts {
        let cursor = Head { epoch: Uuid::nil(), sequence: 1 };
        let (user_id, delete_time) = (self.callers[0].user_id(), self.clock.now());
        let vault = self.store.vault();
        vault.erase(&Erasure { user_id, delete_time, cursor }).await.unwrap()
    }

    async fn write(&self, ask: &Ask) -> Result<Answer, Error> {
        let (store, caller, once) = (&self.store, &self.callers[ask.caller], self.once(ask));
        let task = |it: usize| id(&self.tasks, it);
        let project = |it: usize| id(&self.projects, it);
        Ok(match ask.deed.clone() {
            Deed::CreateProject(title) => {
                Answer::Project(store.create_project(caller, once, new_project(title)).await?)
            }
            Deed::UpdateProject(it, seen, change) => {
                let seen = etag(&self.projects, it, seen);
                Answer::Project(
                    store.update_project(caller, once, project(it), seen, change).await?,
                )
            }
            Deed::DeleteProject(it, seen, force) => {
                let seen = etag(&self.projects, it, seen);
                store.delete_project(caller, once, project(it), seen, force).await?;
                Answer::Done
            }
            Deed::CreateTask(home, new) => {
                let new = NewTask { project_id: home.map(project), ..new };
                Answer::Task(store.create_task(caller, once, new).await?)
            }
            Deed::UpdateTask(it, seen, home, change) => {
                let seen = etag(&self.tasks, it, seen);
                let project_id = match home {
                    Home::Stays => None,
                    Home::Ends => Some(None),
                    Home::Is(it) => Some(Some(project(it))),
                };
                let change = TaskChange { project_id, ..change };
                Answer::Task(store.update_task(caller, once, task(it), seen, change).await?)
            }
            Deed::DeleteTask(it, seen) => {
                let seen = etag(&self.tasks, it, seen);
                Answer::Task(store.delete_task(caller, once, task(it), seen).await?)
            }
            Deed::UndeleteTask(it, seen) => {
                let seen = etag(&self.tasks, it, seen);
                Answer::Task(store.undelete_task(caller, once, task(it), seen).await?)
            }
        })
    }

    /// What is asked for, as if it had come in a request.
    fn once(&self, ask: &Ask) -> Option<Once> {
        let owner = self.callers[ask.caller].user_id();
        let request_id = Uuid::from_u128(ask.request?).to_string();
        let (deed, digest) = (format!("{:?}", ask.deed), Digest { owner, request_id });
        let task = || pb::Task { title: deed.clone(), ..Default::default() };
        let project = || pb::Project { title: deed.clone(), ..Default::default() };
        match ask.deed {
            Deed::CreateProject(_) => digest
                .of(&pb::CreateProjectRequest { project: Some(project()), ..Default::default() }),
            Deed::UpdateProject(..) => digest
                .of(&pb::UpdateProjectRequest { project: Some(project()), ..Default::default() }),
            Deed::DeleteProject(..) => {
                digest.of(&pb::DeleteProjectRequest { etag: deed, ..Default::default() })
            }
            Deed::CreateTask(..) => {
                digest.of(&pb::CreateTaskRequest { task: Some(task()), ..Default::default() })
            }
            Deed::UpdateTask(..) => {
                digest.of(&pb::UpdateTaskRequest { task: Some(task()), ..Default::default() })
            }
            Deed::DeleteTask(..) => {
                digest.of(&pb::DeleteTaskRequest { etag: deed, ..Default::default() })
            }
            Deed::UndeleteTask(..) => {
                digest.of(&pb::UndeleteTaskRequest { etag: deed, ..Default::default() })
            }
        }
    }

    async fn list_tasks(&mut self, caller: usize, filter: &TaskFilter, size: usize) -> Vec<Answer> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = Page { size, after };
            let page = self.store.list_tasks(&self.callers[caller], filter, &page).await.unwrap();
            pages.push(Answer::Tasks(page.rows.into_iter().map(|it| self.task(it)).collect()));
            after = page.next;
            if after.is_none() {
                return pages;
            }
        }
    }

    async fn list_projects(&mut self, caller: usize, size: usize) -> Vec<Answer> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = Page { size, after };
            let page = self.store.list_projects(&self.callers[caller], &page).await.unwrap();
            pages
                .push(Answer::Projects(page.rows.into_iter().map(|it| self.project(it)).collect()));
            after = page.next;
            if after.is_none() {
                return pages;
            }
        }
    }

    async fn changes(&mut self, caller: usize, since: Option<usize>) -> Answer {
        let since = since.and_then(|since| self.positions[caller].iter().rev().nth(since).copied());
        let changes = match self.store.changes(&self.callers[caller], since).await {
            Ok(changes) => changes,
            Err(error) => return self.told(Err(error)),
        };
        self.positions[caller].push(changes.position);
        let revisions: Vec<_> = changes.changes.iter().map(Change::revision).collect();
        assert!(revisions.is_sorted_by(|one, next| one < next), "{revisions:?}");
        let all = changes.changes.into_iter().map(|change| match change {
            Change::Task(task) => Change::Task(self.task(task)),
            Change::Project(project) => Change::Project(self.project(project)),
            Change::ProjectDeleted { id, .. } => {
                Change::ProjectDeleted { id: number(&mut self.projects, id, None), revision: 0 }
            }
        });
        Answer::Changes(all.collect(), changes.position.revision == changes.head)
    }

    /// An answer that says the same on both engines.
    fn told(&mut self, answer: Result<Answer, Error>) -> Answer {
        match answer {
            Ok(Answer::Task(task)) => Answer::Task(self.task(task)),
            Ok(Answer::Project(project)) => Answer::Project(self.project(project)),
            Ok(other) => other,
            Err(Error::Refused(refusal)) => Answer::Refused(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn task(&mut self, task: Task) -> Task {
        let project_id = task.project_id.map(|id| number(&mut self.projects, id, None));
        let id = number(&mut self.tasks, task.id, Some(task.revision));
        Task { id, project_id, revision: 0, ..task }
    }

    fn project(&mut self, project: Project) -> Project {
        let id = number(&mut self.projects, project.id, Some(project.revision));
        Project { id, revision: 0, ..project }
    }
}

/// The id of the row of this number; that of no row, if there is none.
fn id(known: &[Known], number: usize) -> Uuid {
    known.get(number).map_or(Uuid::max(), |row| row.id)
}

fn etag(known: &[Known], number: usize, seen: Seen) -> Option<Etag> {
    match seen {
        Seen::Any => None,
        Seen::Last => Some(Etag::of(known.get(number).map_or(1, |row| row.revision))),
        Seen::Other => Some(Etag::of(0)),
    }
}

/// The number of a row, in the shape of an id, and a new one if it is new.
fn number(known: &mut Vec<Known>, id: Uuid, revision: Option<i64>) -> Uuid {
    let place = known.iter().position(|row| row.id == id).unwrap_or_else(|| {
        known.push(Known { id, revision: 0 });
        known.len() - 1
    });
    if let Some(revision) = revision {
        known[place].revision = revision;
    }
    Uuid::from_u128(u128::try_from(place).unwrap())
}

struct Digest {
    owner: Uuid,
    request_id: String,
}

impl Digest {
    fn of<M: Repeatable>(self, request: &M) -> Option<Once> {
        let mut request = request.clone();
        *request.request_id_mut() = self.request_id;
        Digests::new(&[1; 32]).once(self.owner, &request, &mut Violations::new()).unwrap()
    }
}
