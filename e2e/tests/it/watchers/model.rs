//! What somebody knows who applies every change.

use std::collections::BTreeMap;

use e2e::Person;
use shared::pb::task::{
    Change, GetTaskRequest, ListProjectsRequest, ListTasksRequest, Project, Task, change::Resource,
};

/// Everything that has been told, as it was told last.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Model {
    tasks: BTreeMap<String, Task>,
    projects: BTreeMap<String, Project>,
}

impl Model {
    /// Applies a change. Its etag, if it has one, comes after the last.
    pub(super) fn apply(&mut self, change: Change, last: &mut String) {
        let etag = match change.resource.expect("something has changed") {
            Resource::Task(task) => {
                let etag = task.etag.clone();
                self.tasks.insert(task.id.clone(), task);
                etag
            }
            Resource::Project(project) => {
                let etag = project.etag.clone();
                self.projects.insert(project.id.clone(), project);
                etag
            }
            Resource::DeletedProjectId(id) => return drop(self.projects.remove(&id)),
        };
        assert!(etag > *last, "{etag} was told after {last}");
        *last = etag;
    }

    /// It is what the lists have, and what can be read of the tasks that are deleted.
    pub(super) async fn assert_true(&self, person: &Person) {
        let (tasks, projects) = (tasks(person).await, projects(person).await);
        let deleted = |task: &Task| task.delete_time.is_some();
        let alive = self.tasks.iter().filter(|(_, task)| !deleted(task));
        assert_eq!(alive.map(|(id, task)| (id.clone(), task.clone())).collect::<Tasks>(), tasks);
        assert_eq!(self.projects, projects);
        let mut person = person.clone();
        for (id, task) in self.tasks.iter().filter(|(_, task)| deleted(task)) {
            let request = GetTaskRequest { id: id.clone() };
            let there = person.tasks.get_task(request).await.unwrap().into_inner().task;
            assert_eq!(there.as_ref(), Some(task));
        }
    }
}

type Tasks = BTreeMap<String, Task>;

async fn tasks(person: &Person) -> Tasks {
    let (mut person, mut there) = (person.clone(), BTreeMap::new());
    let mut request = ListTasksRequest { page_size: 3, ..ListTasksRequest::default() };
    loop {
        let page = person.tasks.list_tasks(request.clone()).await.unwrap().into_inner();
        there.extend(page.tasks.into_iter().map(|task| (task.id.clone(), task)));
        if page.next_page_token.is_empty() {
            return there;
        }
        request.page_token = page.next_page_token;
    }
}

async fn projects(person: &Person) -> BTreeMap<String, Project> {
    let (mut person, mut there) = (person.clone(), BTreeMap::new());
    let mut request = ListProjectsRequest { page_size: 3, ..ListProjectsRequest::default() };
    loop {
        let page = person.projects.list_projects(request.clone()).await.unwrap().into_inner();
        there.extend(page.projects.into_iter().map(|project| (project.id.clone(), project)));
        if page.next_page_token.is_empty() {
            return there;
        }
        request.page_token = page.next_page_token;
    }
}
