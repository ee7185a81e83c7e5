//! `taskmanager.auth.v1.UserService`: the caller's own account.

use shared::{
    clock::Clock,
    database::Engine,
    fields::Violations,
    ids::parse_id,
    mask::Mask,
    pb::auth::{
        ChangePasswordRequest, ChangePasswordResponse, GetCurrentUserRequest,
        GetCurrentUserResponse, ListSessionsRequest, ListSessionsResponse,
        RevokeOtherSessionsRequest, RevokeOtherSessionsResponse, RevokeSessionRequest,
        RevokeSessionResponse, Session as WireSession, UpdateCurrentUserRequest,
        UpdateCurrentUserResponse, User as WireUser, user_service_server::UserService,
    },
    trust::Caller,
};
use tonic::{Request, Response, Status};

use super::Guard;
use crate::{
    error::{Error, Refusal},
    guesses::{Taken, Whose},
    network::Network,
    passwords::{Password, PasswordFault},
    sessions::Session,
    store::{Account, SqlStore},
    users::{Email, ImageUrl, User, UserChange, Username},
};

/// What the RPCs work with.
#[derive(Debug)]
pub struct Users<DB: Engine> {
    /// The accounts.
    pub store: SqlStore<DB>,
    /// What lets a password be checked.
    pub guard: Guard<DB>,
    /// The time.
    pub clock: Clock,
}

#[tonic::async_trait]
impl<DB: Engine> UserService for Users<DB> {
    async fn get_current_user(
        &self,
        request: Request<GetCurrentUserRequest>,
    ) -> Result<Response<GetCurrentUserResponse>, Status> {
        let caller = Caller::of(&request)?;
        let user = self.store.account(&caller).await?.user;
        Ok(Response::new(GetCurrentUserResponse { user: Some(user.into()) }))
    }

    async fn update_current_user(
        &self,
        request: Request<UpdateCurrentUserRequest>,
    ) -> Result<Response<UpdateCurrentUserResponse>, Status> {
        let caller = Caller::of(&request)?;
        let network = self.guard.network_of(&request);
        let (change, password) = parse_update(request.into_inner())?;
        let user = match password {
            Some(password) => {
                let account = self.store.account(&caller).await?;
                self.guard.try_name(network).await?;
                let taken = self.authenticate(&account, network, password).await?;
                let checked = Some(account.password_version);
                let update = self.store.update_user(&caller, change, checked);
                tokio::join!(update, self.guard.forgive(taken)).0?
            }
            None => self.store.update_user(&caller, change, None).await?,
        };
        Ok(Response::new(UpdateCurrentUserResponse { user: Some(user.into()) }))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let caller = Caller::of(&request)?;
        let network = self.guard.network_of(&request);
        let account = self.store.account(&caller).await?;
        let (current, new) = parse_passwords(request.into_inner(), &account.user)?;
        let taken = self.authenticate(&account, network, current).await?;
        let change = async {
            let new = self.guard.hasher.hash(new).await?;
            self.store.change_password(&caller, account.password_version, new).await
        };
        tokio::join!(change, self.guard.forgive(taken)).0?;
        Ok(Response::new(ChangePasswordResponse {}))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let sessions = self.store.sessions(&caller, self.clock.now()).await?;
        // A session that has ended lists nothing: it would be among them.
        if !sessions.iter().any(|session| session.id == caller.session_id()) {
            return Err(Error::from(Refusal::SessionEnded).into());
        }
        let sessions = sessions.iter().map(|session| to_wire(session, &caller)).collect();
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let id = violations.check("id", parse_id(&request.into_inner().id));
        let id = violations.finish(id).map_err(Error::from)?;
        self.store.revoke_session(&caller, id).await?;
        Ok(Response::new(RevokeSessionResponse {}))
    }

    async fn revoke_other_sessions(
        &self,
        request: Request<RevokeOtherSessionsRequest>,
    ) -> Result<Response<RevokeOtherSessionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let count = self.store.revoke_other_sessions(&caller).await?;
        let revoked_count = i32::try_from(count).unwrap_or(i32::MAX);
        Ok(Response::new(RevokeOtherSessionsResponse { revoked_count }))
    }
}

impl<DB: Engine> Users<DB> {
    /// Demands that the password is the account's.
    async fn authenticate(
        &self,
        account: &Account,
        network: Network,
        password: Password,
    ) -> Result<Taken, Error> {
        let (whose, hash) = (Whose::User(account.user.id), account.password_hash.clone());
        let (verdict, taken) = self.guard.verify((whose, network), password, hash).await?;
        if verdict.fits { Ok(taken) } else { Err(Refusal::WrongPassword.into()) }
    }
}

/// The change, and the password if the change needs it.
fn parse_update(
    request: UpdateCurrentUserRequest,
) -> Result<(UserChange, Option<Password>), Error> {
    let mut violations = Violations::new();
    let user = request.user.unwrap_or_default();
    let fields = [
        ("username", !user.username.is_empty()),
        ("email", !user.email.is_empty()),
        ("image_url", !user.image_url.is_empty()),
    ];
    let fixed = ["id", "create_time", "update_time"];
    let mask = Mask::parse(request.update_mask, &fields, &fixed, &mut violations);

    let username = mask.names("username").then(|| Username::parse(user.username));
    let username = username.and_then(|parsed| violations.check("user.username", parsed));
    let email = mask.names("email").then(|| Email::parse(user.email));
    let email = email.and_then(|parsed| violations.check("user.email", parsed));
    let image_url = mask.names("image_url").then(|| ImageUrl::parse(user.image_url));
    let image_url = image_url.and_then(|parsed| violations.check("user.image_url", parsed));

    let guarded = mask.names("username") || mask.names("email");
    let password = guarded.then(|| Password::presented(request.current_password));
    let password = password.and_then(|parsed| violations.check("current_password", parsed));
    if let Some(password) = &password {
        // The rule that holds for a new password holds for a new name too.
        let fault = "must not be what the password is made of";
        if username.as_ref().is_some_and(|name| password.is_made_of(name.as_str())) {
            violations.add("user.username", fault);
        }
        if email.as_ref().is_some_and(|email| password.is_made_of(email.local_part())) {
            violations.add("user.email", fault);
        }
    }
    Ok(violations.finish(Some((UserChange { username, email, image_url }, password)))?)
}

/// The current password and the new one.
fn parse_passwords(
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

fn to_wire(session: &Session, caller: &Caller) -> WireSession {
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
