//! Whether anybody is disturbed while signing keys are rotated, again and again, under load.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use e2e::Engine;
use serde_json::json;
use shared::pb::auth::{GetCurrentUserRequest, user_service_client::UserServiceClient};
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Status, transport::Channel};

use crate::{
    Failure,
    call::{told, with},
    figures::Finding,
    people::{call, log_in, register},
    scene::{Databases, Scene},
};

/// How long a key is published before it signs: the least that there is.
const DELAY: &str = "2s";
/// How long after one rotation the next one comes.
const PAUSE: Duration = Duration::from_secs(3);
/// How long an access token lives, and how old those are that are still used.
const LIFE: &str = "15s";
const OLDEST: Duration = Duration::from_secs(14);
/// How many people log in: so many that nobody has more sessions than they may have.
const PEOPLE: usize = 40;
/// How often each auth-service has somebody log in, and each verifier an older token.
const LOGIN: Duration = Duration::from_millis(50);
const CALL: Duration = Duration::from_millis(2);

/// What everybody who calls shares.
#[derive(Clone)]
struct Load {
    end: Instant,
    issuers: Arc<[Channel]>,
    verifiers: Arc<[Channel]>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// The tokens that are good, the oldest first.
    tokens: VecDeque<(Instant, String)>,
    /// Every header of a token, which names the key.
    keys: BTreeSet<String>,
    /// How many calls were answered so.
    answers: BTreeMap<&'static str, u64>,
    /// What the first call was told that was not accepted.
    first: Option<String>,
}

pub(super) async fn measure(databases: &Databases, seconds: u64) -> Result<Vec<Finding>, Failure> {
    let settings =
        [("AUTH_KEY_PUBLISH_DELAY", DELAY.to_owned()), ("AUTH_ACCESS_TOKEN_TTL", LIFE.to_owned())];
    let scene = databases.scene(Engine::Postgres, &settings).await?;
    for (number, issuer) in (0..PEOPLE).zip(scene.issuers().iter().cycle()) {
        let registered = register(issuer, &format!("person-{number}")).await;
        registered.map_err(|status| told(&status))?;
    }
    let load = Load {
        end: Instant::now() + Duration::from_secs(seconds),
        issuers: scene.issuers().into(),
        verifiers: scene.channels().into(),
        shared: Arc::default(),
    };
    let mut callers = JoinSet::new();
    for number in 0..scene.auths.len() {
        callers.spawn(load.clone().log_in(number));
    }
    for number in 0..scene.verifiers.len() {
        callers.spawn(load.clone().call(number));
    }
    let rotations = rotate(&scene, load.end).await?;
    callers.join_all().await;
    scene.end().await?;
    Ok(vec![load.finding(rotations)])
}

/// Makes a new key again and again; the answer is how many.
async fn rotate(scene: &Scene, end: Instant) -> Result<u64, Failure> {
    let mut count = 0;
    while Instant::now() < end {
        scene.operate(&["keys", "rotate"]).await?;
        count += 1;
        sleep(PAUSE).await;
    }
    Ok(count)
}

impl Load {
    /// Logs in all the time, and shows each new token to everybody at once.
    async fn log_in(self, number: usize) {
        let Some(issuer) = self.issuers.get(number) else { return };
        for person in (0..PEOPLE).cycle() {
            if Instant::now() >= self.end {
                return;
            }
            let token = match log_in(issuer, &format!("person-{person}")).await {
                Ok(tokens) => tokens.access_token,
                Err(status) => {
                    self.note("login", Err(status));
                    continue;
                }
            };
            self.note("login", Ok(()));
            let mut calls = JoinSet::new();
            for channel in self.issuers.iter().cloned() {
                let request = with(&token, GetCurrentUserRequest {});
                calls.spawn(async move {
                    UserServiceClient::new(channel).get_current_user(request).await.map(drop)
                });
            }
            for channel in self.verifiers.iter() {
                let (channel, token) = (channel.clone(), token.clone());
                calls.spawn(async move { call(&channel, &token).await });
            }
            for answer in calls.join_all().await {
                self.note("new token", answer);
            }
            self.keep(token);
            sleep(LOGIN).await;
        }
    }

    /// Shows older tokens to a verifier all the time.
    async fn call(self, number: usize) {
        let Some(verifier) = self.verifiers.get(number) else { return };
        for turn in (0..usize::MAX).step_by(7) {
            if Instant::now() >= self.end {
                return;
            }
            if let Some(token) = self.older(turn) {
                self.note("older token", call(verifier, &token).await);
            }
            sleep(CALL).await;
        }
    }

    fn keep(&self, token: String) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.keys.insert(token.split('.').next().unwrap_or_default().to_owned());
        shared.tokens.push_back((Instant::now(), token));
    }

    /// One of the tokens that are good still.
    fn older(&self, turn: usize) -> Option<String> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        while shared.tokens.front().is_some_and(|(since, _)| since.elapsed() > OLDEST) {
            shared.tokens.pop_front();
        }
        let place = turn.checked_rem(shared.tokens.len())?;
        shared.tokens.get(place).map(|(_, token)| token.clone())
    }

    fn note(&self, what: &'static str, answer: Result<(), Status>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = match &answer {
            Ok(()) => what,
            Err(status) if status.code() == Code::Unauthenticated => "UNAUTHENTICATED",
            Err(status) if status.code() == Code::Unavailable => "UNAVAILABLE",
            Err(_) => "other",
        };
        *shared.answers.entry(answered).or_default() += 1;
        if let Err(status) = answer {
            shared.first.get_or_insert_with(|| format!("{what}: {}", told(&status)));
        }
    }

    fn finding(&self, rotations: u64) -> Finding {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |name: &str| shared.answers.get(name).copied().unwrap_or_default();
        let (refused, other) = (count("UNAUTHENTICATED"), count("other"));
        let first = shared.first.as_ref().map(|told| format!(", the first: {told}"));
        let counts = ["login", "new token", "older token"].map(count);
        let [logins, new, older] = counts;
        let (keys, unavailable) = (shared.keys.len(), count("UNAVAILABLE"));
        Finding {
            name: format!("rotation, {rotations} new keys, {keys} signed"),
            measured: format!(
                "{logins} logins, calls: {new} new, {older} older; {refused} UNAUTHENTICATED, \
                 {unavailable} UNAVAILABLE, {other} other{}",
                first.unwrap_or_default()
            ),
            promise: "0 UNAUTHENTICATED",
            held: refused == 0 && other == 0 && keys > 1 && counts.iter().all(|it| *it > 0),
            raw: json!({ "rotations": rotations, "keys": keys, "answers": shared.answers }),
        }
    }
}
