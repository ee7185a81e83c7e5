//! Users: who they are and what may change about them.

mod names;

use shared::clock::Time;
use uuid::Uuid;

pub use names::{Email, ImageUrl, UserFault, Username, name_key};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id, a UUIDv7.
    pub id: Uuid,
    /// The name to log in by.
    pub username: Username,
    /// The address to log in by.
    pub email: Email,
    /// A picture.
    pub image_url: ImageUrl,
    /// When the account was opened.
    pub create_time: Time,
    /// When any of the above last changed.
    pub update_time: Time,
}

/// What is to change about a user; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The new name.
    pub username: Option<Username>,
    /// The new address.
    pub email: Option<Email>,
    /// The new picture.
    pub image_url: Option<ImageUrl>,
}

impl User {
    /// The user as it is after the change, made at this time. What changes nothing is no change.
    #[must_use]
    pub fn changed(&self, change: UserChange, now: Time) -> Self {
        let mut user = self.clone();
        user.username = change.username.unwrap_or(user.username);
        user.email = change.email.unwrap_or(user.email);
        user.image_url = change.image_url.unwrap_or(user.image_url);
        if user != *self {
            user.update_time = now;
        }
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_changes_nothing_keeps_the_time() {
        let user = User {
            id: Uuid::nil(),
            username: Username::parse("ann".to_owned()).unwrap(),
            email: Email::parse("ann@example.org".to_owned()).unwrap(),
            image_url: ImageUrl::default(),
            create_time: Time::from_seconds(1),
            update_time: Time::from_seconds(1),
        };
        let username = |name: &str| Username::parse(name.to_owned()).ok();
        let same = UserChange { username: username("ann"), ..UserChange::default() };
        let other = UserChange { username: username("Ann"), ..UserChange::default() };
        let now = Time::from_seconds(2);
        assert_eq!(user.changed(same, now), user);
        assert_eq!(user.changed(other, now).update_time, now);
    }
}
