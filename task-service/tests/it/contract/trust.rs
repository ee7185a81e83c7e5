//! What the issuer of tokens has said, kept through a restart.

use shared::{
    clock::Time,
    database::{Database, Engine, Statement},
    testing::Forge,
    trust::{Head, News, PublicKey, Revocation, Snapshot, SnapshotStore, Update},
};
use task_service::store::MIGRATIONS;
use uuid::Uuid;

use super::{Scene, at, on_every_engine};

on_every_engine!(
    Scene:
    what_is_loaded_is_what_was_saved,
    a_delta_is_added_to_what_is_there,
    a_delta_that_does_not_fit_is_replaced_by_everything,
    processes_that_save_at_once_lose_nothing,
    a_process_that_is_behind_takes_nothing_back,
    another_epoch_takes_the_place_of_what_is_there,
    what_has_expired_is_deleted,
    a_revocation_that_lasts_longer_is_kept_longer,
    damage_is_refused,
    damage_is_repaired_by_everything_and_by_nothing_less,
    many_revocations_are_saved_at_once,
    until_all_parts_are_saved_the_last_save_holds,
);

const EPOCH: Uuid = Uuid::from_u128(1);

/// What a verifier has heard.
#[derive(Clone)]
struct Known {
    head: Head,
    heard: Time,
    keys: Vec<PublicKey>,
    revocations: Vec<Revocation>,
    forgotten: Option<Time>,
}

impl Known {
    /// This many revocations, and no key.
    fn of(count: u128) -> Self {
        Self {
            head: head(i64::try_from(count).unwrap()),
            heard: at(1000),
            keys: Vec::new(),
            revocations: (0..count).map(revocation).collect(),
            forgotten: None,
        }
    }

    /// All of it.
    fn all(&self) -> News {
        News {
            head: Some(self.head),
            is_snapshot: true,
            keys: Some(self.keys.clone()),
            revocations: self.revocations.clone(),
            forgotten: self.forgotten,
        }
    }

    /// What is loaded when this was saved.
    fn snapshot(&self) -> Snapshot {
        Snapshot { head: self.head, heard: self.heard, news: self.all() }
    }

    /// Saves all of it.
    async fn save<S: SnapshotStore>(&self, store: &S) {
        let (nothing, all) = (News::default(), || self.all());
        let update = self.update(None, &nothing, &all);
        store.save(update).await.unwrap_or_else(|fault| panic!("{fault}"));
    }

    fn update<'u>(
        &self,
        since: Option<Head>,
        news: &'u News,
        all: &'u (dyn Fn() -> News + Sync),
    ) -> Update<'u> {
        Update { since, head: self.head, heard: self.heard, news, all }
    }

    /// Saves what is new since then.
    async fn save_since<S: SnapshotStore>(&self, since: i64, news: &News, store: &S) {
        let all = || self.all();
        let update = self.update(Some(head(since)), news, &all);
        store.save(update).await.unwrap_or_else(|fault| panic!("{fault}"));
    }
}

fn head(sequence: i64) -> Head {
    Head { epoch: EPOCH, sequence }
}

fn revocation(id: u128) -> Revocation {
    Revocation { id: Uuid::from_u128(id), expire_time: at(2000) }
}

/// These revocations and nothing else.
fn news(ids: impl IntoIterator<Item = u128>) -> News {
    News { revocations: ids.into_iter().map(revocation).collect(), ..News::default() }
}

/// What a new process finds, its revocations in the order of their ids.
async fn loaded<DB: Engine>(scene: &Scene<DB>) -> Option<Snapshot> {
    let mut loaded = scene.second_store().await.vault().load().await.unwrap()?;
    loaded.news.revocations.sort_by_key(|revocation| revocation.id);
    Some(loaded)
}

/// Damages the database.
async fn damage<DB: Engine>(scene: &Scene<DB>, sql: &'static str) {
    let database = Database::<DB>::open(&scene.settings, &MIGRATIONS).await.unwrap();
    let mut writer = database.connect_writer().await.unwrap();
    Statement::<DB>::new(sql).all(&mut writer).await.unwrap();
}

async fn what_is_loaded_is_what_was_saved<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    assert_eq!(loaded(&scene).await, None);
    let keys = [(); 3].map(|()| Forge::new().public());
    for (keys, forgotten) in [(&keys[..2], None), (&keys[1..], Some(at(7))), (&keys[..0], None)] {
        let heard = Known { keys: keys.to_vec(), forgotten, ..Known::of(3) };
        heard.save(&vault).await;
        assert_eq!(loaded(&scene).await, Some(heard.snapshot()));
    }
}

async fn a_delta_is_added_to_what_is_there<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    let keys = vec![Forge::new().public()];
    Known { keys: keys.clone(), ..Known::of(3) }.save(&vault).await;
    // What is in the delta counts, not what else there is; and some of it is known.
    let later = Known { heard: at(1010), revocations: Vec::new(), ..Known::of(6) };
    later.save_since(3, &news(1..6), &vault).await;
    let all = Known { heard: at(1010), keys: keys.clone(), ..Known::of(6) };
    assert_eq!(loaded(&scene).await, Some(all.snapshot()));

    // Nothing but that the issuer was heard of.
    let later = Known { heard: at(1020), ..later };
    later.save_since(6, &News::default(), &vault).await;
    assert_eq!(loaded(&scene).await, Some(Known { heard: at(1020), ..all.clone() }.snapshot()));

    let other = vec![Forge::new().public()];
    let later = Known { head: head(7), ..later };
    later.save_since(6, &News { keys: Some(other.clone()), ..News::default() }, &vault).await;
    let all = Known { head: head(7), heard: at(1020), keys: other, ..all };
    assert_eq!(loaded(&scene).await, Some(all.snapshot()));
}

async fn a_delta_that_does_not_fit_is_replaced_by_everything<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    // Nothing is there yet; then less than the delta rests on.
    for (since, count) in [(0, 2), (4, 5)] {
        let all = Known::of(count);
        all.save_since(since, &news([count - 1]), &vault).await;
        assert_eq!(loaded(&scene).await, Some(all.snapshot()));
    }
}

async fn processes_that_save_at_once_lose_nothing<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let vaults = [scene.store.vault(), second.vault()];
    let save = async |vault| {
        for count in 1..=40 {
            let since = i64::try_from(count - 1).unwrap();
            Known::of(count).save_since(since, &news([count - 1]), vault).await;
        }
    };
    tokio::join!(save(&vaults[0]), save(&vaults[1]));
    assert_eq!(loaded(&scene).await, Some(Known::of(40).snapshot()));
}

async fn a_process_that_is_behind_takes_nothing_back<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    let ahead = Known { keys: vec![Forge::new().public()], heard: at(1010), ..Known::of(9) };
    ahead.save(&vault).await;
    let behind = Known { keys: vec![Forge::new().public()], ..Known::of(5) };
    let delta = News { keys: Some(behind.keys.clone()), ..news([4]) };
    behind.save_since(4, &delta, &vault).await;
    assert_eq!(loaded(&scene).await, Some(ahead.snapshot()));
    behind.save(&vault).await;
    assert_eq!(loaded(&scene).await, Some(ahead.snapshot()));
    Known { heard: at(1020), ..behind }.save(&vault).await;
    assert_eq!(loaded(&scene).await, Some(Known { heard: at(1020), ..ahead }.snapshot()));
}

/// What has been revoked stays so, as it does in memory, whatever the other database knows of it.
async fn another_epoch_takes_the_place_of_what_is_there<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    Known { keys: vec![Forge::new().public()], ..Known::of(9) }.save(&vault).await;
    let epoch = Uuid::from_u128(2);
    let restored = Known { head: Head { epoch, sequence: 1 }, heard: at(900), ..Known::of(9) };
    Known { revocations: Vec::new(), ..restored.clone() }.save(&vault).await;
    assert_eq!(loaded(&scene).await, Some(restored.snapshot()));

    // A delta of the old epoch says nothing of the new one.
    let old = Known::of(10);
    old.save_since(1, &news([9]), &vault).await;
    assert_eq!(loaded(&scene).await, Some(old.snapshot()));
}

async fn what_has_expired_is_deleted<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    let ends = |id, second| Revocation { expire_time: at(second), ..revocation(id) };
    let revocations = vec![ends(0, 1500), ends(1, 1600), ends(2, 1700)];
    let mut all = Known { revocations, ..Known::of(3) };
    all.save(&vault).await;
    let forgotten = Some(at(1600));
    all.save_since(3, &News { forgotten, ..News::default() }, &vault).await;
    all.revocations.remove(0);
    all.forgotten = forgotten;
    assert_eq!(loaded(&scene).await, Some(all.snapshot()));
    // Another process's clock may be behind.
    all.save_since(3, &News { forgotten: Some(at(1550)), ..News::default() }, &vault).await;
    assert_eq!(loaded(&scene).await, Some(all.snapshot()));
}

async fn a_revocation_that_lasts_longer_is_kept_longer<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    let mut all = Known::of(3);
    all.save(&vault).await;
    for (second, kept) in [(2500, 2500), (2200, 2500)] {
        let longer = Revocation { expire_time: at(second), ..revocation(1) };
        let delta = News { revocations: vec![longer, longer], ..News::default() };
        all.save_since(3, &delta, &vault).await;
        all.revocations[1].expire_time = at(kept);
        assert_eq!(loaded(&scene).await, Some(all.snapshot()));
    }
}

/// What is wrong with a database, each by itself.
const DAMAGES: [&str; 9] = [
    "delete from trust_revocations where id in (select id from trust_revocations limit 1)",
    "update trust_revocations set expire_time = expire_time - 1",
    "update trust_state set epoch = (select id from trust_revocations limit 1)",
    "update trust_state set sequence = sequence + 1",
    "update trust_state set heard_time = heard_time + 1",
    "update trust_state set forgotten_time = forgotten_time - 1",
    "update trust_state set revocations = revocations + 1",
    "update trust_state set public_keys = digest",
    "update trust_state set digest = public_keys",
];

async fn damage_is_refused<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    let keys = vec![Forge::new().public()];
    let all = Known { keys, forgotten: Some(at(1)), ..Known::of(3) };
    for sql in DAMAGES {
        damage(&scene, "delete from trust_state").await;
        all.save(&vault).await;
        assert!(loaded(&scene).await.is_some());
        damage(&scene, sql).await;
        let fault = vault.load().await.expect_err(sql);
        assert!(fault.to_string().contains("corrupt"), "{sql}: {fault}");
    }
}

async fn damage_is_repaired_by_everything_and_by_nothing_less<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    Known::of(5).save(&vault).await;
    damage(&scene, "delete from trust_revocations").await;
    // Another process goes on, and knows nothing of it.
    Known::of(6).save_since(5, &news([5]), &vault).await;
    assert!(vault.load().await.is_err());
    // One that has refused what is there saves all that it has heard, which may be less.
    Known::of(5).save(&vault).await;
    assert_eq!(loaded(&scene).await, Some(Known::of(5).snapshot()));
    Known::of(7).save_since(6, &news([6]), &vault).await;
    assert_eq!(loaded(&scene).await, Some(Known::of(7).snapshot()));
}

async fn many_revocations_are_saved_at_once<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    let all = Known::of(20_000);
    all.save(&vault).await;
    assert_eq!(loaded(&scene).await, Some(all.snapshot()));
    let more = Known { revocations: Vec::new(), ..Known::of(40_000) };
    more.save_since(20_000, &news(20_000..40_000), &vault).await;
    assert_eq!(loaded(&scene).await, Some(Known::of(40_000).snapshot()));
}

/// How many revocations there are.
async fn rows<DB: Engine>(database: &Database<DB>) -> usize {
    let select = Statement::new("select id from trust_revocations");
    database.read(select).await.unwrap().len()
}

/// The process may end at any moment, and the issuer be away when it starts again.
async fn until_all_parts_are_saved_the_last_save_holds<DB: Engine>(scene: Scene<DB>) {
    const ALL: u128 = 100_000;
    let vault = scene.store.vault();
    let before = Known { keys: vec![Forge::new().public()], ..Known::of(3) };
    before.save(&vault).await;
    let database = Database::<DB>::open(&scene.settings, &MIGRATIONS).await.unwrap();
    let all = Known::of(ALL);
    tokio::select! {
        () = all.save(&vault) => panic!("it was too fast to be ended in its midst"),
        () = async { while rows(&database).await == 3 { tokio::task::yield_now().await } } => {}
    }
    let found = loaded(&scene).await.unwrap();
    assert_eq!((found.head, &found.news.keys), (before.head, &Some(before.keys)));
    assert!(found.news.revocations.len() > 3);
    all.save(&vault).await;
    assert_eq!(loaded(&scene).await, Some(all.snapshot()));
}
