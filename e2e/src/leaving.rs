//! Users who delete their accounts while programs are killed, and what must be left of them in the end.

mod audit;
mod leaver;

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    Chance, Engine, PATIENCE, Person, Place,
    rows::{Rows, counted, naming},
    until,
    wire::Wire,
};
use leaver::{Leaver, Life, fill};

/// What all names begin with, and a number of three digits follows.
const NAME: &str = "person";
/// How many may delete their accounts, and how many stay whatever happens.
const LEAVERS: usize = 40;
const STAYERS: usize = 3;
/// How many are erased at the same time, at the most.
const MOST: usize = 3;
/// The services of which each has a part in an erasure.
const SERVICES: [&str; 2] = ["auth-service", "task-service"];
/// What is left of somebody who has left, in either database.
const TOMBSTONE: [(&str, usize); 3] =
    [("erasure_confirmations", SERVICES.len()), ("erasure_feed", 1), ("erasures", 1)];
const FENCE: [(&str, usize); 1] = [("owners", 1)];

/// Both services, each behind a wire that leads to it wherever it is, and those who leave them.
#[derive(Debug)]
pub struct Leaving {
    /// The way to auth-service.
    pub auth: Wire,
    /// The way to task-service.
    pub task: Wire,
    /// Their databases.
    places: [Place; 2],
    /// Those who have not left yet.
    here: Vec<Leaver>,
    lives: JoinSet<Life>,
    /// How many have left whose erasure is not complete, as far as they know.
    pending: watch::Sender<usize>,
    end: watch::Sender<bool>,
    stayers: Vec<Person>,
    /// What the databases held of the stayers before.
    kept: Vec<Rows>,
    chance: Chance,
    /// How long it takes until one more is erased.
    usual: Duration,
}

impl Leaving {
    /// Has everybody register with auth-service, and fill their part of task-service: the servers at these
    /// URLs, with the databases in these places.
    pub async fn begin([auth, task]: [(&str, &Place); 2]) -> Self {
        let places = [auth.1.clone(), task.1.clone()];
        let (auth, task) = (Wire::to(auth.0).await, Wire::to(task.0).await);
        let mut people = people(&auth, &task).await;
        audit::begin(&places[0], &places[1]).await;
        let (pending, end) = (watch::Sender::new(0), watch::Sender::new(false));
        let (mut here, mut lives) = (Vec::new(), JoinSet::new());
        let channel = task.channel();
        for person in people.split_off(STAYERS) {
            let there = person.at(channel.clone());
            let leaver = Leaver::new(person, there, &places[1], &pending, &end);
            lives.spawn(leaver.clone().live());
            here.push(leaver);
        }
        let (chance, usual) = (Chance::new(11), Duration::from_millis(300));
        let (stayers, kept) = (people, Vec::new());
        let mut leaving =
            Self { auth, task, places, here, lives, pending, end, stayers, kept, chance, usual };
        leaving.kept = leaving.of_stayers().await;
        leaving
    }

    /// Has some leave, and waits for a moment at which not all of them are erased: any such moment.
    pub async fn any_moment(&mut self) {
        let mut pending = self.pending.subscribe();
        loop {
            let ended = self.lives.try_join_next();
            assert!(ended.is_none(), "nobody's life ends before the others': {ended:?}");
            let count = *pending.borrow();
            if count == 0 || count < MOST && self.chance.below(3) == 0 {
                self.one_leaves();
            }
            let percent = u32::try_from(self.chance.below(100)).expect("a small number");
            let began = Instant::now();
            let count = *pending.borrow();
            let one = pending.wait_for(|pending| *pending < count);
            if timeout(self.usual * percent / 100, one).await.is_err() {
                // However early these moments are, they are not to keep it from ever getting to its end.
                self.usual += self.usual / 8;
                return;
            }
            self.usual = began.elapsed();
        }
    }

    fn one_leaves(&mut self) {
        let place = self.chance.below(self.here.len());
        self.here.swap_remove(place).leave();
    }

    /// Whether an erasure has begun and is not complete.
    pub async fn is_pending(&self) -> bool {
        let count =
            "select cast(count(*) as text) from erasure_confirmations where settle_time = 0";
        self.places[0].lines(count).await != ["0"]
    }

    /// Waits until all are erased who have left, and looks at what is left of everybody.
    pub async fn end(mut self) {
        until("all are erased", async || {
            let ended = self.lives.try_join_next();
            assert!(ended.is_none(), "nobody's life ends before the others': {ended:?}");
            *self.pending.borrow() == 0
        })
        .await;
        self.end.send_replace(true);
        let lives = std::mem::take(&mut self.lives);
        let lives = timeout(PATIENCE, lives.join_all()).await.expect("they end in time");
        assert_eq!(self.of_stayers().await, self.kept, "nobody else has lost anything");

        let [auth, task] = &self.places;
        let (auth_rows, task_rows) = (auth.rows().await, task.rows().await);
        let owned = audit::lines(task).await;
        let mut settled = Vec::new();
        for life in &lives {
            let texts = [&life.user_id.to_string(), life.name.as_str()];
            let found = [&auth_rows, &task_rows].map(|rows| naming(rows, &texts));
            if life.is_erased() {
                assert_eq!(found.each_ref().map(counted), [&TOMBSTONE[..], &FENCE], "{life:?}");
                settled.extend(SERVICES.map(|service| audit::settled(life.user_id, service)));
            }
            life.check(&owned, &found[1]);
        }
        self.check_files(&lives);
        settled.sort_unstable();
        assert_eq!(audit::lines(auth).await, settled, "each has settled each part once");
    }

    /// Looks for those who have left in the files of embedded databases.
    fn check_files(&self, lives: &[Life]) {
        for place in self.places.iter().filter(|place| place.engine == Engine::Sqlite) {
            let bytes = place.bytes();
            let named = named(&bytes);
            for person in &self.stayers {
                assert!(named.contains(person.name.as_bytes()), "{} is there", person.name);
            }
            for life in lives.iter().filter(|life| life.is_erased()) {
                assert!(!named.contains(life.name.as_bytes()), "{}: {life:?}", place.url);
            }
        }
    }

    /// What the databases hold of those who stay.
    async fn of_stayers(&self) -> Vec<Rows> {
        let mut found = Vec::new();
        for place in &self.places {
            let rows = place.rows().await;
            let of = |person: &Person| naming(&rows, &[&person.user.id, person.name]);
            found.extend(self.stayers.iter().map(of));
        }
        assert!(found.iter().all(|rows| rows.len() > 1), "{found:?}");
        found
    }
}

/// Whoever is named in these bytes.
fn named(bytes: &[u8]) -> BTreeSet<&[u8]> {
    let names = bytes.windows(NAME.len() + 3);
    names.filter(|name| name.starts_with(NAME.as_bytes())).collect()
}

/// Those who stay, and then those who leave, with something in each service.
async fn people(auth: &Wire, task: &Wire) -> Vec<Person> {
    let (channel, there) = (auth.channel(), task.channel());
    let (mut people, mut filled) = (Vec::new(), JoinSet::new());
    for number in 0..STAYERS + LEAVERS {
        let name = format!("{NAME}{number:03}").leak();
        let person = Person::register(name, channel.clone()).await;
        filled.spawn(fill(person.at(there.clone())));
        people.push(person);
    }
    filled.join_all().await;
    people
}
