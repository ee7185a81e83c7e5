//! What `UserService` is asked and answers, between the wire and the domain.

use std::mem;

use shared::{
    fields::Violations,
    ids::parse_id,
    mask::Mask,
    once::Once,
    pb::auth::{
        ChangePasswordRequest, DeleteCurrentUserRequest, RevokeSessionRequest,
        Session as WireSession, UpdateCurrentUserRequest, User as WireUser,
    },
    trust::Caller,
};
use uuid::{Uuid, Version};

use crate::{
    error::Error,
    passwords::{Password, PasswordFault},
    request_ids::RequestIds,
    sessions::Session,
    users::{Email, ImageUrl, User, UserChange, Username},
};

/// A change of the caller, parsed.
pub(super) struct Update {
    pub(super) change: UserChange,
    /// The password, if the change needs it.
    pub(super) password: Option<Password>,
    /// What it is known again by, if it may be repeated.
    pub(super) once: Option<Once>,
}

/// What shall change about the caller.
pub(super) fn parse_update(
    mut request: UpdateCurrentUserRequest,
    caller: &Caller,
    request_ids: &RequestIds,
) -> Result<Update, Error> {
    let mut violations = Violations::new();
    let password = mem::take(&mut request.current_password);
    let asked = request.clone();
    let user = request.user.unwrap_or_default();
    let fields = [
        ("username", !user.username.is_empty()),
        ("email", !user.email.is_empty()),
        ("image_url", !user.image_url.is_empty()),
    ];
    let fixed = ["id", "create_time", "update_time"];
    let mask = Mask::parse(request.update_mask, &fields, &fixed, &mut violations);
    let change = parse_change(user, &mask, &mut violations);

    let guarded = mask.names("username") || mask.names("email");
    let password = guarded.then(|| Password::presented(password));
    let password = password.and_then(|parsed| violations.check("current_password", parsed));
    if let Some(password) = &password {
        refuse_names_of(password, &change, &mut violations);
    }
    let once = request_ids.digests().once(caller.user_id(), &asked, &mut violations).flatten();
    Ok(violations.finish(Some(Update { change, password, once }))?)
}

/// The new values of what the mask names.
fn parse_change(user: WireUser, mask: &Mask, violations: &mut Violations) -> UserChange {
    let username = mask.names("username").then(|| Username::parse(user.username));
    let username = username.and_then(|parsed| violations.check("user.username", parsed));
    let email = mask.names("email").then(|| Email::parse(user.email));
    let email = email.and_then(|parsed| violations.check("user.email", parsed));
    let image_url = mask.names("image_url").then(|| ImageUrl::parse(user.image_url));
    let image_url = image_url.and_then(|parsed| violations.check("user.image_url", parsed));
    UserChange { username, email, image_url }
}

/// The rule that holds for a new password holds for a new name too.
fn refuse_names_of(password: &Password, change: &UserChange, violations: &mut Violations) {
    let fault = "must not be what the password is made of";
    if change.username.as_ref().is_some_and(|name| password.is_made_of(name.as_str())) {
        violations.add("user.username", fault);
    }
    if change.email.as_ref().is_some_and(|email| password.is_made_of(email.local_part())) {
        violations.add("user.email", fault);
    }
}

/// Which session shall end.
pub(super) fn parse_revoke(
    request: &RevokeSessionRequest,
    caller: &Caller,
    request_ids: &RequestIds,
) -> Result<(Uuid, Option<Once>), Error> {
    let mut violations = Violations::new();
    let id = violations.check("id", parse_id(&request.id));
    let once = request_ids.digests().once(caller.user_id(), request, &mut violations);
    Ok(violations.finish(id.zip(once))?)
}

/// The current password and the new one.
pub(super) fn parse_passwords(
    request: ChangePasswordRequest,
    user: &User,
) -> Result<(Password, Password), Error> {
    let mut violations = Violations::new();
    let new = if request.new_password == request.current_password {
        Err(PasswordFault::Unchanged)
    } else {
        Password::chosen(request.new_password, Some(&user.username), Some(&user.email))
    };
    let current = Password::presented(request.current_password);
    let current = violations.check("current_password", current);
    let new = violations.check("new_password", new);
    Ok(violations.finish(current.zip(new))?)
}

/// The current password, and the id of the erasure, which is made here unless the caller has made one.
pub(super) fn parse_delete(request: DeleteCurrentUserRequest) -> Result<(Password, Uuid), Error> {
    let mut violations = Violations::new();
    let password = Password::presented(request.current_password);
    let password = violations.check("current_password", password);
    let erasure_id = match request.erasure_id.as_str() {
        "" => Some(Uuid::new_v4()),
        id => violations.check("erasure_id", parse_random_id(id)),
    };
    Ok(violations.finish(password.zip(erasure_id))?)
}

/// An id that says that it was made at random.
fn parse_random_id(id: &str) -> Result<Uuid, &'static str> {
    let is_random = |id: &Uuid| id.get_version() == Some(Version::Random);
    parse_id(id).ok().filter(is_random).ok_or("must be a UUIDv4, made at random")
}

/// A session as the user sees it from this one.
pub(super) fn to_wire(session: &Session, caller: &Caller) -> WireSession {
    WireSession {
        id: session.id.to_string(),
        client_label: session.client_label.as_str().to_owned(),
        create_time: Some(session.create_time.into()),
        last_use_time: Some(session.last_use_time.into()),
        idle_expire_time: Some(session.idle_expire_time.into()),
        expire_time: Some(session.expire_time.into()),
        current: session.id == caller.session_id(),
    }
}

impl From<User> for WireUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            image_url: user.image_url.as_str().to_owned(),
            create_time: Some(user.create_time.into()),
            update_time: Some(user.update_time.into()),
        }
    }
}
