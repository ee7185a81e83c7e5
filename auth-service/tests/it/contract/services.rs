//! Services that have tokens of their own.

use auth_service::{
    error::Refusal,
    services::{SecretHash, Service},
};
use shared::{database::Engine, erasure::CONFIRM_SCOPE, trust::WATCH_SCOPE};
use tokio::task::JoinSet;

use super::{Scene, on_every_engine, refusal};

on_every_engine!(
    Scene:
    a_service_is_kept_as_it_was_given,
    the_same_service_again_is_no_news_and_another_of_its_name_is_refused,
    of_many_at_the_same_moment_one_gets_the_name,
    a_service_that_is_removed_is_revoked,
    a_service_that_contradicts_the_types_is_a_fault,
);

fn secret(text: &str) -> secrecy::SecretString {
    format!("{text}, which nobody can ever guess, of course").into()
}

impl<DB: Engine> Scene<DB> {
    /// A service that is not registered yet.
    fn service(&self, name: &str, text: &str) -> Service {
        let scopes = vec![WATCH_SCOPE.to_owned()];
        Service::new(name.to_owned(), &secret(text), scopes, self.later()).unwrap()
    }

    /// The service that is registered by this name.
    async fn registered(&self, name: &str) -> Option<Service> {
        self.store.service(name.to_owned()).await.unwrap()
    }
}

async fn a_service_is_kept_as_it_was_given<DB: Engine>(scene: Scene<DB>) {
    // The order is that of the bytes, on each engine.
    let services = ["A", "B", "a", "a-b", "b'--"].map(|name| scene.service(name, name));
    for place in [3, 1, 4, 0, 2] {
        assert!(scene.store.add_service(services[place].clone()).await.unwrap());
    }
    assert_eq!(scene.second_store().await.services().await.unwrap(), services);
    for service in &services {
        assert_eq!(scene.registered(&service.name).await.as_ref(), Some(service));
        assert_eq!(service.secret_hash, SecretHash::of(&secret(&service.name)));
    }
    for nobody in ["", "c", "B ", "%", "_", "A-B"] {
        assert_eq!(scene.registered(nobody).await, None, "{nobody}");
    }
    assert_eq!(scene.head().await, 0, "nobody need hear of a new service");
}

async fn the_same_service_again_is_no_news_and_another_of_its_name_is_refused<DB: Engine>(
    scene: Scene<DB>,
) {
    let first = scene.service("a", "one");
    assert!(scene.store.add_service(first.clone()).await.unwrap());
    assert!(!scene.store.add_service(scene.service("a", "one")).await.unwrap());
    let other_secret = scene.store.add_service(scene.service("a", "two")).await;
    assert_eq!(refusal(other_secret), Refusal::ServiceExists);
    assert_eq!(scene.registered("a").await.as_ref(), Some(&first), "the registration is the first");
    for scopes in [[WATCH_SCOPE, CONFIRM_SCOPE].as_slice(), &[CONFIRM_SCOPE], &[WATCH_SCOPE]] {
        let scopes: Vec<_> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let other = Service { scopes: scopes.clone(), ..scene.service("a", "two") };
        assert_eq!(refusal(scene.store.add_service(other).await), Refusal::ServiceExists);
        let other = Service { scopes: scopes.clone(), ..scene.service("a", "one") };
        assert!(!scene.store.add_service(other).await.unwrap());
        let expected = Service { scopes, ..first.clone() };
        assert_eq!(scene.store.services().await.unwrap(), [expected]);
    }
    assert_eq!(scene.revoked().await, [], "its tokens go on");
}

async fn of_many_at_the_same_moment_one_gets_the_name<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let store = if number % 2 == 0 { (*scene.store).clone() } else { second.clone() };
        let service = scene.service("a", ["one", "two"][number / 2 % 2]);
        calls.spawn(async move { (service.clone(), store.add_service(service).await) });
    }
    let mut winners = Vec::new();
    for (service, answer) in calls.join_all().await {
        match answer {
            Ok(true) => winners.push(service),
            Ok(false) => {}
            refused => assert_eq!(refusal(refused), Refusal::ServiceExists),
        }
    }
    assert_eq!(scene.store.services().await.unwrap(), winners);
    assert_eq!(winners.len(), 1);
}

async fn a_service_that_is_removed_is_revoked<DB: Engine>(scene: Scene<DB>) {
    let (first, other) = (scene.service("a", "one"), scene.service("b", "one"));
    for service in [&first, &other] {
        scene.store.add_service(service.clone()).await.unwrap();
    }
    let remove = async |name: &str| scene.store.remove_service(name.to_owned()).await;
    for nobody in ["c", "A", "", "%"] {
        assert_eq!(refusal(remove(nobody).await), Refusal::ServiceNotFound);
    }
    assert_eq!(scene.head().await, 0);
    remove("a").await.unwrap();
    assert_eq!(refusal(remove("a").await), Refusal::ServiceNotFound);
    assert_eq!(scene.store.services().await.unwrap(), [other]);
    let again = scene.service("a", "one");
    assert_ne!(again.id, first.id, "what was revoked does not come back");
    assert!(scene.store.add_service(again).await.unwrap());
    let revoked: Vec<_> = scene.revoked().await.into_iter().map(|(id, ..)| id).collect();
    assert_eq!(revoked, [first.id]);
}

async fn a_service_that_contradicts_the_types_is_a_fault<DB: Engine>(scene: Scene<DB>) {
    scene.store.add_service(scene.service("a", "one")).await.unwrap();
    for (damage, column) in [
        ("create_time = 9223372036854775807", "create_time"),
        ("secret_hash = substr(secret_hash, 1, 31)", "secret_hash"),
    ] {
        scene.by_hand(format!("update services set {damage}")).await;
        let column = format!("services.{column}");
        let fault = scene.store.services().await.unwrap_err().to_string();
        assert!(fault.contains(&column), "{fault}");
        let fault = scene.store.service("a".to_owned()).await.unwrap_err().to_string();
        assert!(fault.contains(&column), "{fault}");
    }
}
