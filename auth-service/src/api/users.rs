//! `taskmanager.auth.v1.UserService`: the caller's own account.

mod wire;

use shared::{
    clock::Clock,
    database::Engine,
    pb::auth::{
        ChangePasswordRequest, ChangePasswordResponse, DeleteCurrentUserRequest,
        DeleteCurrentUserResponse, GetCurrentUserRequest, GetCurrentUserResponse,
        ListSessionsRequest, ListSessionsResponse, RevokeOtherSessionsRequest,
        RevokeOtherSessionsResponse, RevokeSessionRequest, RevokeSessionResponse,
        UpdateCurrentUserRequest, UpdateCurrentUserResponse, user_service_server::UserService,
    },
    trust::Caller,
};
use tonic::{Request, Response, Status};

use super::{Guard, erasures::begun};
use crate::{
    error::{Error, Refusal},
    guesses::{Taken, Whose},
    network::Network,
    passwords::Password,
    request_ids::RequestIds,
    store::{Account, SqlStore},
};
use wire::{Update, parse_delete, parse_passwords, parse_revoke, parse_update, to_wire};

/// What the RPCs work with.
#[derive(Debug)]
pub struct Users<DB: Engine> {
    /// The accounts.
    pub store: SqlStore<DB>,
    /// What lets a password be checked.
    pub guard: Guard<DB>,
    /// What knows requests again that are repeated.
    pub request_ids: RequestIds,
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
        let Update { change, password, once } =
            parse_update(request.into_inner(), &caller, &self.request_ids)?;
        let user = match password {
            Some(password) => {
                let account = self.store.account(&caller).await?;
                self.guard.try_name(network).await?;
                let taken = self.authenticate(&account, network, password).await?;
                let checked = Some(account.password_version);
                let update = self.store.update_user(&caller, change, checked, once);
                tokio::join!(update, self.guard.forgive(taken)).0?
            }
            None => self.store.update_user(&caller, change, None, once).await?,
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

    async fn delete_current_user(
        &self,
        request: Request<DeleteCurrentUserRequest>,
    ) -> Result<Response<DeleteCurrentUserResponse>, Status> {
        let caller = Caller::of(&request)?;
        let network = self.guard.network_of(&request);
        let (password, erasure_id) = parse_delete(request.into_inner())?;
        let account = self.store.account(&caller).await?;
        let taken = self.authenticate(&account, network, password).await?;
        let delete = self.store.delete_user(&caller, account.password_version, erasure_id);
        let delete_time = tokio::join!(delete, self.guard.forgive(taken)).0?;
        let erasure = Some(begun(erasure_id, delete_time));
        Ok(Response::new(DeleteCurrentUserResponse { erasure }))
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
        let (id, once) = parse_revoke(&request.into_inner(), &caller, &self.request_ids)?;
        self.store.revoke_session(&caller, id, once).await?;
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
