//! What the pages of a SQLite file keep of users who have been deleted: nothing, however often rows have
//! moved from page to page before.

use std::fs;

use auth_service::{sessions::RefreshToken, users::UserChange};
use e2e::{Chance, Engine};
use shared::{database::Sqlite, trust::Caller};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Scene, hash, image_url, stored, username};

/// How many people come in each round, of which there are a few.
const PEOPLE: usize = 60;
const ROUNDS: usize = 8;

/// So many people, whose names nobody can mistake.
async fn come(scene: &Scene<Sqlite>, count: usize) -> Vec<(String, Caller)> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let name = format!("z{}", &Uuid::new_v4().simple().to_string()[..24]);
        let user = scene.user(&name, &format!("{name}@example.com"));
        let caller = scene.forge.caller_in(user.id, Uuid::new_v4());
        let mut session = scene.session(&user);
        session.id = caller.session_id();
        let store = scene.store.clone();
        calls.spawn(async move {
            store.register(user, hash(&name), None).await.unwrap();
            let token = RefreshToken::random().unwrap();
            store.open_session(session, stored(&token), 0).await.unwrap();
            (name, caller)
        });
    }
    calls.join_all().await
}

/// Gives each of them another name, and a picture.
async fn rename(scene: &Scene<Sqlite>, chance: &mut Chance, people: &[(String, Caller)]) {
    let mut calls = JoinSet::new();
    for (name, caller) in people {
        // Some fit a page, some do not.
        let path = "p".repeat(chance.below(1_900));
        let new = UserChange {
            username: Some(username(&format!("{name}-new"))),
            image_url: Some(image_url(&format!("https://{name}.example.org/{path}/{name}"))),
            ..UserChange::default()
        };
        let (store, caller) = (scene.store.clone(), caller.clone());
        calls.spawn(async move { store.update_user(&caller, new, None, None).await.unwrap() });
    }
    calls.join_all().await;
}

/// The names that the file or its log holds.
fn held<'n>(scene: &Scene<Sqlite>, names: &[&'n str]) -> Vec<&'n str> {
    let file = scene.settings.file().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend(fs::read(file.with_extension("db-wal")).unwrap());
    let bytes = String::from_utf8_lossy(&bytes);
    names.iter().copied().filter(|name| bytes.contains(name)).collect()
}

#[tokio::test]
async fn what_has_moved_before_it_was_deleted_is_on_no_page() {
    let scene = Scene::<Sqlite>::open(Engine::Sqlite.place("test").await).await;
    let (mut chance, mut there) = (Chance::new(5), Vec::new());
    for _ in 0..ROUNDS {
        there.extend(come(&scene, PEOPLE).await);
        rename(&scene, &mut chance, &there).await;
        let (mut calls, mut gone) = (JoinSet::new(), Vec::new());
        for _ in 0..PEOPLE * 2 / 3 {
            let (name, caller) = there.swap_remove(chance.below(there.len()));
            let store = scene.store.clone();
            calls
                .spawn(async move { store.delete_user(&caller, 0, Uuid::new_v4()).await.unwrap() });
            gone.push(name);
        }
        calls.join_all().await;
        scene.store.purge().await.unwrap();
        let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
        assert_eq!(held(&scene, &gone), [""; 0]);
    }
    let there: Vec<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(held(&scene, &there), there, "what is looked for is found where it is");
}
