//! What the service keeps for itself.

use shared::database::Engine;
use task_service::pages::Cursor;
use uuid::Uuid;

use super::{Scene, on_every_engine};

on_every_engine!(
    Scene:
    processes_on_one_database_share_the_page_key,
);

async fn processes_on_one_database_share_the_page_key<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let (first, other) = (scene.store.vault(), second.vault());
    let (first, other) = tokio::join!(first.page_key(), other.page_key());
    let cursor = Cursor { key: 1, id: Uuid::new_v4() };
    assert_eq!(other.unwrap().open("here", &first.unwrap().seal("here", cursor)), Ok(cursor));
}
