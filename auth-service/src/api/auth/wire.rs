//! What `AuthService` is asked and answers, between the wire and the domain.

use std::mem;

use secrecy::{ExposeSecret, SecretString};
use shared::{
    clock::Time,
    env::is_name,
    fields::Violations,
    ids::{new_id, parse_id},
    once::Once,
    pb::auth::{
        IssueServiceTokenRequest, LoginRequest, RegisterRequest, Tokens, ValidateTokenResponse,
    },
    trust::Claims,
};

use uuid::Uuid;

use crate::{
    api::sessions::{Begun, narrow},
    error::Error,
    passwords::Password,
    request_ids::RequestIds,
    services::{MOST_SECRET, SecretHash},
    sessions::{ClientLabel, RefreshToken},
    users::{Email, ImageUrl, User, Username, name_key},
};

/// The longest text that anybody can log in by, in code points.
const MAX_LOGIN: usize = 254;
/// The longest text that is looked at as a refresh token, in bytes.
const MAX_REFRESH_TOKEN: usize = 4_096;
/// How access tokens are presented (RFC 6750).
pub(super) const TOKEN_TYPE: &str = "Bearer";

/// A registration, parsed.
pub(super) struct Registration {
    /// The account that shall be opened.
    pub(super) user: User,
    pub(super) password: Password,
    /// What it is known again by, if it may be repeated.
    pub(super) once: Option<Once>,
}

/// Who registers, and by which password.
pub(super) fn parse_register(
    mut request: RegisterRequest,
    request_ids: &RequestIds,
    now: Time,
) -> Result<Registration, Error> {
    let mut violations = Violations::new();
    let password = mem::take(&mut request.password);
    let username = violations.check("username", Username::parse(request.username.clone()));
    let email = violations.check("email", Email::parse(request.email.clone()));
    let password = Password::chosen(password, username.as_ref(), email.as_ref());
    let password = violations.check("password", password);
    let image_url = violations.check("image_url", ImageUrl::parse(request.image_url.clone()));
    let owner = username.as_ref().map(|username| request_ids.owner_of(username));
    let once =
        request_ids.digests().once(owner.unwrap_or_default(), &request, &mut violations).flatten();
    let whole = (|| {
        let (username, email, image_url) = (username?, email?, image_url?);
        let id = new_id(now);
        let user = User { id, username, email, image_url, create_time: now, update_time: now };
        Some(Registration { user, password: password?, once })
    })();
    Ok(violations.finish(whole)?)
}

/// A login, parsed.
pub(super) struct Login {
    /// What to look the user up by.
    pub(super) name: String,
    /// Whether anybody can have that name.
    pub(super) is_possible: bool,
    pub(super) password: Password,
    pub(super) audiences: Vec<String>,
    pub(super) client_label: ClientLabel,
}

/// Who logs in, where and for what.
pub(super) fn parse_login(request: LoginRequest, known: &[String]) -> Result<Login, Error> {
    let mut violations = Violations::new();
    if !(1..=MAX_LOGIN).contains(&request.login.chars().count()) {
        violations.add("login", "must be 1 to 254 characters");
    }
    // Every name is ASCII without control characters.
    let is_possible = request.login.chars().all(|c| c.is_ascii_graphic());
    let name = name_key(&request.login);
    let password = violations.check("password", Password::presented(request.password));
    let asked = narrow(known, &request.audiences, &mut violations);
    // None is kept as none: it stands for all, with those that come later.
    let audiences = if request.audiences.is_empty() { Vec::new() } else { asked };
    let client_label = violations.check("client_label", ClientLabel::parse(request.client_label));
    let login = password.zip(client_label).map(|(password, client_label)| Login {
        name,
        is_possible,
        password,
        audiences,
        client_label,
    });
    Ok(violations.finish(login)?)
}

/// Which erasure is asked for.
pub(super) fn parse_erasure_id(id: &str) -> Result<Uuid, Error> {
    let mut violations = Violations::new();
    let id = violations.check("id", parse_id(id));
    Ok(violations.finish(id)?)
}

/// Reads a refresh token; `None` when it can not be one of ours.
pub(super) fn parse_refresh_token(text: &str) -> Result<Option<RefreshToken>, Error> {
    let mut violations = Violations::new();
    if !(1..=MAX_REFRESH_TOKEN).contains(&text.len()) {
        violations.add("refresh_token", "must be 1 to 4096 characters");
    }
    violations.finish(Some(()))?;
    Ok(RefreshToken::parse(text))
}

/// An access token, whatever it is worth.
pub(super) fn parse_access_token(token: String) -> Result<String, Error> {
    let mut violations = Violations::new();
    if token.is_empty() {
        violations.add("access_token", "must not be empty");
    }
    Ok(violations.finish(Some(token))?)
}

/// The name of a service, and what its secret is checked by.
pub(super) fn parse_credential(
    request: IssueServiceTokenRequest,
) -> Result<(String, SecretHash), Error> {
    let mut violations = Violations::new();
    if !is_name(&request.service) {
        violations.add("service", "must be 1 to 64 visible ASCII characters");
    }
    let secret = SecretString::from(request.secret);
    if !(1..=MOST_SECRET).contains(&secret.expose_secret().len()) {
        violations.add("secret", "must be 1 to 512 bytes");
    }
    Ok(violations.finish(Some((request.service, SecretHash::of(&secret))))?)
}

/// What a good token says.
pub(super) fn claims_to_wire(claims: Claims) -> ValidateTokenResponse {
    let scopes = claims.scope.unwrap_or_default();
    ValidateTokenResponse {
        active: true,
        subject: claims.sub,
        session_id: claims.sid,
        audiences: claims.aud,
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        issue_time: Some(Time::from_seconds(claims.iat).into()),
        expire_time: Some(Time::from_seconds(claims.exp).into()),
    }
}

impl From<Begun> for Tokens {
    fn from(begun: Begun) -> Self {
        let Begun { session, access, refresh } = begun;
        Self {
            access_token: access.token,
            token_type: TOKEN_TYPE.to_owned(),
            access_token_expire_time: Some(access.expire_time.into()),
            refresh_token: refresh.text(),
            refresh_token_expire_time: Some(session.idle_expire_time.into()),
            session_id: session.id.to_string(),
        }
    }
}
