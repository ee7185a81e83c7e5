//! Clients with an identity, so that a test reads as a sentence.

use shared::pb::{
    auth::{
        LoginRequest, RegisterRequest, User, auth_service_client::AuthServiceClient,
        user_service_client::UserServiceClient,
    },
    task::{project_service_client::ProjectServiceClient, task_service_client::TaskServiceClient},
};
use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// The password of everybody who is registered by name.
pub const PASSWORD: &str = "a plain horse eats staples";

/// The authorization values that a client sends: none, one, or more than it should.
#[derive(Debug, Clone, Default)]
pub struct Identity(pub Vec<AsciiMetadataValue>);

/// A channel that speaks as somebody.
pub type As = InterceptedService<Channel, Identity>;

/// Somebody who calls one of the services.
#[derive(Debug, Clone)]
pub struct Person {
    /// The username.
    pub name: &'static str,
    /// The access token; empty without one.
    pub token: String,
    /// The refresh token; empty without one.
    pub refresh_token: String,
    /// The account; empty for somebody who has not registered.
    pub user: User,
    /// `AuthService`.
    pub auth: AuthServiceClient<As>,
    /// `UserService`.
    pub users: UserServiceClient<As>,
    /// `ProjectService`.
    pub projects: ProjectServiceClient<As>,
    /// `TaskService`.
    pub tasks: TaskServiceClient<As>,
}

impl Identity {
    /// One bearer token.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self(vec![format!("Bearer {token}").parse().expect("a header value")])
    }
}

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for value in &self.0 {
            request.metadata_mut().append("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Person {
    /// Somebody at the other end of this channel.
    #[must_use]
    pub fn new(name: &'static str, channel: Channel, identity: Identity) -> Self {
        let channel = InterceptedService::new(channel, identity);
        Self {
            name,
            token: String::new(),
            refresh_token: String::new(),
            user: User::default(),
            auth: AuthServiceClient::new(channel.clone()),
            users: UserServiceClient::new(channel.clone()),
            projects: ProjectServiceClient::new(channel.clone()),
            tasks: TaskServiceClient::new(channel),
        }
    }

    /// Registers and logs in.
    pub async fn register(name: &'static str, channel: Channel) -> Self {
        let mut auth = AuthServiceClient::new(channel.clone());
        let request = RegisterRequest {
            username: name.to_owned(),
            email: format!("{name}@example.com"),
            password: PASSWORD.to_owned(),
            image_url: String::new(),
            ..Default::default()
        };
        let registered = auth.register(request).await.expect("a new account").into_inner();
        let user = registered.user.expect("a user");
        Self { user, ..Self::log_in(name, channel).await }
    }

    /// Logs in.
    async fn log_in(name: &'static str, channel: Channel) -> Self {
        let request = LoginRequest {
            login: name.to_owned(),
            password: PASSWORD.to_owned(),
            ..LoginRequest::default()
        };
        let answer = AuthServiceClient::new(channel.clone()).login(request).await;
        let tokens = answer.expect("a login").into_inner().tokens.expect("tokens");
        let person = Self::new(name, channel, Identity::bearer(&tokens.access_token));
        Self { token: tokens.access_token, refresh_token: tokens.refresh_token, ..person }
    }

    /// The same person in another session, at the other end of a channel to auth-service.
    pub async fn again(&self, channel: Channel) -> Self {
        Self { user: self.user.clone(), ..Self::log_in(self.name, channel).await }
    }

    /// The same person at the other end of another channel.
    #[must_use]
    pub fn at(&self, channel: Channel) -> Self {
        let there = Self::new(self.name, channel, Identity::bearer(&self.token));
        Self {
            token: self.token.clone(),
            refresh_token: self.refresh_token.clone(),
            user: self.user.clone(),
            ..there
        }
    }
}
