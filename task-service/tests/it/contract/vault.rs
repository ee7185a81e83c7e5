//! What the service keeps for itself.

use shared::{database::Engine, testing::Forge, trust::SnapshotStore};
use task_service::pages::Cursor;
use uuid::Uuid;

use super::{Scene, on_every_engine};

on_every_engine!(
    Scene:
    processes_on_one_database_share_the_page_key,
    the_saved_keys_are_those_saved_last,
);

async fn processes_on_one_database_share_the_page_key<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let (first, other) = (scene.store.vault(), second.vault());
    let (first, other) = tokio::join!(first.page_key(), other.page_key());
    let cursor = Cursor { key: 1, id: Uuid::new_v4() };
    assert_eq!(other.unwrap().open("here", &first.unwrap().seal("here", cursor)), Ok(cursor));
}

async fn the_saved_keys_are_those_saved_last<DB: Engine>(scene: Scene<DB>) {
    let vault = scene.store.vault();
    assert_eq!(vault.load().await.unwrap(), []);
    let keys = [(); 3].map(|()| Forge::new().public());
    for kept in [&keys[..2], &keys[1..], &keys[..0]] {
        vault.save(kept).await.unwrap();
        let loaded = scene.second_store().await.vault().load().await.unwrap();
        assert_eq!(loaded.len(), kept.len());
        assert!(kept.iter().all(|key| loaded.contains(key)));
    }
}
