//! Refresh tokens against a model of what they promise: every state that eight actions can lead to,
//! each action in it, and random walks; on the real store, step by step.

mod model;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use auth_service::{
    error::{Error, Refusal},
    sessions::RefreshToken,
    store::SqlStore,
};
use e2e::Chance;
use shared::database::{Database, Engine, Statement, get};
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use self::model::{Action, Answer, Model};
use super::{Scene, on_every_engine, refresh, successors};

on_every_engine!(Scene: every_state_and_many_walks_go_as_the_model_says);

/// How many actions are looked at.
const DEPTH: usize = 8;
/// How many random walks are made besides. What they add is the same on each engine.
fn walks_on(engine: e2e::Engine) -> usize {
    match engine {
        e2e::Engine::Sqlite => 2_000,
        e2e::Engine::Postgres => 300,
    }
}
/// How many sessions each user has here; more than a hundred would end some.
const SESSIONS: usize = 90;
/// More than the window in which an answer is given again.
const BEYOND: Duration = Duration::from_secs(61);

type Path = Vec<Action>;

/// The shortest path to each state that can be reached, with each action that is possible there.
fn explored() -> Vec<Path> {
    let mut paths = Vec::new();
    let mut known = vec![Model::new().shape()];
    let mut waiting = VecDeque::from([Path::new()]);
    while let Some(path) = waiting.pop_front() {
        let model = Model::after(&path);
        for action in Action::ALL.into_iter().filter(|action| model.can(*action)) {
            let path = [path.as_slice(), &[action]].concat();
            let shape = Model::after(&path).shape();
            if path.len() < DEPTH && !known.contains(&shape) {
                known.push(shape);
                waiting.push_back(path.clone());
            }
            paths.push(path);
        }
    }
    paths
}

/// So many paths of full length, the same ones in each run.
fn walks(count: usize) -> Vec<Path> {
    let mut chance = Chance::new(0);
    let mut walk = || {
        let (mut path, mut model) = (Path::new(), Model::new());
        while path.len() < DEPTH {
            let possible: Vec<_> = Action::ALL.into_iter().filter(|it| model.can(*it)).collect();
            let action = chance.pick(&possible);
            model.act(action);
            path.push(action);
        }
        path
    };
    (0..count).map(|_| walk()).collect()
}

/// A session on its way along a path.
struct Run {
    path: Path,
    /// How far it has come.
    done: usize,
    model: Model,
    session: Uuid,
    /// Every token that was ever given out.
    chain: Vec<RefreshToken>,
}

/// The store that all runs share, and its tables.
struct Tables<DB: Engine> {
    store: SqlStore<DB>,
    database: Database<DB>,
    /// How many runs go on at once: more would wait for a connection in vain.
    going: Semaphore,
}

impl<DB: Engine> Tables<DB> {
    /// How many refresh tokens of this session could be used for the first time.
    async fn unused(&self, session: Uuid) -> i64 {
        let select = "select count(*) as it from refresh_tokens
                      where session_id = $1 and use_time = 0";
        let rows = self.database.read(Statement::new(select).bind(session)).await.unwrap();
        get::<DB, _>(&rows[0], "it").unwrap()
    }
}

impl Run {
    /// Goes on until time is to pass, or the path ends. Then one branch lives, or none.
    async fn go_on<DB: Engine>(mut self, at: Arc<Tables<DB>>) -> Self {
        let _going = at.going.acquire().await.unwrap();
        while let Some(action) = self.path.get(self.done).copied() {
            let expected = self.model.act(action);
            self.done += 1;
            let Some((presented, expected)) = expected else { break };
            let token = self.chain[presented].clone();
            let answer = refresh(&at.store, &[successors("one")], &token).await;
            let answer = self.seen(answer.map(|(_, next)| next));
            assert_eq!(answer, expected, "{:?}", &self.path[..self.done]);
        }
        let alive = i64::from(!self.model.has_ended);
        let unused = at.unused(self.session).await;
        assert_eq!(unused, alive, "branches that live after {:?}", &self.path[..self.done]);
        self
    }

    /// What an answer is to the model.
    fn seen(&mut self, answer: Result<RefreshToken, Error>) -> Answer {
        match answer {
            Ok(next) => {
                let place = self.chain.iter().position(|known| known.hash() == next.hash());
                Answer::Gives(place.unwrap_or_else(|| {
                    self.chain.push(next);
                    self.chain.len() - 1
                }))
            }
            Err(Error::Refused(Refusal::RefreshReused)) => Answer::Ends,
            Err(Error::Refused(Refusal::RefreshUnknown)) => Answer::Unknown,
            Err(other) => panic!("{other} after {:?}", self.path),
        }
    }
}

async fn every_state_and_many_walks_go_as_the_model_says<DB: Engine>(scene: Scene<DB>) {
    let (explored, walks) = (explored(), walks(walks_on(scene.engine())));
    assert!(explored.len() > 500, "{} paths", explored.len());
    let mut runs = Vec::new();
    for (number, paths) in [explored, walks].concat().chunks(SESSIONS).enumerate() {
        let user = scene.account(&format!("user{number}")).await;
        for path in paths {
            let (caller, token) = scene.log_in_with_token(&user).await;
            let (path, chain, model) = (path.clone(), vec![token], Model::new());
            runs.push(Run { path, done: 0, model, session: caller.session_id(), chain });
        }
    }
    let (store, database) = ((*scene.store).clone(), scene.database().await);
    let tables = Arc::new(Tables { store, database, going: Semaphore::new(100) });
    // Time passes for all of them at once.
    while !runs.is_empty() {
        let mut going = JoinSet::new();
        for run in runs {
            going.spawn(run.go_on(Arc::clone(&tables)));
        }
        runs = going.join_all().await;
        runs.retain(|run| run.done < run.path.len());
        scene.clock.advance(BEYOND);
    }
}

#[test]
fn whoever_retries_in_time_and_is_alone_never_loses_the_session() {
    let honest = |path: &Path| {
        let is_retried = |place| path.get(place + 1) == Some(&Action::Retry);
        path.iter().enumerate().all(|(place, action)| match action {
            Action::Send | Action::Retry | Action::Wait => true,
            Action::Lose => is_retried(place),
            Action::Tab | Action::Thief(_) => false,
        })
    };
    let paths: Vec<_> = explored().into_iter().chain(walks(2_000)).filter(honest).collect();
    assert!(paths.len() > 10, "{} paths", paths.len());
    for path in paths {
        assert!(!Model::after(&path).has_ended, "{path:?}");
    }
}

#[test]
fn two_who_hold_the_chain_end_it_at_the_first_use_beyond_the_window() {
    use Action::{Lose, Retry, Send, Tab, Thief, Wait};
    for path in [
        // The thief has what the client has, and the client goes on; or the other way round.
        vec![Send, Send, Thief(2)],
        vec![Send, Wait, Thief(1)],
        vec![Thief(0), Wait, Send],
        vec![Thief(0), Thief(0), Send],
        vec![Lose, Thief(0), Retry],
        vec![Lose, Wait, Send],
        vec![Send, Send, Tab],
        vec![Send, Wait, Tab],
    ] {
        assert!(Model::after(&path).has_ended, "{path:?}");
    }
    for path in [vec![Send, Thief(1), Send], vec![Thief(0), Send, Send], vec![Send, Tab, Tab]] {
        assert!(!Model::after(&path).has_ended, "{path:?}");
    }
}
