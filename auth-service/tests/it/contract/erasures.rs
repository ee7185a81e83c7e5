//! Erasures: one for each user, with a part for each service that is there.

use auth_service::{
    erasures::{Counts, Erasure, OWN_PART},
    error::Refusal,
    services::Service,
    store::{DeletedUser, SqlStore},
};
use shared::{
    clock::{Clock, Time},
    database::Engine,
    erasure::CONFIRM_SCOPE,
    testing::{expected, named},
    trust::{Caller, Claims, ServiceCaller, Verifier},
};
use uuid::Uuid;

use super::{Scene, hash, on_every_engine, refusal};

on_every_engine!(
    Scene:
    an_account_is_deleted_under_the_password_that_was_checked,
    a_page_goes_on_where_the_one_before_has_ended,
    what_is_pending_is_counted,
    a_service_that_is_removed_and_added_in_the_same_group_is_asked,
    an_erasure_that_contradicts_the_types_is_a_fault,
);

impl<DB: Engine> Scene<DB> {
    /// A service that must confirm, not registered yet.
    pub(super) fn confirming(&self, name: &str) -> Service {
        let secret = "a secret that nobody can ever guess".to_owned().into();
        let scopes = vec![CONFIRM_SCOPE.to_owned()];
        Service::new(name.to_owned(), &secret, scopes, self.clock.now()).unwrap()
    }

    /// The service of this name, with a token.
    pub(super) fn service_caller(&self, name: &str) -> ServiceCaller {
        let now = Time::from_seconds(0);
        let verifier = Verifier::new(expected("testing"), Clock::manual(now));
        verifier.learn(&named(vec![self.forge.public()]));
        let (name, scope) = (name.to_owned(), Some(CONFIRM_SCOPE.to_owned()));
        let claims = self.forge.claims(Uuid::nil(), "testing", now);
        let claims = Claims { sub: name.clone(), client_id: name, scope, ..claims };
        verifier.verify_service(&self.forge.sign(&claims)).unwrap()
    }

    pub(super) async fn confirm(&self, name: &str, user: Uuid) {
        let counts = Counts::from([("tasks".to_owned(), 1)]);
        let caller = self.service_caller(name);
        self.store.confirm_erasure(&caller, user, counts).await.unwrap();
    }

    /// Every erasure, in order.
    pub(super) async fn erasures(&self) -> Vec<Erasure> {
        self.store.erasures(0, 10_000, true).await.unwrap().0
    }

    /// So many people with an account.
    pub(super) async fn people(&self, count: usize) -> Vec<Caller> {
        let mut people = Vec::new();
        for number in 0..count {
            people.push(self.register(&format!("user{number}")).await.1);
        }
        people
    }
}

pub(super) async fn delete<DB: Engine>(store: &SqlStore<DB>, caller: &Caller) -> Time {
    store.delete_user(caller, 0, Uuid::new_v4()).await.unwrap()
}

/// Everybody who has been deleted, in order.
pub(super) async fn everybody<DB: Engine>(store: &SqlStore<DB>) -> Vec<DeletedUser> {
    store.deleted_users(0, i64::MAX, 10_000).await.unwrap()
}

async fn an_account_is_deleted_under_the_password_that_was_checked<DB: Engine>(scene: Scene<DB>) {
    let (user, ann) = scene.register("ann").await;
    let id = Uuid::new_v4();
    scene.store.change_password(&ann, 0, hash("new")).await.unwrap();
    let before = scene.head().await;
    let refused = scene.store.delete_user(&ann, 0, id).await;
    assert_eq!(refusal(refused), Refusal::PasswordChanged);
    let stranger = scene.caller(&user);
    let refused = scene.store.delete_user(&stranger, 1, id).await;
    assert_eq!(refusal(refused), Refusal::SessionEnded);
    assert_eq!(refusal(scene.store.erasure(id).await), Refusal::ErasureNotFound);
    assert_eq!((scene.head().await, scene.named("ann").await), (before, Some(user)));

    let time = scene.later();
    assert_eq!(scene.store.delete_user(&ann, 1, id).await.unwrap(), time);
    assert_eq!(scene.head().await, before + 2, "a session has ended, and a user");
    let gone = DeletedUser { sequence: before + 2, user_id: ann.user_id(), delete_time: time };
    assert_eq!(everybody(&scene.store).await, [gone]);
    assert_eq!(refusal(scene.store.delete_user(&ann, 1, id).await), Refusal::SessionEnded);
    let (bobs, bob) = scene.register("bob").await;
    assert_eq!(refusal(scene.store.delete_user(&bob, 0, id).await), Refusal::ErasureIdTaken);
    assert_eq!(scene.store.account(&bob).await.unwrap().user, bobs);
}

async fn a_page_goes_on_where_the_one_before_has_ended<DB: Engine>(scene: Scene<DB>) {
    scene.store.add_service(scene.confirming("tasks")).await.unwrap();
    for person in scene.people(7).await {
        delete(&scene.store, &person).await;
    }
    let all = scene.erasures().await;
    for erasure in &all[..3] {
        for service in ["tasks", OWN_PART] {
            scene.confirm(service, erasure.user_id).await;
        }
    }
    let all_now = scene.erasures().await;
    for most in 1..=8 {
        for (is_all, expected) in [(true, &all_now[..]), (false, &all_now[3..])] {
            let (mut found, mut after) = (Vec::new(), Some(0));
            while let Some(place) = after {
                let (page, next) = scene.store.erasures(place, most, is_all).await.unwrap();
                found.extend(page);
                after = next;
            }
            assert_eq!(found, expected, "{most}");
        }
    }
    let ids = |erasures: &[Erasure]| erasures.iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(&all), ids(&all_now));
    let gone = everybody(&scene.store).await;
    let (first, last) = (gone[1].sequence, gone[4].sequence);
    assert_eq!(scene.store.deleted_users(first, last, 9).await.unwrap(), gone[2..5]);
    assert_eq!(scene.store.deleted_users(first, last, 2).await.unwrap(), gone[2..4]);
}

async fn what_is_pending_is_counted<DB: Engine>(scene: Scene<DB>) {
    let pending = async || {
        let pending = scene.store.pending_erasures().await.unwrap();
        (pending.count, pending.since)
    };
    assert_eq!(pending().await, (0, None));
    scene.store.add_service(scene.confirming("tasks")).await.unwrap();
    let mut times = Vec::new();
    let people = scene.people(3).await;
    for person in &people {
        scene.later();
        times.push(delete(&scene.store, person).await);
    }
    assert_eq!(pending().await, (3, Some(times[0])));
    scene.confirm("tasks", people[0].user_id()).await;
    assert_eq!(pending().await, (3, Some(times[0])));
    scene.confirm(OWN_PART, people[0].user_id()).await;
    assert_eq!(pending().await, (2, Some(times[1])));
    scene.store.remove_service("tasks".to_owned()).await.unwrap();
    scene.confirm(OWN_PART, people[2].user_id()).await;
    assert_eq!(pending().await, (1, Some(times[1])));
}

async fn a_service_that_is_removed_and_added_in_the_same_group_is_asked<DB: Engine>(
    scene: Scene<DB>,
) {
    let people = scene.people(2).await;
    let (early, late) = (Uuid::new_v4(), Uuid::new_v4());
    scene.store.add_service(scene.confirming("tasks")).await.unwrap();
    scene.store.delete_user(&people[0], 0, early).await.unwrap();
    // They are all in the queue before the door is looked at.
    let (removed, added, deleted) = tokio::join!(
        scene.store.remove_service("tasks".to_owned()),
        scene.store.add_service(scene.confirming("tasks")),
        scene.store.delete_user(&people[1], 0, late),
    );
    removed.and(deleted).unwrap();
    assert!(added.unwrap());
    let missing = async |id| {
        let erasure = scene.store.erasure(id).await.unwrap();
        erasure.missing().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(missing(early).await, [OWN_PART]);
    assert_eq!(missing(late).await, [OWN_PART, "tasks"]);
}

async fn an_erasure_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.register("ann").await.1;
    let id = Uuid::new_v4();
    scene.store.delete_user(&ann, 0, id).await.unwrap();
    scene.confirm(OWN_PART, ann.user_id()).await;
    let (late, parts) = (i64::MAX.to_string(), "erasure_confirmations");
    for (table, column, bad, good) in [
        (parts, "deleted_counts", "'x'", "'{}'"),
        (parts, "confirm_time", late.as_str(), "1"),
        (parts, "settle_time", &late, "1"),
        ("erasures", "delete_time", &late, "1"),
    ] {
        let set =
            async |value| scene.by_hand(format!("update {table} set {column} = {value}")).await;
        set(bad).await;
        let fault = scene.store.erasure(id).await.unwrap_err().to_string();
        assert!(fault.contains(&format!("{table}.{column}")), "{fault}");
        if table == "erasures" {
            let fault = scene.store.deleted_users(0, i64::MAX, 9).await.unwrap_err().to_string();
            assert!(fault.contains("erasures.delete_time"), "{fault}");
        }
        set(good).await;
        scene.store.erasure(id).await.unwrap();
    }
}
