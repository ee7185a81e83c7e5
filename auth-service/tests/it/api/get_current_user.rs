//! `UserService.GetCurrentUser`.

use auth_service::store::MIGRATIONS;
use e2e::{AuthServer, refused};
use shared::{
    database::{Database, Statement},
    pb::auth::{ChangePasswordRequest, GetCurrentUserRequest, UpdateCurrentUserRequest, User},
};
use sqlx::Sqlite;
use tonic::Code;
use uuid::Uuid;

use super::me;

#[tokio::test]
async fn everybody_reads_their_own_account() {
    let server = AuthServer::start().await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    assert_eq!(me(&mut ann).await, ann.user);
    assert_eq!(me(&mut bob).await, bob.user);
    assert_ne!(ann.user, bob.user);
}

#[tokio::test]
async fn it_is_never_older_than_the_last_change() {
    let server = AuthServer::start().await;
    let mut ann = server.register("ann").await;
    let mut phone = server.bearer(&ann.token);
    for image_url in ["https://example.org/1", "https://example.org/2", ""] {
        let user = User { image_url: image_url.to_owned(), ..User::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["image_url".to_owned()] });
        let current_password = String::new();
        let request = UpdateCurrentUserRequest { user: Some(user), update_mask, current_password };
        let changed = phone.users.update_current_user(request).await.unwrap().into_inner().user;
        assert_eq!(Some(me(&mut ann).await), changed);
    }
}

#[tokio::test]
async fn the_token_of_an_account_that_is_gone_is_revoked() {
    let server = AuthServer::start().await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    // No call deletes an account yet.
    let settings = server.config().database;
    let database = Database::<Sqlite>::open(&settings, &MIGRATIONS).await.unwrap();
    let mut connection = database.connect_writer().await.unwrap();
    let delete = Statement::<Sqlite>::new("delete from users where id = $1");
    let id = Uuid::parse_str(&ann.user.id).unwrap();
    delete.bind(id).all(&mut connection).await.unwrap();

    let picture = User { image_url: "https://example.org/1".to_owned(), ..User::default() };
    let update = UpdateCurrentUserRequest { user: Some(picture), ..Default::default() };
    let change = ChangePasswordRequest {
        current_password: e2e::PASSWORD.to_owned(),
        new_password: "something else altogether".to_owned(),
    };
    for refusal in [
        refused(ann.users.get_current_user(GetCurrentUserRequest {}).await),
        refused(ann.users.update_current_user(update).await),
        refused(ann.users.change_password(change).await),
    ] {
        assert_eq!(refusal.kind(), (Code::Unauthenticated, "TOKEN_REVOKED"));
    }
    assert_eq!(me(&mut bob).await, bob.user);
}
