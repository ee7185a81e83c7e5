//! How soon a revocation is enforced, whatever causes it and whichever replica it goes through.

use std::{sync::Arc, time::Duration};

use e2e::Engine;
use serde_json::json;
use shared::pb::auth::{
    ChangePasswordRequest, LogoutRequest, RefreshTokenRequest, RevokeOtherSessionsRequest,
    RevokeSessionRequest, Tokens, auth_service_client::AuthServiceClient,
    user_service_client::UserServiceClient,
};
use tokio::task::JoinSet;
use tonic::{Status, transport::Channel};

use super::watch::{Accepted, revoked};
use crate::{
    Failure,
    call::{PASSWORD, is_revoked, told, with},
    figures::{BOUND, Finding, Times, micros},
    people::{call, log_in, register},
    scene::{Databases, Scene, name},
};

/// How many sessions that end each person has, beside the one that stays.
const SESSIONS: usize = 5;
/// How many of them end one by one; the rest end together.
const SINGLE: usize = 3;
/// How many people log in at once.
const AT_ONCE: usize = 4;

/// Somebody with a session that stays and others that end.
struct Person {
    stays: Tokens,
    end: Vec<Tokens>,
}

/// Why sessions end.
#[derive(Debug, Clone, Copy)]
enum Cause {
    RevokeSession,
    Logout,
    /// A refresh token is used a second time.
    Reuse,
    RevokeOtherSessions,
    ChangePassword,
}

/// The end of one session.
struct Ended {
    cause: Cause,
    /// The replica that it went through.
    through: usize,
    /// How long each verifier accepted its token.
    after: Vec<Duration>,
}

pub(super) async fn measure(
    databases: &Databases,
    engine: Engine,
    people: usize,
) -> Result<Vec<Finding>, Failure> {
    let scene = databases.scene(engine, &[]).await?;
    let people = populate(&scene, people).await?;
    let (issuers, verifiers) = (scene.issuers(), scene.channels());
    let (mut ended, mut calls, mut events) = (Vec::new(), 0, 0);
    for step in 0..=SINGLE {
        for (number, person) in people.iter().enumerate() {
            let (cause, victims) = plan(person, step, number);
            let through = events % issuers.len();
            let issuer = issuers.get(through).ok_or("there is no auth-service")?;
            let accepted = end(issuer, &verifiers, person, cause, victims).await;
            let accepted = accepted.map_err(|failure| format!("{cause:?}: {failure}"))?;
            let Accepted { after, calls: more } = accepted;
            ended.extend(after.into_iter().map(|after| Ended { cause, through, after }));
            (calls, events) = (calls + more, events + 1);
        }
    }
    for (person, verifier) in people.iter().zip(verifiers.iter().cycle()) {
        let stays = call(verifier, &person.stays.access_token).await;
        stays.map_err(|status| format!("a session that stays has ended: {}", told(&status)))?;
    }
    let findings = findings(&scene, engine, &ended, calls).await;
    scene.end().await?;
    Ok(findings)
}

/// Opens the accounts and the sessions, each of which every verifier accepts.
async fn populate(scene: &Scene, people: usize) -> Result<Vec<Person>, Failure> {
    let (issuers, verifiers) = (Arc::new(scene.issuers()), Arc::new(scene.channels()));
    let mut hands = JoinSet::new();
    for hand in 0..AT_ONCE {
        let (issuers, verifiers) = (Arc::clone(&issuers), Arc::clone(&verifiers));
        hands.spawn(async move {
            let mut own = Vec::new();
            for (number, issuer) in (0..people).zip(issuers.iter().cycle()) {
                if number % AT_ONCE == hand {
                    own.push(person(issuer, &verifiers, &format!("person-{number}")).await?);
                }
            }
            Ok(own)
        });
    }
    let all: Vec<Result<_, Status>> = hands.join_all().await;
    let all: Result<Vec<_>, _> = all.into_iter().collect();
    Ok(all.map_err(|status| told(&status))?.into_iter().flatten().collect())
}

async fn person(issuer: &Channel, verifiers: &[Channel], name: &str) -> Result<Person, Status> {
    register(issuer, name).await?;
    let stays = log_in(issuer, name).await?;
    let mut end = Vec::new();
    for _ in 0..SESSIONS {
        let tokens = log_in(issuer, name).await?;
        for verifier in verifiers {
            call(verifier, &tokens.access_token).await?;
        }
        end.push(tokens);
    }
    Ok(Person { stays, end })
}

/// Which sessions of a person end in a step, and why.
fn plan(person: &Person, step: usize, number: usize) -> (Cause, &[Tokens]) {
    if step == SINGLE {
        let cause = if number % 4 < 2 { Cause::RevokeOtherSessions } else { Cause::ChangePassword };
        return (cause, person.end.get(SINGLE..).unwrap_or_default());
    }
    let cause = match (step + number) % SINGLE {
        0 => Cause::RevokeSession,
        1 => Cause::Logout,
        _ => Cause::Reuse,
    };
    (cause, person.end.get(step..=step).unwrap_or_default())
}

/// Ends these sessions of a person, and watches what becomes of their tokens.
async fn end(
    issuer: &Channel,
    verifiers: &[Channel],
    person: &Person,
    cause: Cause,
    victims: &[Tokens],
) -> Result<Accepted, Failure> {
    let tokens: Vec<_> = victims.iter().map(|victim| victim.access_token.clone()).collect();
    let first = victims.first().cloned().unwrap_or_default();
    if let Cause::Reuse = cause {
        let second = refresh(issuer, &first.refresh_token).await;
        let second = second.map_err(|status| told(&status))?;
        refresh(issuer, &second.refresh_token).await.map_err(|status| told(&status))?;
    }
    let revoke = || async {
        let done = perform(issuer, &person.stays.access_token, cause, first).await;
        done.map_err(|status| told(&status).into())
    };
    revoked(verifiers, &tokens, revoke).await
}

/// Does what ends a session. `own` is the token of the one that stays.
async fn perform(issuer: &Channel, own: &str, cause: Cause, victim: Tokens) -> Result<(), Status> {
    let mut auth = AuthServiceClient::new(issuer.clone());
    let mut users = UserServiceClient::new(issuer.clone());
    match cause {
        Cause::RevokeSession => {
            let id = victim.session_id;
            users
                .revoke_session(with(own, RevokeSessionRequest { id, ..Default::default() }))
                .await?;
        }
        Cause::Logout => {
            auth.logout(LogoutRequest { refresh_token: victim.refresh_token }).await?;
        }
        Cause::Reuse => match refresh(issuer, &victim.refresh_token).await {
            Err(status) if is_revoked(&status) => {}
            Err(status) => return Err(status),
            Ok(_) => return Err(Status::internal("a refresh token is good a second time")),
        },
        Cause::RevokeOtherSessions => {
            let request = with(own, RevokeOtherSessionsRequest {});
            let count = users.revoke_other_sessions(request).await?.into_inner().revoked_count;
            if usize::try_from(count) != Ok(SESSIONS - SINGLE) {
                return Err(Status::internal(format!("{count} sessions were ended")));
            }
        }
        Cause::ChangePassword => {
            let (current_password, new_password) = (PASSWORD.to_owned(), PASSWORD.repeat(2));
            let request = ChangePasswordRequest { current_password, new_password };
            users.change_password(with(own, request)).await?;
        }
    }
    Ok(())
}

async fn refresh(issuer: &Channel, token: &str) -> Result<Tokens, Status> {
    let request = RefreshTokenRequest { refresh_token: token.to_owned(), audiences: Vec::new() };
    let answer = AuthServiceClient::new(issuer.clone()).refresh_token(request).await?;
    Ok(answer.into_inner().tokens.unwrap_or_default())
}

/// Where the verifier follows the replica that a session was ended through, where it follows the other
/// one, and the last of all verifiers.
async fn findings(scene: &Scene, engine: Engine, ended: &[Ended], calls: u64) -> Vec<Finding> {
    let follows: Vec<_> = scene.verifiers.iter().map(|verifier| verifier.follows).collect();
    let times = |same: bool| {
        let times = ended.iter().flat_map(|it| follows.iter().zip(&it.after).map(move |f| (it, f)));
        Times::new(times.filter(|(it, (f, _))| (it.through == **f) == same).map(|(_, (_, t))| *t))
    };
    let raw = ended.iter().map(|it| {
        let micros: Vec<_> = it.after.iter().copied().map(micros).collect();
        json!([format!("{:?}", it.cause), it.through, micros])
    });
    let raw = json!({ "columns": ["cause", "through", "us of each verifier"], "follows": follows,
        "ended": raw.collect::<Vec<_>>() });
    let last = ended.iter().map(|it| it.after.iter().max().copied().unwrap_or_default());
    let all = Times::new(last);
    let held = all.are_within_bound();
    let row = |what: &str, times: &Times| Finding {
        name: format!("revocation, {}, {what}", name(engine)),
        measured: times.to_string(),
        promise: "",
        held: true,
        raw: json!(null),
    };
    let mut findings = vec![row("same replica", &times(true))];
    if engine == Engine::Postgres {
        findings.push(row("other replica", &times(false)));
    }
    findings.push(Finding { promise: BOUND, held, raw, ..row("last verifier", &all) });
    let validations = scene.validations().await;
    findings.push(Finding {
        name: format!("revocation, {}, calls", name(engine)),
        measured: format!("{calls} accepted by the verifiers, {validations} of ValidateToken"),
        promise: "none of ValidateToken",
        held: validations == 0,
        raw: json!({ "accepted": calls, "validations": validations }),
    });
    findings
}
