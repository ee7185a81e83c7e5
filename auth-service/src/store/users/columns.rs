//! A user as columns keep it.

use serde::{Deserialize, Serialize};
use shared::clock::Time;
use uuid::Uuid;

use crate::users::{Email, ImageUrl, User, Username};

/// A user, times in microseconds.
#[derive(Serialize, Deserialize)]
pub(super) struct Columns {
    pub(super) id: Uuid,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) image_url: String,
    pub(super) create_time: i64,
    pub(super) update_time: i64,
}

/// A user as an answer that is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Columns", into = "Columns")]
pub(super) struct Kept(pub(super) User);

impl TryFrom<Columns> for User {
    /// The column that contradicts the types.
    type Error = &'static str;

    fn try_from(columns: Columns) -> Result<Self, &'static str> {
        Ok(Self {
            id: columns.id,
            username: Username::parse(columns.username).map_err(|_| "username")?,
            email: Email::parse(columns.email).map_err(|_| "email")?,
            image_url: ImageUrl::parse(columns.image_url).map_err(|_| "image_url")?,
            create_time: Time::from_micros(columns.create_time).ok_or("create_time")?,
            update_time: Time::from_micros(columns.update_time).ok_or("update_time")?,
        })
    }
}

impl TryFrom<Columns> for Kept {
    type Error = &'static str;

    fn try_from(columns: Columns) -> Result<Self, &'static str> {
        columns.try_into().map(Self)
    }
}

impl From<Kept> for Columns {
    fn from(Kept(user): Kept) -> Self {
        Self {
            id: user.id,
            username: user.username.as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            image_url: user.image_url.as_str().to_owned(),
            create_time: user.create_time.micros(),
            update_time: user.update_time.micros(),
        }
    }
}
