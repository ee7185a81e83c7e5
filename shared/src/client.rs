//! Calls to the pair that ride out what passes: for services and tools that call it.
//!
//! A [`Client`] gives each call a time, as a whole. Within it the call is made again after UNAVAILABLE,
//! and after nothing else: no sooner than the answer's `RetryInfo`, ever more slowly, and only while most
//! calls succeed. What [reads](Read) is sent again as it is. What writes has a `request_id`, the same in
//! each attempt, so that it is done once however many arrive ([`Repeatable`]). Anything else is sent once.
//! A [`Session`] keeps the tokens of a login fresh.
//!
//! A connection that falls silent uses up the time of the calls on it: give the channel a keepalive.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use shared::{
//!     client::{Client, Policy, Session},
//!     clock::Clock,
//!     pb::{
//!         auth::{LoginRequest, auth_service_client::AuthServiceClient},
//!         task::{
//!             CreateTaskRequest, GetTaskRequest, Task, task_service_client::TaskServiceClient,
//!         },
//!     },
//! };
//! use tonic::transport::Endpoint;
//!
//! const KEEPALIVE: Duration = Duration::from_secs(30);
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // For a private CA, give each a `tls_config`; on this machine it is http://127.0.0.1:50051.
//! let to = |url| Endpoint::new(url).map(|it| it.http2_keep_alive_interval(KEEPALIVE));
//! let auth = to("https://auth.example.com:50051")?.connect_lazy();
//! let task = to("https://task.example.com:50052")?.connect_lazy();
//!
//! let login = LoginRequest { login: "ann".to_owned(), ..LoginRequest::default() };
//! let answer = AuthServiceClient::new(auth.clone()).login(login).await?.into_inner();
//! let session = Session::new(answer.tokens.unwrap_or_default(), auth, Clock::system())?;
//! let ann = Client::new(session.clone(), Policy::default());
//!
//! let tasks = TaskServiceClient::new(task);
//! let plants = Task { title: "Water the plants".to_owned(), ..Task::default() };
//! let create = CreateTaskRequest { task: Some(plants), ..CreateTaskRequest::default() };
//! let created = ann.write(&tasks, TaskServiceClient::create_task, create).await?;
//!
//! let get = GetTaskRequest { id: created.task.unwrap_or_default().id };
//! let read = ann.read(&tasks, TaskServiceClient::get_task, get).await;
//! if session.over().is_some() {
//!     // The session has ended. Ann must log in anew.
//! }
//! # Ok(())
//! # }
//! ```

mod attempts;
mod read;
mod session;

pub use attempts::Policy;
pub use read::Read;
pub use session::{MalformedTokens, Session};

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::once::Repeatable;
use attempts::{Attempts, Budget};
use session::Pass;

/// Somebody who calls the pair. Its clones share one budget.
#[derive(Debug, Clone)]
pub struct Client {
    session: Option<Session>,
    policy: Policy,
    budget: Arc<Budget>,
}

impl Client {
    /// Whoever has logged in.
    #[must_use]
    pub fn new(session: Session, policy: Policy) -> Self {
        Self { session: Some(session), ..Self::anonymous(policy) }
    }

    /// Nobody yet, for the RPCs that ask for no token.
    #[must_use]
    pub fn anonymous(policy: Policy) -> Self {
        Self { session: None, budget: Arc::new(Budget::of(&policy)), policy }
    }

    /// The same client, giving its calls this time.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        let policy = Policy { timeout, ..self.policy.clone() };
        Self { policy, ..self.clone() }
    }

    /// What reads, made again after UNAVAILABLE.
    ///
    /// # Errors
    /// The last answer; `DEADLINE_EXCEEDED` if there is none in time; or why a token can not be refreshed.
    pub async fn read<S: Clone, M: Read, T>(
        &self,
        service: &S,
        rpc: impl AsyncFn(&mut S, Request<M>) -> Result<Response<T>, Status>,
        request: M,
    ) -> Result<T, Status> {
        self.answer(service, rpc, request, self.attempts(true)).await
    }

    /// What writes, made again after UNAVAILABLE under one `request_id`: that of the request, or a new
    /// one if it has none.
    ///
    /// A request that can not carry one is no request for this:
    ///
    /// ```compile_fail
    /// # use shared::{client::Client, pb::auth::{LoginRequest, auth_service_client::AuthServiceClient}};
    /// # use tonic::{Status, transport::Channel};
    /// # async fn login(client: Client, auth: AuthServiceClient<Channel>) -> Result<(), Status> {
    /// client.write(&auth, AuthServiceClient::login, LoginRequest::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::read`]. After `UNAVAILABLE` and `DEADLINE_EXCEEDED` it may have been done.
    pub async fn write<S: Clone, M: Repeatable, T>(
        &self,
        service: &S,
        rpc: impl AsyncFn(&mut S, Request<M>) -> Result<Response<T>, Status>,
        mut request: M,
    ) -> Result<T, Status> {
        let id = request.request_id_mut();
        if id.is_empty() {
            *id = Uuid::new_v4().to_string();
        }
        self.answer(service, rpc, request, self.attempts(true)).await
    }

    /// Anything else that has one answer, made once; and once more if its token was refused, for then
    /// nothing was done. (A stream would end with the time of the call: open it with
    /// [`Session::authorization`].)
    ///
    /// # Errors
    /// As [`Client::write`].
    pub async fn call<S: Clone, M: Clone, T>(
        &self,
        service: &S,
        rpc: impl AsyncFn(&mut S, Request<M>) -> Result<Response<T>, Status>,
        request: M,
    ) -> Result<T, Status> {
        self.answer(service, rpc, request, self.attempts(false)).await
    }

    async fn answer<S: Clone, M: Clone, T>(
        &self,
        service: &S,
        rpc: impl AsyncFn(&mut S, Request<M>) -> Result<Response<T>, Status>,
        message: M,
        mut attempts: Attempts<'_>,
    ) -> Result<T, Status> {
        let mut was_refused = false;
        loop {
            let pass = attempts.in_time(self.pass()).await?;
            let mut request = Request::new(message.clone());
            request.set_timeout(attempts.left());
            if let Some(pass) = &pass {
                request.metadata_mut().insert("authorization", pass.bearer());
            }
            let status = match attempts.in_time(rpc(&mut service.clone(), request)).await {
                Ok(answer) => {
                    attempts.succeeded();
                    return Ok(answer.into_inner());
                }
                Err(status) => status,
            };
            if !was_refused && attempts.in_time(renewed(pass, &status)).await? {
                was_refused = true;
            } else {
                attempts.again(status).await?;
            }
        }
    }

    /// What the next attempt proves itself with.
    async fn pass(&self) -> Result<Option<Pass>, Status> {
        match &self.session {
            Some(session) => session.pass().await.map(Some),
            None => Ok(None),
        }
    }

    fn attempts(&self, repeats: bool) -> Attempts<'_> {
        Attempts::new(&self.policy, &self.budget, repeats)
    }
}

/// Whether there is another token, in place of one that was refused like this.
async fn renewed(pass: Option<Pass>, refusal: &Status) -> Result<bool, Status> {
    match pass {
        Some(pass) => pass.renewed(refusal).await,
        None => Ok(false),
    }
}
