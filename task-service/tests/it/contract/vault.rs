//! What the service keeps for itself.

use shared::database::Engine;
use shared::{fields::Violations, pb::task::CreateTaskRequest};

use super::{Scene, on_every_engine};

on_every_engine!(
    Scene:
    processes_on_one_database_share_their_keys,
);

async fn processes_on_one_database_share_their_keys<DB: Engine>(scene: Scene<DB>) {
    let second = scene.second_store().await;
    let (first, other) = (scene.store.vault(), second.vault());
    let (first, other) = tokio::join!(first.keys(), other.keys());
    let (first, other) = (first.unwrap(), other.unwrap());
    let token = first.seals.seal("here", b"there");
    assert_eq!(other.seals.open("here", &token).unwrap(), b"there");

    let request_id = "0b9b7a46-5c1e-4c5e-9d0c-0a9f6f6a2b11".to_owned();
    let request = CreateTaskRequest { task: None, request_id };
    let once = first.once(&scene.ann, &request, &mut Violations::new()).unwrap().unwrap();
    assert_eq!(other.once(&scene.ann, &request, &mut Violations::new()).unwrap(), Some(once));
}
