//! The RPCs, called as clients call them: a file for each, and a few for what they have in common.

mod authorization;
mod overload;
mod register;
mod register_again;
mod login;
mod login_race;
mod refresh_token;
mod refresh_limits;
mod logout;
mod clock_steps;
mod validate_token;
mod list_signing_keys;
mod get_current_user;
mod update_current_user;
mod update_names;
mod change_password;
mod list_sessions;
mod revoke_session;
mod revoke_other_sessions;
mod issue_service_token;
mod watch_trust;
mod watch_trust_ends;
mod watchers;
mod watcher;
mod delete_current_user;
mod deletion_races;
mod get_erasure;
mod watch_erasures;
mod watch_erasures_ends;
mod acknowledge_erasure;
mod erased_bytes;
pub(crate) mod erasing;
mod guesses;
mod guess_networks;
mod guess_budgets;
mod register_limit;

use e2e::{AuthServer, Engine, PASSWORD, Person, SERVICE_SECRET, add_service, clock};
use shared::pb::auth::{
    GetCurrentUserRequest, IssueServiceTokenRequest, LoginRequest, LoginResponse,
    RefreshTokenRequest, RefreshTokenResponse, RegisterRequest, Tokens, User,
};
use tonic::{Code, Response, Status};

/// A server with an empty database on this engine, with these settings.
pub(crate) async fn start<const N: usize>(
    on: Engine,
    settings: [(&'static str, &str); N],
) -> AuthServer {
    AuthServer::start_at(on.place("auth").await, clock(), settings).await
}

/// A server that lets everybody guess.
pub(crate) async fn start_without_limits(on: Engine) -> AuthServer {
    let names = ["AUTH_GUESS_LIMIT", "AUTH_ACCOUNT_GUESS_LIMIT", "AUTH_NETWORK_GUESS_LIMIT"];
    start(on, names.map(|name| (name, "1000000/1s"))).await
}

/// A good registration by this name.
pub(crate) fn account(name: &str) -> RegisterRequest {
    RegisterRequest {
        username: name.to_owned(),
        email: format!("{name}@example.com"),
        password: PASSWORD.to_owned(),
        image_url: String::new(),
        ..Default::default()
    }
}

/// A login for every audience.
pub(crate) fn credentials(login: &str, password: &str) -> LoginRequest {
    let (login, password) = (login.to_owned(), password.to_owned());
    LoginRequest { login, password, ..LoginRequest::default() }
}

/// Registers, and expects no refusal.
pub(crate) async fn register(person: &mut Person, request: RegisterRequest) -> User {
    person.auth.register(request).await.unwrap().into_inner().user.unwrap()
}

/// Logs in, whatever comes of it.
pub(crate) async fn login(
    person: &mut Person,
    login: &str,
    password: &str,
) -> Result<Response<LoginResponse>, Status> {
    person.auth.login(credentials(login, password)).await
}

/// The tokens of a login that succeeds.
pub(crate) async fn tokens(person: &mut Person, request: LoginRequest) -> Tokens {
    person.auth.login(request).await.unwrap().into_inner().tokens.unwrap()
}

/// A new session of this user, whose password is everybody's.
pub(crate) async fn session(server: &AuthServer, name: &str) -> Tokens {
    tokens(&mut server.anonymous(), credentials(name, PASSWORD)).await
}

/// Uses a refresh token, whatever comes of it.
pub(crate) async fn refresh(
    server: &AuthServer,
    token: &str,
) -> Result<Response<RefreshTokenResponse>, Status> {
    let request = RefreshTokenRequest { refresh_token: token.to_owned(), audiences: vec![] };
    server.anonymous().auth.refresh_token(request).await
}

/// The tokens that a refresh token is good for.
pub(crate) async fn refreshed(server: &AuthServer, token: &str) -> Tokens {
    refresh(server, token).await.unwrap().into_inner().tokens.unwrap()
}

/// Why an access token lets nobody in; an empty text when it does.
pub(crate) async fn reason(server: &AuthServer, token: &str) -> String {
    match server.bearer(token).users.get_current_user(GetCurrentUserRequest {}).await {
        Ok(_) => String::new(),
        refusal => e2e::refused(refusal).reason,
    }
}

/// A new token of the service of this name, which is registered if it is not.
pub(crate) async fn service_token(server: &AuthServer, name: &str) -> String {
    add_service(&server.config(), name).await;
    let (service, secret) = (name.to_owned(), SERVICE_SECRET.to_owned());
    let request = IssueServiceTokenRequest { service, secret };
    server.anonymous().auth.issue_service_token(request).await.unwrap().into_inner().access_token
}

/// Whether this logs in. Anything but a success and wrong credentials is a failure.
pub(crate) async fn logs_in(person: &mut Person, name: &str, password: &str) -> bool {
    match login(person, name, password).await {
        Ok(_) => true,
        refusal => {
            let kind = e2e::refused(refusal);
            assert_eq!(kind.kind(), (Code::Unauthenticated, "INVALID_CREDENTIALS"), "{name}");
            false
        }
    }
}

/// The caller's account as the server has it.
pub(crate) async fn me(person: &mut Person) -> User {
    let answer = person.users.get_current_user(GetCurrentUserRequest {}).await.unwrap();
    answer.into_inner().user.unwrap()
}

/// The fields that an answer finds fault with.
pub(crate) fn invalid<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Vec<String> {
    let refused = e2e::refused(answer);
    assert_eq!(refused.kind(), (Code::InvalidArgument, "FIELD_INVALID"), "{}", refused.message);
    refused.fields
}

/// Texts that no username may be.
pub(crate) fn bad_usernames() -> Vec<String> {
    let texts = [
        "",
        "an",
        "a@b.example",
        "two words",
        " ann",
        "ann ",
        ".ann",
        "-ann",
        "_ann",
        "ann\n",
        "ann\u{7f}",
        "ann\0",
        "nul\0nul",
        "ännchen",
        "аnn",
        "an\u{200d}n",
        "🦀🦀🦀",
        "ann'--",
    ];
    texts.into_iter().map(str::to_owned).chain(["a".repeat(33), "a".repeat(100_000)]).collect()
}

/// Texts that no address may be.
pub(crate) fn bad_emails() -> Vec<String> {
    let texts = [
        "",
        "ann",
        "@",
        "@example.com",
        "ann@",
        "ann@example",
        "ann@@example.com",
        "a@b@example.com",
        "ann @example.com",
        "ann@example.com ",
        "ann@exa mple.com",
        "ann@example..com",
        "ann@.example.com",
        "ann@-x.com",
        "ann@example.com.",
        ".ann@x.com",
        "ann.@x.com",
        "a..n@x.com",
        "Ann <ann@example.com>",
        "ann@example.com\r\nBcc: b@x.com",
        "ann\0@example.com",
        "änn@example.com",
        "ann@exämple.com",
        "ann@[127.0.0.1]",
        "\"ann\"@example.com",
        "a@b.com,c@d.com",
    ];
    let long = [format!("{}@x.com", "a".repeat(65)), format!("a@{}x.com", "b.".repeat(130))];
    texts.into_iter().map(str::to_owned).chain(long).collect()
}

/// Texts that no image URL may be.
pub(crate) fn bad_image_urls() -> Vec<String> {
    let texts = [
        "http://example.org/a.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "ftp://example.org/a",
        "//example.org/a",
        "/a.png",
        "example.org/a.png",
        "https:",
        "https://",
        "https:///a",
        "https:example.org",
        "https://ann@example.org/",
        "https://a:b@example.org/",
        "https://:b@example.org/",
        "https://example.org/a b",
        " https://example.org/",
        "https://example.org/\n",
        "https://example.org/\0",
        "https://example.org/\u{1b}[31m",
        "https:\\\\example.org",
        "https://example.org:99999/",
        "https://exa<mple.org/",
    ];
    let long = format!("https://example.org/{}", "a".repeat(2_048 - 19));
    texts.into_iter().map(str::to_owned).chain([long]).collect()
}
