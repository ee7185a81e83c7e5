//! Data of an earlier version: nothing of them is lost, and they can be used as new ones.

use e2e::Place;
use shared::{
    clock::Clock,
    database::{Database, Engine, Migrations, Settings, Statement},
    testing::Forge,
};
use task_service::{
    error::Refusal,
    store::{MIGRATIONS, SqlStore},
    tasks::{TaskChange, TaskFilter},
    text::TitlePart,
};
use uuid::Uuid;

use super::{ALL, QUOTAS, at, on_every_engine, refusal, title};

on_every_engine!(
    Earlier:
    tasks_of_before_are_listed_deleted_and_told_as_new_ones_are,
);

/// A database with the first two steps of the schema.
struct Earlier<DB: Engine> {
    settings: Settings,
    database: Database<DB>,
    _place: Place,
}

impl<DB: Engine> Earlier<DB> {
    async fn open(place: Place) -> Self {
        let settings = Settings::new("test", &place.url).unwrap();
        let first =
            Migrations { sqlite: &MIGRATIONS.sqlite[..2], postgres: &MIGRATIONS.postgres[..2] };
        let database = Database::open(&settings, &first).await.unwrap();
        Self { settings, database, _place: place }
    }

    async fn insert(&self, owner: Uuid, revision: i64, title: &str, delete_time: i64) -> Uuid {
        let id = Uuid::new_v4();
        let insert =
            "insert into tasks (owner_id, id, title, description, status, priority, due_time,
                          create_time, update_time, delete_time, revision)
                      values ($1, $2, $3, '', 1, 2, 9223372036854775807, 1, 1, $4, $5)";
        let statement = Statement::<DB>::new(insert).bind(owner).bind(id).bind(title.to_owned());
        let mut connection = self.database.connect_writer().await.unwrap();
        statement.bind(delete_time).bind(revision).all(&mut connection).await.unwrap();
        id
    }
}

async fn tasks_of_before_are_listed_deleted_and_told_as_new_ones_are<DB: Engine>(
    earlier: Earlier<DB>,
) {
    let ann = Forge::new().caller(Uuid::new_v4());
    let owner = "insert into owners (owner_id, revision, projects, tasks) values ($1, 600, 0, 599)";
    let mut connection = earlier.database.connect_writer().await.unwrap();
    let owner = Statement::<DB>::new(owner).bind(ann.user_id());
    owner.all(&mut connection).await.unwrap();
    let gone = earlier.insert(ann.user_id(), 1, "Ärger", 7).await;
    for revision in 2..=600 {
        earlier.insert(ann.user_id(), revision, &format!("ÉTÉ {revision}"), 0).await;
    }

    let clock = Clock::manual(at(1_700_000_000));
    let store = SqlStore::<DB>::open(&earlier.settings, QUOTAS, clock).await.unwrap();
    let title_contains = TitlePart::parse("été 6").unwrap();
    let filter = TaskFilter { title_contains, ..TaskFilter::default() };
    let found = store.list_tasks(&ann, &filter, &ALL).await.unwrap().rows;
    assert_eq!(found.len(), 12, "6, 60 to 69, 600");
    let change = TaskChange { title: Some(title("new")), ..TaskChange::default() };
    let update = store.update_task(&ann, None, gone, None, change).await;
    assert_eq!(refusal(update), Refusal::TaskDeleted);
    let back = store.undelete_task(&ann, None, gone, None).await;
    assert_eq!(refusal(back), Refusal::QuotaExceeded);
    let told = store.changes(&ann, None).await.unwrap();
    assert_eq!(told.changes[0].revision(), 1);
    assert_eq!(told.head, 602);
}
