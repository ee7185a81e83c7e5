//! Somebody who has something in each service, deletes the account, and does not stop writing.

use std::time::Duration;

use shared::pb::{
    auth::{
        DeleteCurrentUserRequest, Erasure, ErasureConfirmationState, ErasureState,
        GetErasureRequest,
    },
    task::{
        CreateProjectRequest, CreateTaskRequest, DeleteProjectRequest, DeleteTaskRequest, Project,
        Task, UpdateTaskRequest,
    },
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::audit::owned;
use crate::{PASSWORD, Person, Place, rows::Rows};

/// How much somebody has who leaves.
const TASKS: usize = 24;
const PROJECTS: usize = 3;
/// How soon a call is followed by the next one: while the erasure is under way, and else.
const BUSY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(1);
/// The tables of task-service in which nothing is left when it is said to be so.
const TABLES: [&str; 5] = ["projects", "tasks", "deleted_projects", "unfolded_titles", "answers"];

/// How far somebody has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Here,
    Leaving,
    Erased,
}

/// Somebody who will leave, or has left.
#[derive(Debug, Clone)]
pub(super) struct Leaver {
    person: Person,
    /// The same at task-service.
    there: Person,
    /// Where task-service keeps what it has.
    place: Place,
    erasure_id: String,
    stage: watch::Sender<Stage>,
    /// How many have left who are not erased.
    pending: watch::Sender<usize>,
    end: watch::Receiver<bool>,
}

/// What somebody knows in the end.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) user_id: Uuid,
    pub(super) name: String,
    /// The tasks that were acknowledged as written.
    written: Vec<Uuid>,
    /// What has become of the account, if it was deleted.
    erasure: Option<Erasure>,
}

/// Has somebody own a little of everything.
pub(super) async fn fill(person: Person) {
    let mut calls = JoinSet::new();
    for number in 0..=PROJECTS {
        let mut person = person.clone();
        calls.spawn(async move {
            let project =
                Some(Project { title: format!("for {}", person.name), ..Project::default() });
            let request_id = Uuid::new_v4().to_string();
            let request = CreateProjectRequest { project, request_id };
            let project = person.projects.create_project(request).await.expect("a project");
            let id = project.into_inner().project.expect("a project").id;
            let request = create(&person, &id);
            person.tasks.create_task(request).await.expect("a task");
            if number == PROJECTS {
                let request = DeleteProjectRequest { id, force: true, ..Default::default() };
                person.projects.delete_project(request).await.expect("a deletion");
            }
        });
    }
    for number in 0..TASKS {
        let mut person = person.clone();
        calls.spawn(async move {
            let request = create(&person, "");
            let task = person.tasks.create_task(request).await.expect("a task");
            let mut task = task.into_inner().task.expect("a task");
            let id = task.id.clone();
            if number % 4 == 0 {
                task.description = format!("{} thought of it", person.name);
                let request = UpdateTaskRequest { task: Some(task), ..Default::default() };
                person.tasks.update_task(request).await.expect("an update");
            }
            if number % 5 == 0 {
                let request = DeleteTaskRequest { id, ..Default::default() };
                person.tasks.delete_task(request).await.expect("a deletion");
            }
        });
    }
    calls.join_all().await;
}

/// A new task of somebody.
fn create(person: &Person, project_id: &str) -> CreateTaskRequest {
    let title = format!("of {}", person.name);
    let task = Task { title, project_id: project_id.to_owned(), ..Task::default() };
    CreateTaskRequest { task: Some(task), request_id: Uuid::new_v4().to_string() }
}

impl Leaver {
    pub(super) fn new(
        person: Person,
        there: Person,
        place: &Place,
        pending: &watch::Sender<usize>,
        end: &watch::Sender<bool>,
    ) -> Self {
        Self {
            person,
            there,
            place: place.clone(),
            erasure_id: Uuid::new_v4().to_string(),
            stage: watch::Sender::new(Stage::Here),
            pending: pending.clone(),
            end: end.subscribe(),
        }
    }

    /// Tells them to leave now.
    pub(super) fn leave(&self) {
        self.pending.send_modify(|count| *count += 1);
        self.stage.send_replace(Stage::Leaving);
    }

    /// Writes until the end, and leaves if told so.
    pub(super) async fn live(self) -> Life {
        let (written, erasure) = tokio::join!(self.write(), self.depart());
        let user = self.person.user;
        let user_id = Uuid::try_parse(&user.id).expect("an id");
        Life { user_id, name: user.username, written, erasure }
    }

    /// Creates one task after another. Those that were acknowledged.
    async fn write(&self) -> Vec<Uuid> {
        let (mut written, mut stage) = (Vec::new(), self.stage.subscribe());
        let mut request = create(&self.there, "");
        while !*self.end.borrow() {
            let before = *stage.borrow_and_update();
            match self.there.tasks.clone().create_task(request.clone()).await {
                Ok(answer) => {
                    assert_ne!(before, Stage::Erased, "nothing is written any more");
                    let task = answer.into_inner().task.expect("a task");
                    written.push(Uuid::try_parse(&task.id).expect("an id"));
                    request = create(&self.there, "");
                    if written.len() % 2 == 0 {
                        request.request_id.clear();
                    }
                }
                Err(status) if is_revoked(&status) => assert_ne!(before, Stage::Here),
                Err(status) => assert_lost(&status),
            }
            let pause = if before == Stage::Leaving { BUSY } else { IDLE };
            drop(timeout(pause, stage.changed()).await);
        }
        written
    }

    /// Deletes the account, and asks until the end how far that has come.
    async fn depart(&self) -> Option<Erasure> {
        let (mut stage, mut end) = (self.stage.subscribe(), self.end.clone());
        tokio::select! {
            _ = stage.wait_for(|stage| *stage == Stage::Leaving) => {}
            _ = end.wait_for(|end| *end) => return None,
        }
        let mut erasure = self.delete().await;
        while !*self.end.borrow() {
            let is_erased = *self.stage.borrow() == Stage::Erased;
            if erasure.state() == ErasureState::Complete && !is_erased {
                assert_eq!(self.rows().await, ["0"], "it is complete");
                self.stage.send_replace(Stage::Erased);
                self.pending.send_modify(|count| *count -= 1);
            }
            sleep(if is_erased { IDLE } else { BUSY }).await;
            let next = self.erasure().await.expect("it is not forgotten");
            assert!(goes_on(&erasure, &next), "{erasure:?} {next:?}");
            erasure = next;
        }
        Some(erasure)
    }

    /// Deletes the account, however often that takes. What the erasure is like then.
    async fn delete(&self) -> Erasure {
        let request = DeleteCurrentUserRequest {
            current_password: PASSWORD.to_owned(),
            erasure_id: self.erasure_id.clone(),
        };
        loop {
            let answer = self.person.users.clone().delete_current_user(request.clone()).await;
            let erasure = self.erasure().await;
            match (answer, erasure) {
                (Ok(_), None) => panic!("{} is not deleted", self.person.name),
                (Err(status), None) => assert_lost(&status),
                (_, Some(erasure)) => return erasure,
            }
        }
    }

    /// What there is of the erasure.
    async fn erasure(&self) -> Option<Erasure> {
        loop {
            let request = GetErasureRequest { id: self.erasure_id.clone() };
            match self.person.auth.clone().get_erasure(request).await {
                Ok(answer) => return answer.into_inner().erasure,
                Err(status) if status.code() == Code::NotFound => return None,
                Err(status) => assert_lost(&status),
            }
            sleep(BUSY).await;
        }
    }

    /// How many rows task-service still has.
    async fn rows(&self) -> Vec<String> {
        let id = Uuid::try_parse(&self.person.user.id).expect("an id");
        let id = self.place.engine.id(id);
        let counts =
            TABLES.map(|table| format!("(select count(*) from {table} where owner_id = {id})"));
        self.place.lines(&format!("select cast({} as text)", counts.join(" + "))).await
    }
}

impl Life {
    pub(super) fn is_erased(&self) -> bool {
        self.erasure.is_some()
    }

    /// Checks that whatever was noted to have been theirs, and so all that was acknowledged, is either among
    /// these rows or among what a service says to have deleted.
    pub(super) fn check(&self, noted: &[String], rows: &Rows) {
        let known =
            |id: &Uuid| noted.binary_search(&owned(self.user_id, "tasks", Some(*id))).is_ok();
        assert!(self.written.iter().all(known), "{self:?}");
        let count = |kind| {
            let begin = owned(self.user_id, kind, None);
            noted.iter().filter(|line| line.starts_with(&begin)).count()
        };
        let [projects, tasks] = ["projects", "tasks"].map(count);
        let Some(erasure) = &self.erasure else {
            assert_eq!(
                [rows["projects"].len(), rows["tasks"].len()],
                [projects, tasks],
                "{self:?}"
            );
            return;
        };
        let counts = erasure.confirmations.iter();
        let counts = counts.map(|part| (part.service.as_str(), part.deleted_counts.clone()));
        let counted = |counts: [(&str, usize); 2]| {
            let number = |count| i64::try_from(count).expect("a number");
            counts.map(|(kind, count)| (kind.to_owned(), number(count))).into()
        };
        let expected = [
            ("auth-service", counted([("accounts", 1), ("sessions", 1)])),
            ("task-service", counted([("projects", projects), ("tasks", tasks)])),
        ];
        assert_eq!(counts.collect::<Vec<_>>(), expected, "{self:?}");
    }
}

/// Whether an erasure may be so after it was so: nobody takes back what was confirmed.
fn goes_on(erasure: &Erasure, next: &Erasure) -> bool {
    let is_confirmed = |state| state == ErasureConfirmationState::Confirmed;
    let mut parts = erasure.confirmations.iter().zip(&next.confirmations);
    let parts_go_on = parts.all(|(part, next)| !is_confirmed(part.state()) || part == next);
    parts_go_on && (erasure.state() == ErasureState::Pending || erasure == next)
}

fn is_revoked(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == "TOKEN_REVOKED")
}

/// A call was lost, as calls are when a program is killed.
fn assert_lost(status: &Status) {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let of_server = ["DRAINING", "OVERLOADED", "TRUST_UNAVAILABLE"];
    let is_lost = reason.is_none_or(|reason| of_server.contains(&reason.as_str()));
    assert!(is_lost && status.code() != Code::Internal, "{status}");
}
