//! `taskmanager.auth.v1.AuthService`: no RPC of it asks for a token.

use std::sync::Arc;

use shared::{
    clock::{Clock, Time},
    database::Engine,
    fields::Violations,
    ids::new_id,
    pb::auth::{
        ListSigningKeysRequest, ListSigningKeysResponse, LoginRequest, LoginResponse,
        RegisterRequest, RegisterResponse, SigningKey, SigningKeyState, Tokens,
        ValidateTokenRequest, ValidateTokenResponse, auth_service_server::AuthService,
    },
    trust::{Claims, Rejection, Verifier},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    error::{Error, Refusal},
    hasher::Hasher,
    keys::{Key, KeyRing, State},
    passwords::Password,
    store::{Account, SqlStore},
    tokens::{AccessToken, TokenIssuer},
    users::{Email, ImageUrl, User, Username, name_key},
};

/// The longest text that anybody can log in by, in code points.
const MAX_LOGIN: usize = 254;
/// The most audiences that a login may ask for.
const MAX_AUDIENCES: usize = 16;

/// What the RPCs work with.
#[derive(Debug)]
pub struct Auth<DB: Engine> {
    /// The accounts.
    pub store: SqlStore<DB>,
    /// What hashes and checks passwords.
    pub hasher: Hasher,
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
        let (user, password) = parse_register(request.into_inner(), self.clock.now())?;
        let hash = self.hasher.hash(password).await.map_err(Error::from)?;
        self.store.register(user.clone(), hash).await?;
        Ok(Response::new(RegisterResponse { user: Some(user.into()) }))
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let login = parse_login(request.into_inner(), self.issuer.audiences())?;
        let account = match login.name {
            Some(name) => self.store.find_by_name(name).await?,
            None => None,
        };
        let user_id = self.check(account, login.password).await?;
        let token = self.issuer.issue(user_id, login.audiences).map_err(Error::from)?;
        Ok(Response::new(LoginResponse { tokens: Some(token.into()) }))
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
            Err(undecidable @ Rejection::Undecidable) => {
                return Err(Error::from(undecidable).into());
            }
        };
        Ok(Response::new(response))
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
    /// The id of the user whose password this is. Without a user the work is the same.
    async fn check(&self, account: Option<Account>, password: Password) -> Result<Uuid, Error> {
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let hash = hash.unwrap_or_else(|| self.hasher.stand_in());
        let verdict = self.hasher.verify(password.clone(), hash).await?;
        match account {
            Some(account) if verdict.fits => {
                let id = account.user.id;
                if verdict.outdated {
                    self.strengthen(account, password).await;
                }
                Ok(id)
            }
            _ => Err(Refusal::InvalidCredentials.into()),
        }
    }

    /// Hashes the password anew with the parameters in force. If that fails, the next login tries.
    async fn strengthen(&self, account: Account, password: Password) {
        let rehash = async {
            let hash = self.hasher.hash(password).await?;
            self.store.rehash(account.user.id, account.password_hash, hash).await
        };
        match rehash.await {
            // Another login, or a new password, came first.
            Ok(()) | Err(Error::Refused(Refusal::PasswordChanged)) => {}
            Err(error) => tracing::warn!(%error, "a password hash can not be brought up to date"),
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

/// A login, parsed.
struct Login {
    /// What to look the user up by; `None` when nobody can have that name.
    name: Option<String>,
    password: Password,
    audiences: Vec<String>,
}

fn parse_login(request: LoginRequest, known: &[String]) -> Result<Login, Error> {
    let mut violations = Violations::new();
    if !(1..=MAX_LOGIN).contains(&request.login.chars().count()) {
        violations.add("login", "must be 1 to 254 characters");
    }
    // Every name is ASCII without control characters.
    let possible = request.login.chars().all(|c| c.is_ascii_graphic());
    let name = possible.then(|| name_key(&request.login));
    let password = violations.check("password", Password::presented(request.password));
    if request.audiences.len() > MAX_AUDIENCES {
        violations.add("audiences", "must be at most 16");
    }
    for (place, audience) in request.audiences.iter().enumerate() {
        if !known.contains(audience) {
            violations.add(&format!("audiences[{place}]"), "is no service of this server");
        }
    }
    let asked =
        |audience: &&String| request.audiences.is_empty() || request.audiences.contains(*audience);
    let audiences = known.iter().filter(asked).cloned().collect();
    let login = password.map(|password| Login { name, password, audiences });
    Ok(violations.finish(login)?)
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

fn key_to_wire((state, key): (State, Key)) -> SigningKey {
    let state = match state {
        State::Pending => SigningKeyState::Pending,
        State::Active => SigningKeyState::Active,
        State::Retiring => SigningKeyState::Retiring,
        State::Ended => SigningKeyState::Unspecified,
    };
    SigningKey {
        kid: key.public.kid().to_owned(),
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        r#use: "sig".to_owned(),
        x: key.public.x(),
        state: state.into(),
        activate_time: Some(key.activate_time.into()),
    }
}

impl From<AccessToken> for Tokens {
    fn from(token: AccessToken) -> Self {
        Self {
            access_token: token.token,
            token_type: "Bearer".to_owned(),
            access_token_expire_time: Some(token.expire_time.into()),
        }
    }
}
