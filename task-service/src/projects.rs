//! Projects: what they are and what may be done to them.

use shared::clock::Time;
use uuid::Uuid;

use crate::{
    error::Refusal,
    etag::Etag,
    text::{Description, Title},
};

/// A collection of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub title: Title,
    /// What it is about.
    pub description: Description,
    /// When it was made.
    pub create_time: Time,
    /// When it last changed.
    pub update_time: Time,
    /// The owner's revision at that change.
    pub revision: i64,
}

/// What its owner says of a new project.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// What it is called.
    pub title: Title,
    /// What it is about.
    pub description: Description,
}

/// What is to change about a project: what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    /// What it is called.
    pub title: Option<Title>,
    /// What it is about.
    pub description: Option<Description>,
}

impl Project {
    /// A new project.
    #[must_use]
    pub fn new(id: Uuid, new: NewProject, now: Time, revision: i64) -> Self {
        let NewProject { title, description } = new;
        Self { id, title, description, create_time: now, update_time: now, revision }
    }

    /// Changes the project.
    ///
    /// # Errors
    /// When it is no longer the one that the caller has seen.
    pub fn change(
        &mut self,
        change: ProjectChange,
        seen: Option<Etag>,
        now: Time,
        revision: i64,
    ) -> Result<(), Refusal> {
        Etag::check(seen, self.revision)?;
        let ProjectChange { title, description } = change;
        if let Some(title) = title {
            self.title = title;
        }
        if let Some(description) = description {
            self.description = description;
        }
        self.update_time = now;
        self.revision = revision;
        Ok(())
    }

    /// How many bytes its texts have.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.title.as_str().len() + self.description.as_str().len()
    }
}
