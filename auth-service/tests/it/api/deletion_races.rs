//! `UserService.DeleteCurrentUser` while other things happen to the account.

use auth_service::store::MIGRATIONS;
use e2e::{AuthServer, Engine, PASSWORD, Person, on_every_engine, refused};
use shared::{
    database::{self, Database, Settings, Statement, get},
    on_engine,
    pb::auth::{ChangePasswordRequest, RefreshTokenRequest, RegisterRequest, Tokens, User},
};
use tokio::task::JoinSet;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use super::{
    account, credentials,
    erasing::{ask, delete, deleted},
    login, logs_in, me, reason, refresh, session, start_without_limits,
    update_current_user::update,
};

on_every_engine!(
    of_many_at_the_same_moment_one_is_done,
    no_login_outlives_the_deletion,
    no_refresh_outlives_the_deletion,
    a_new_password_and_a_deletion_do_not_both_come_about,
    no_answer_that_is_kept_outlives_the_deletion,
    of_those_who_wait_for_the_name_one_gets_it,
    a_registration_that_is_repeated_brings_nobody_back,
);

/// What a refusal may be that comes too late.
fn assert_late<T: std::fmt::Debug>(answer: Result<Response<T>, Status>, kinds: &[(Code, &str)]) {
    let refusal = refused(answer);
    assert!(kinds.contains(&refusal.kind()), "{refusal:?}");
}

const REVOKED: (Code, &str) = (Code::Unauthenticated, "TOKEN_REVOKED");
const WRONG: (Code, &str) = (Code::Unauthenticated, "INVALID_CREDENTIALS");
const CHANGED: (Code, &str) = (Code::Aborted, "PASSWORD_CHANGED");
const UNKNOWN: (Code, &str) = (Code::Unauthenticated, "TOKEN_INVALID");

/// How many rows there are of this user, in the tables that hold what users have.
async fn left(server: &AuthServer, user: &User) -> i64 {
    async fn count<DB: database::Engine>(settings: &Settings, id: Uuid) -> i64 {
        let database = Database::<DB>::open(settings, &MIGRATIONS).await.unwrap();
        let select = "select (select count(*) from users where id = $1)
                           + (select count(*) from user_names where user_id = $1)
                           + (select count(*) from sessions where user_id = $1)
                           + (select count(*) from refresh_tokens where session_id not in
                                  (select id from sessions))
                           + (select count(*) from answers where owner_id = $1) as rows_left";
        let rows = database.read(Statement::new(select).bind(id)).await.unwrap();
        get::<DB, i64>(&rows[0], "rows_left").unwrap()
    }
    let (settings, id) = (server.config().database, user.id.parse().unwrap());
    on_engine!(settings, DB => count::<DB>(&settings, id).await)
}

async fn of_many_at_the_same_moment_one_is_done(on: Engine) {
    let one = start_without_limits(on).await;
    let two = AuthServer::start_at(one.place.clone(), one.clock.clone(), []).await;
    let ann = one.register("ann").await;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let mut ann = if number % 2 == 0 { ann.clone() } else { two.bearer(&ann.token) };
        let id = Uuid::new_v4().to_string();
        calls.spawn(async move { (id.clone(), delete(&mut ann, PASSWORD, &id).await) });
    }
    let mut done = Vec::new();
    for (id, answer) in calls.join_all().await {
        if answer.is_ok() {
            done.push(id);
        } else {
            // The strict limit of the second server may be reached.
            assert_late(answer, &[REVOKED, (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS")]);
            assert_eq!(refused(ask(&one, &id).await).reason, "ERASURE_NOT_FOUND");
        }
    }
    assert_eq!(done.len(), 1);
    ask(&two, &done[0]).await.unwrap();
    assert_eq!(left(&one, &ann.user).await, 0);
}

/// Asserts that these tokens are of no use.
async fn assert_ended(server: &AuthServer, tokens: &Tokens) {
    assert_eq!(reason(server, &tokens.access_token).await, "TOKEN_REVOKED");
    assert_late(refresh(server, &tokens.refresh_token).await, &[UNKNOWN]);
}

/// Deletes somebody in the midst of these calls; their answers.
async fn amid<T: Send + 'static, F>(person: &Person, calls: impl Iterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (place, call) in calls.enumerate() {
        if place == 5 {
            let mut person = person.clone();
            running.spawn(async move {
                deleted(&mut person).await;
                None
            });
        }
        running.spawn(async move { Some(call.await) });
    }
    running.join_all().await.into_iter().flatten().collect()
}

async fn no_login_outlives_the_deletion(on: Engine) {
    let server = start_without_limits(on).await;
    let ann = server.register("ann").await;
    let anonymous = server.anonymous();
    let calls = (0..30).map(|number| {
        let name = if number % 2 == 0 { "ann" } else { "ann@example.com" };
        let mut somebody = anonymous.clone();
        async move { login(&mut somebody, name, PASSWORD).await }
    });
    for answer in amid(&ann, calls).await {
        match answer {
            Ok(answer) => assert_ended(&server, &answer.into_inner().tokens.unwrap()).await,
            late => assert_late(late, &[WRONG]),
        }
    }
    assert_eq!(left(&server, &ann.user).await, 0);
}

async fn no_refresh_outlives_the_deletion(on: Engine) {
    let server = start_without_limits(on).await;
    let ann = server.register("ann").await;
    let mut sessions = vec![];
    for _ in 0..10 {
        sessions.push(session(&server, "ann").await);
    }
    let anonymous = server.anonymous();
    // Each is used again and again, until the deletion is there.
    let calls = sessions.iter().map(|tokens| {
        let (mut somebody, mut tokens) = (anonymous.clone(), tokens.clone());
        async move {
            loop {
                let refresh_token = tokens.refresh_token.clone();
                let request = RefreshTokenRequest { refresh_token, audiences: vec![] };
                match somebody.auth.refresh_token(request).await {
                    Ok(answer) => tokens = answer.into_inner().tokens.unwrap(),
                    late => {
                        assert_late(late, &[UNKNOWN]);
                        return tokens;
                    }
                }
            }
        }
    });
    for tokens in amid(&ann, calls).await {
        assert_ended(&server, &tokens).await;
    }
    assert_eq!(left(&server, &ann.user).await, 0);
}

async fn a_new_password_and_a_deletion_do_not_both_come_about(on: Engine) {
    let server = start_without_limits(on).await;
    let new = "something else altogether";
    for name in ["ann", "bob", "carl"] {
        let mut person = server.register(name).await;
        let mut caller = person.users.clone();
        let request = ChangePasswordRequest {
            current_password: PASSWORD.to_owned(),
            new_password: new.to_owned(),
        };
        let (change, delete) =
            tokio::join!(caller.change_password(request), delete(&mut person, PASSWORD, ""));
        match (change, delete) {
            (Ok(_), late) => {
                assert_late(late, &[CHANGED, WRONG]);
                assert_eq!(me(&mut person).await, person.user);
                assert!(logs_in(&mut person, name, new).await);
            }
            (late, Ok(_)) => {
                assert_late(late, &[REVOKED]);
                assert!(!logs_in(&mut person, name, new).await);
                assert_eq!(left(&server, &person.user).await, 0);
            }
            neither => panic!("{neither:?}"),
        }
    }
}

async fn no_answer_that_is_kept_outlives_the_deletion(on: Engine) {
    let server = start_without_limits(on).await;
    let ann = server.register("ann").await;
    let calls = (0..20).map(|number| {
        let mut caller = ann.users.clone();
        let user = User {
            username: format!("ann{number}"),
            image_url: format!("https://example.org/{number}"),
            ..User::default()
        };
        let fields = if number % 2 == 0 { ["image_url"].as_slice() } else { &["username"] };
        let mut request = update(&user, fields, PASSWORD);
        request.request_id = Uuid::new_v4().to_string();
        async move { caller.update_current_user(request).await }
    });
    for answer in amid(&ann, calls).await {
        if answer.is_err() {
            assert_late(answer, &[REVOKED]);
        }
    }
    assert_eq!(left(&server, &ann.user).await, 0);
    for name in ["ann", "ann1", "ann19"] {
        let request = RegisterRequest { email: format!("{name}@b.example"), ..account(name) };
        server.anonymous().auth.register(request).await.unwrap();
    }
}

async fn of_those_who_wait_for_the_name_one_gets_it(on: Engine) {
    let server = start_without_limits(on).await;
    let ann = server.register("ann").await;
    let anonymous = server.anonymous();
    let calls = (0..20).map(|number| {
        let mut somebody = anonymous.clone();
        // Some want both names, some one of them.
        let request = match number % 3 {
            0 => account("Ann"),
            1 => RegisterRequest { email: format!("{number}@b.example"), ..account("aNN") },
            _ => RegisterRequest { username: format!("ann{number}"), ..account("ann") },
        };
        async move { somebody.auth.register(request).await }
    });
    let mut opened = Vec::new();
    for answer in amid(&ann, calls).await {
        match answer {
            Ok(answer) => opened.push(answer.into_inner().user.unwrap()),
            taken => assert_late(
                taken,
                &[(Code::AlreadyExists, "USERNAME_TAKEN"), (Code::AlreadyExists, "EMAIL_TAKEN")],
            ),
        }
    }
    assert_eq!(left(&server, &ann.user).await, 0);
    let named = |key: &str| {
        let is_named = |user: &&User| {
            [&user.username, &user.email].iter().any(|name| name.eq_ignore_ascii_case(key))
        };
        opened.iter().filter(is_named).cloned().collect::<Vec<_>>()
    };
    for key in ["ann", "ann@example.com"] {
        let owners = named(key);
        assert!(owners.len() <= 1, "{owners:?}");
        let mut somebody = server.anonymous();
        assert_eq!(logs_in(&mut somebody, key, PASSWORD).await, owners.len() == 1);
        for owner in owners {
            assert_ne!(owner.id, ann.user.id);
            let token = session(&server, key).await.access_token;
            assert_eq!(me(&mut server.bearer(&token)).await, owner);
        }
    }
}

/// One that was lost on its way, and arrives when the account is gone.
async fn a_registration_that_is_repeated_brings_nobody_back(on: Engine) {
    let server = start_without_limits(on).await;
    let mut anonymous = server.anonymous();
    let request = RegisterRequest { request_id: Uuid::new_v4().to_string(), ..account("ann") };
    let user = super::register(&mut anonymous, request.clone()).await;
    let token = super::tokens(&mut anonymous, credentials("ann", PASSWORD)).await.access_token;
    deleted(&mut server.bearer(&token)).await;
    let again = refused(anonymous.auth.register(request).await);
    assert_eq!(again.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert!(!logs_in(&mut anonymous, "ann", PASSWORD).await);
    assert_eq!(left(&server, &user).await, 0);
}
