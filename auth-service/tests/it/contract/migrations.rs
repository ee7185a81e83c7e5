//! Data of an earlier version: nothing of them is lost, and they can be used as new ones.

use auth_service::{
    secret_key::Secrets,
    services::{SecretHash, Service},
    store::{MIGRATIONS, SqlStore},
};
use e2e::Place;
use shared::{
    clock::{Clock, Time},
    database::{Database, Engine, Migrations, Settings, Statement},
    testing::Forge,
};
use uuid::Uuid;

use super::on_every_engine;

on_every_engine!(Earlier: services_of_before_must_confirm_and_users_of_before_can_go);

/// A database with the first four steps of the schema.
struct Earlier<DB: Engine> {
    settings: Settings,
    database: Database<DB>,
    _place: Place,
}

impl<DB: Engine> Earlier<DB> {
    async fn open(place: Place) -> Self {
        let settings = Settings::new("test", &place.url).unwrap();
        let first =
            Migrations { sqlite: &MIGRATIONS.sqlite[..4], postgres: &MIGRATIONS.postgres[..4] };
        let database = Database::open(&settings, &first).await.unwrap();
        Self { settings, database, _place: place }
    }

    async fn run(&self, statement: Statement<DB>) {
        let mut connection = self.database.connect_writer().await.unwrap();
        statement.all(&mut connection).await.unwrap();
    }

    /// Registers a service as that version did.
    async fn add(&self, name: &str, id: Uuid, secret: &SecretHash) {
        let insert = "insert into services (name, id, secret_hash, scopes, create_time)
                      values ($1, $2, $3, 'trust.watch', 1)";
        let insert = Statement::new(insert).bind(name.to_owned()).bind(id);
        self.run(insert.bind(secret.0.to_vec())).await;
    }
}

async fn services_of_before_must_confirm_and_users_of_before_can_go<DB: Engine>(
    earlier: Earlier<DB>,
) {
    let secret = SecretHash::of(&Secrets::only("the secret of both").current);
    let ids = [Uuid::new_v4(), Uuid::new_v4()];
    for (name, id) in ["notes", "tasks"].into_iter().zip(ids) {
        earlier.add(name, id, &secret).await;
    }
    let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
    let insert = "insert into users (id, username, email, image_url, password_hash, create_time, update_time)
                  values ($1, 'ann', 'ann@example.com', '', 'hash', 1, 1)";
    earlier.run(Statement::new(insert).bind(user)).await;
    let insert = "insert into sessions (id, user_id, client_label, audiences, create_time, last_use_time,
                                        idle_expire_time, expire_time, token_expire_time)
                  values ($1, $2, '', '', 1, 1, 9000000000000000, 9000000000000000, 9000000000000000)";
    earlier.run(Statement::new(insert).bind(session).bind(user)).await;

    let clock = Clock::manual(Time::from_seconds(1_700_000_000));
    let store = SqlStore::<DB>::open(&earlier.settings, clock.clone()).await.unwrap();
    let service = |name: &str, id| Service {
        name: name.to_owned(),
        id,
        secret_hash: secret.clone(),
        scopes: ["trust.watch", "erasure.confirm"].map(str::to_owned).to_vec(),
        create_time: Time::from_micros(1).unwrap(),
    };
    let expected = [service("notes", ids[0]), service("tasks", ids[1])];
    assert_eq!(store.services().await.unwrap(), expected);
    let erasure_id = Uuid::new_v4();
    let ann = Forge::new().caller_in(user, session);
    store.delete_user(&ann, 0, erasure_id).await.unwrap();
    let erasure = store.erasure(erasure_id).await.unwrap();
    assert_eq!(erasure.missing().collect::<Vec<_>>(), ["auth-service", "notes", "tasks"]);
    // One that holds nothing of anybody is added anew, by the same secret.
    let watcher = Service { scopes: vec!["trust.watch".to_owned()], ..service("notes", ids[0]) };
    assert!(!store.add_service(watcher).await.unwrap());
    let erasure = store.erasure(erasure_id).await.unwrap();
    assert_eq!(erasure.missing().collect::<Vec<_>>(), ["auth-service", "tasks"]);
}
