//! `UserService.GetCurrentUser`.

use auth_service::store::MIGRATIONS;
use e2e::{AuthServer, Engine, on_every_engine, refused};
use shared::{
    database::{Database, Statement},
    on_engine,
    pb::auth::{ChangePasswordRequest, GetCurrentUserRequest, UpdateCurrentUserRequest, User},
};
use tonic::Code;
use uuid::Uuid;

use super::me;

on_every_engine!(
    everybody_reads_their_own_account,
    it_is_never_older_than_the_last_change,
    the_token_of_an_account_that_is_gone_is_revoked,
);

async fn everybody_reads_their_own_account(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    assert_eq!(me(&mut ann).await, ann.user);
    assert_eq!(me(&mut bob).await, bob.user);
    assert_ne!(ann.user, bob.user);
}

async fn it_is_never_older_than_the_last_change(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let mut ann = server.register("ann").await;
    let mut phone = server.bearer(&ann.token);
    for image_url in ["https://example.org/1", "https://example.org/2", ""] {
        let user = User { image_url: image_url.to_owned(), ..User::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["image_url".to_owned()] });
        let current_password = String::new();
        let request = UpdateCurrentUserRequest {
            user: Some(user),
            update_mask,
            current_password,
            ..Default::default()
        };
        let changed = phone.users.update_current_user(request).await.unwrap().into_inner().user;
        assert_eq!(Some(me(&mut ann).await), changed);
    }
}

async fn the_token_of_an_account_that_is_gone_is_revoked(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (mut ann, mut bob) = (server.register("ann").await, server.register("bob").await);
    // No call deletes an account yet.
    let (database, id) = (server.config().database, Uuid::parse_str(&ann.user.id).unwrap());
    on_engine!(database, DB => {
        let database = Database::<DB>::open(&database, &MIGRATIONS).await.unwrap();
        let mut connection = database.connect_writer().await.unwrap();
        let delete = Statement::<DB>::new("delete from users where id = $1");
        delete.bind(id).all(&mut connection).await.unwrap();
    });

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
