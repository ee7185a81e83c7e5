//! `taskmanager.auth.v1.AuthService`: no RPC of it asks for a bearer token.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use shared::{
    clock::{Clock, Time},
    database::Engine,
    env::is_name,
    fields::Violations,
    ids::new_id,
    pb::auth::{
        IssueServiceTokenRequest, IssueServiceTokenResponse, ListSigningKeysRequest,
        ListSigningKeysResponse, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse,
        RefreshTokenRequest, RefreshTokenResponse, RegisterRequest, RegisterResponse, Tokens,
        ValidateTokenRequest, ValidateTokenResponse, auth_service_server::AuthService,
    },
    trust::{Claims, Rejection, Verifier},
};
use tonic::{Request, Response, Status};

use super::{
    Guard, key_to_wire,
    sessions::{Begun, Sessions, narrow},
};
use crate::{
    error::{Error, Refusal},
    guesses::{Taken, Whose},
    keys::KeyRing,
    network::Network,
    passwords::Password,
    services::{MOST_SECRET, SecretHash},
    sessions::{ClientLabel, RefreshToken},
    store::{Account, SqlStore},
    tokens::TokenIssuer,
    users::{Email, ImageUrl, User, Username, name_key},
};

/// The longest text that anybody can log in by, in code points.
const MAX_LOGIN: usize = 254;
/// The longest text that is looked at as a refresh token, in bytes.
const MAX_REFRESH_TOKEN: usize = 4_096;
/// How access tokens are presented (RFC 6750).
const TOKEN_TYPE: &str = "Bearer";

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
        let (user, password) = parse_register(request.into_inner(), self.clock.now())?;
        let hash = self.guard.hash(network, password).await?;
        self.store.register(user.clone(), hash).await?;
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
        let token = request.into_inner().access_token;
        let mut violations = Violations::new();
        if token.is_empty() {
            violations.add("access_token", "must not be empty");
        }
        violations.finish(Some(())).map_err(Error::from)?;
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
    /// The account whose password this is. Without an account the work is the same.
    async fn check(
        &self,
        account: Option<Account>,
        name: &str,
        network: Network,
        password: Password,
    ) -> Result<Checked, Error> {
        let (whose, hash) = match &account {
            Some(account) => (Whose::User(account.user.id), account.password_hash.clone()),
            None => (Whose::Nobody(name), self.guard.hasher.stand_in()),
        };
        let (verdict, taken) = self.guard.verify((whose, network), password, hash).await?;
        match account {
            Some(account) if verdict.fits => {
                Ok(Checked { account, taken, outdated: verdict.outdated })
            }
            _ => Err(Refusal::InvalidCredentials.into()),
        }
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

fn parse_register(request: RegisterRequest, now: Time) -> Result<(User, Password), Error> {
    let mut violations = Violations::new();
    let username = violations.check("username", Username::parse(request.username));
    let email = violations.check("email", Email::parse(request.email));
    let password = Password::chosen(request.password, username.as_ref(), email.as_ref());
    let password = violations.check("password", password);
    let image_url = violations.check("image_url", ImageUrl::parse(request.image_url));
    let whole = (|| {
        let (username, email, image_url) = (username?, email?, image_url?);
        let id = new_id(now);
        let user = User { id, username, email, image_url, create_time: now, update_time: now };
        Some((user, password?))
    })();
    Ok(violations.finish(whole)?)
}

/// An account whose password has been checked.
struct Checked {
    account: Account,
    /// The attempt, which was no guess.
    taken: Taken,
    /// Whether the hash is to be made anew.
    outdated: bool,
}

/// A login, parsed.
struct Login {
    /// What to look the user up by.
    name: String,
    /// Whether anybody can have that name.
    is_possible: bool,
    password: Password,
    audiences: Vec<String>,
    client_label: ClientLabel,
}

fn parse_login(request: LoginRequest, known: &[String]) -> Result<Login, Error> {
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

/// Reads a refresh token; `None` when it can not be one of ours.
fn parse_refresh_token(text: &str) -> Result<Option<RefreshToken>, Error> {
    let mut violations = Violations::new();
    if !(1..=MAX_REFRESH_TOKEN).contains(&text.len()) {
        violations.add("refresh_token", "must be 1 to 4096 characters");
    }
    violations.finish(Some(()))?;
    Ok(RefreshToken::parse(text))
}

/// The name of a service, and what its secret is checked by.
fn parse_credential(request: IssueServiceTokenRequest) -> Result<(String, SecretHash), Error> {
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

fn claims_to_wire(claims: Claims) -> ValidateTokenResponse {
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
