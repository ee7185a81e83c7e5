//! `taskmanager.auth.v1.AuthService`: no RPC of it asks for a bearer token.

mod register;
mod wire;

pub use register::Turns;

use std::sync::Arc;

use shared::{
    clock::Clock,
    database::Engine,
    pb::auth::{
        GetErasureRequest, GetErasureResponse, IssueServiceTokenRequest, IssueServiceTokenResponse,
        ListSigningKeysRequest, ListSigningKeysResponse, LoginRequest, LoginResponse,
        LogoutRequest, LogoutResponse, RefreshTokenRequest, RefreshTokenResponse, RegisterRequest,
        RegisterResponse, ValidateTokenRequest, ValidateTokenResponse,
        auth_service_server::AuthService,
    },
    trust::{Rejection, Verifier},
};
use tonic::{Request, Response, Status};

use super::{Guard, Sessions, key_to_wire};
use crate::{
    error::{Error, Refusal},
    guesses::{Taken, Whose},
    keys::KeyRing,
    network::Network,
    passwords::Password,
    request_ids::RequestIds,
    store::{Account, SqlStore},
    tokens::TokenIssuer,
};
use wire::{
    TOKEN_TYPE, claims_to_wire, parse_access_token, parse_credential, parse_erasure_id,
    parse_login, parse_refresh_token, parse_register,
};

/// What the RPCs work with.
#[derive(Debug)]
pub struct Auth<DB: Engine> {
    /// The accounts.
    pub store: SqlStore<DB>,
    /// What lets a password be checked.
    pub guard: Guard<DB>,
    /// What opens sessions, and goes on with them.
    pub sessions: Sessions<DB>,
    /// What issues tokens.
    pub issuer: TokenIssuer,
    /// The keys that are published.
    pub ring: Arc<KeyRing>,
    /// What tells good tokens from bad.
    pub verifier: Arc<Verifier>,
    /// What knows requests again that are repeated.
    pub request_ids: RequestIds,
    /// Those who make the same registration at once.
    pub turns: Turns,
    /// The time.
    pub clock: Clock,
}

#[tonic::async_trait]
impl<DB: Engine> AuthService for Auth<DB> {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let network = self.guard.network_of(&request);
        let registration =
            parse_register(request.into_inner(), &self.request_ids, self.clock.now())?;
        let user = self.open_account(registration, network).await?;
        Ok(Response::new(RegisterResponse { user: Some(user.into()) }))
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let network = self.guard.network_of(&request);
        let login = parse_login(request.into_inner(), self.issuer.audiences())?;
        let account = if login.is_possible {
            self.store.find_by_name(login.name.clone()).await?
        } else {
            None
        };
        let checked = self.check(account, &login.name, network, login.password.clone()).await?;
        let checked = checked.ok_or(Error::Refused(Refusal::InvalidCredentials))?;
        let begun = self.sessions.begin(&checked.account, login.client_label, login.audiences);
        // Together they cost one commit.
        let begun = tokio::join!(begun, self.guard.forgive(checked.taken)).0?;
        if checked.outdated {
            self.strengthen(checked.account, login.password).await;
        }
        Ok(Response::new(LoginResponse { tokens: Some(begun.into()) }))
    }

    async fn refresh_token(
        &self,
        request: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        let RefreshTokenRequest { refresh_token, audiences } = request.into_inner();
        let token = parse_refresh_token(&refresh_token)?;
        let tokens = self.sessions.refresh(token, audiences).await?;
        Ok(Response::new(RefreshTokenResponse { tokens: Some(tokens.into()) }))
    }

    async fn logout(
        &self,
        request: Request<LogoutRequest>,
    ) -> Result<Response<LogoutResponse>, Status> {
        if let Some(token) = parse_refresh_token(&request.into_inner().refresh_token)? {
            self.store.log_out(token.hash()).await?;
        }
        Ok(Response::new(LogoutResponse {}))
    }

    async fn validate_token(
        &self,
        request: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        let token = parse_access_token(request.into_inner().access_token)?;
        let response = match self.verifier.inspect(&token) {
            Ok(claims) => claims_to_wire(claims),
            Err(Rejection::Invalid(_)) => ValidateTokenResponse::default(),
            Err(
                undecidable @ (Rejection::Undecidable
                | Rejection::NotAUser
                | Rejection::NotAService),
            ) => return Err(Error::from(undecidable).into()),
        };
        Ok(Response::new(response))
    }

    async fn issue_service_token(
        &self,
        request: Request<IssueServiceTokenRequest>,
    ) -> Result<Response<IssueServiceTokenResponse>, Status> {
        let (name, secret) = parse_credential(request.into_inner())?;
        let service = self.store.service(name).await?;
        let service = service.filter(|service| service.secret_hash == secret);
        let service = service.ok_or(Error::Refused(Refusal::InvalidSecret))?;
        let signer = self.issuer.signer().map_err(Error::from)?;
        let token = signer.service(&service, self.sessions.lives().token).map_err(Error::from)?;
        Ok(Response::new(IssueServiceTokenResponse {
            access_token: token.token,
            token_type: TOKEN_TYPE.to_owned(),
            access_token_expire_time: Some(token.expire_time.into()),
            scopes: service.scopes,
        }))
    }

    async fn get_erasure(
        &self,
        request: Request<GetErasureRequest>,
    ) -> Result<Response<GetErasureResponse>, Status> {
        let id = parse_erasure_id(&request.into_inner().id)?;
        let erasure = self.store.erasure(id).await?;
        Ok(Response::new(GetErasureResponse { erasure: Some(erasure.into()) }))
    }

    async fn list_signing_keys(
        &self,
        _: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        let keys = self.ring.published(self.clock.now());
        let signing_keys = keys.into_iter().map(key_to_wire).collect();
        Ok(Response::new(ListSigningKeysResponse { signing_keys }))
    }
}

impl<DB: Engine> Auth<DB> {
    /// The account, if this is its password. Without an account the work is the same.
    async fn check(
        &self,
        account: Option<Account>,
        name: &str,
        network: Network,
        password: Password,
    ) -> Result<Option<Checked>, Error> {
        let (whose, hash) = match &account {
            Some(account) => (Whose::User(account.user.id), account.password_hash.clone()),
            None => (Whose::Nobody(name), self.guard.hasher.stand_in()),
        };
        let (verdict, taken) = self.guard.verify((whose, network), password, hash).await?;
        let account = account.filter(|_| verdict.fits);
        Ok(account.map(|account| Checked { account, taken, outdated: verdict.outdated }))
    }

    /// Hashes the password anew with the parameters in force. If that fails, the next login tries.
    async fn strengthen(&self, account: Account, password: Password) {
        let rehash = async {
            let hash = self.guard.hasher.hash(password).await?;
            self.store.rehash(account.user.id, account.password_hash, hash).await
        };
        if let Err(error) = rehash.await {
            tracing::warn!(%error, "a password hash can not be brought up to date");
        }
    }
}

/// An account whose password has been checked.
struct Checked {
    account: Account,
    /// The attempt, which was no guess.
    taken: Taken,
    /// Whether the hash is to be made anew.
    outdated: bool,
}
