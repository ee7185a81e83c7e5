//! A third service, with a database of its own and nothing but what `shared` offers everybody.

use std::{path::Path, sync::Arc, time::Duration};

use e2e::{AuthServer, Identity, Person, SERVICE_SECRET, add_service, refused, until};
use shared::{
    database::{Database, Engine, Migrations, Settings, Sqlite, Statement, get},
    erasure::{Counts, Eraser, Erasure, follow_erasures},
    trust::{
        Bearer, Caller, Credential, Expected, FileStore, Head, Issuer, Reason, TrustSource,
        Verifier, follow_trust, rejected,
    },
};
use tokio::task::JoinSet;
use tonic::{Request, Response, Status, service::Interceptor};
use uuid::Uuid;

use super::{REVOKED, complete, counts, delete, names};

const MIGRATIONS: Migrations = Migrations {
    sqlite: &[(
        "notes",
        "create table notes (owner_id blob not null, text text not null);
         create table gone_owners
             (id blob not null primary key, until integer not null, notes integer not null);
         create table erasure_cursor
             (id integer primary key, epoch blob not null, sequence integer not null);",
    )],
    postgres: &[],
};

#[derive(Clone)]
struct Notes {
    database: Database<Sqlite>,
    verifier: Arc<Verifier>,
}

impl Notes {
    /// The service with its data in this directory. It follows until it loses the other value.
    async fn start(auth: &AuthServer, directory: &Path) -> (Self, JoinSet<()>) {
        let url = format!("sqlite://{}", directory.join("notes.db").display());
        let settings = Settings::new("notes", &url).unwrap();
        let database = Database::open(&settings, &MIGRATIONS).await.unwrap();
        let (issuer, audience) = ("taskmanager".to_owned(), "notes".to_owned());
        let expected = Expected { issuer, audience, max_staleness: Duration::from_mins(16) };
        let verifier = Arc::new(Verifier::new(expected, auth.clock.clone()));
        let issuer = Issuer::new(auth.url().parse().unwrap(), None);
        let source = TrustSource::new(issuer, Credential::new("notes", SERVICE_SECRET.into()));
        let (notes, mut following) = (Self { database, verifier }, JoinSet::new());
        let (verifier, store) =
            (Arc::clone(&notes.verifier), FileStore::new(directory.join("trust")));
        let trust = follow_trust(verifier, source.clone(), store);
        let erasures = follow_erasures(source, notes.clone(), auth.clock.clone());
        following.spawn(async { match trust.await {} });
        following.spawn(async { match erasures.await {} });
        notes.verifier.readiness().wait_for(|ready| *ready).await.unwrap();
        (notes, following)
    }

    /// Who calls, if the token is good.
    fn caller(&self, person: &Person) -> Result<Uuid, Status> {
        let request = Identity::bearer(&person.token).call(Request::new(()))?;
        let request = Bearer::new(Arc::clone(&self.verifier)).call(request)?;
        Ok(Caller::of(&request)?.user_id())
    }

    /// Writes a note of somebody whose token was good when the call came in.
    async fn write(&self, owner: Uuid, text: &str) -> Result<(), Status> {
        let insert = Statement::<Sqlite>::new(
            "insert into notes (owner_id, text)
             select $1, $2 where not exists (select 1 from gone_owners where id = $1)
             returning text",
        );
        let mut writer = self.database.connect_writer().await.unwrap();
        let insert = insert.bind(owner).bind(text.to_owned());
        if insert.all(&mut writer).await.unwrap().is_empty() {
            return Err(rejected(Reason::Revoked.into()));
        }
        Ok(())
    }

    async fn texts(&self) -> Vec<String> {
        let rows = self.database.read(Statement::new("select text from notes")).await.unwrap();
        rows.iter().map(|row| get::<Sqlite, _>(row, "text").unwrap()).collect()
    }
}

impl Eraser for Notes {
    type Error = sqlx::Error;

    async fn cursor(&self) -> Result<Option<Head>, sqlx::Error> {
        let select = Statement::new("select epoch, sequence from erasure_cursor");
        let rows = self.database.read(select).await?;
        let cursor = |row| {
            let epoch = get::<Sqlite, _>(row, "epoch")?;
            Ok(Head { epoch, sequence: get::<Sqlite, _>(row, "sequence")? })
        };
        rows.first().map(cursor).transpose()
    }

    async fn erase(&self, erasure: &Erasure) -> Result<Counts, sqlx::Error> {
        let mut writer = self.database.connect_writer().await?;
        Statement::<Sqlite>::new(Sqlite::BEGIN).all(&mut writer).await?;
        let gone = Statement::<Sqlite>::new(
            "insert into gone_owners (id, until, notes)
             select $1, $2, count(*) from notes where owner_id = $1
             on conflict (id) do update set notes = notes + excluded.notes returning notes",
        )
        .bind(erasure.user_id)
        .bind(erasure.last_token_time().micros())
        .all(&mut writer)
        .await?;
        Statement::<Sqlite>::new("delete from notes where owner_id = $1")
            .bind(erasure.user_id)
            .all(&mut writer)
            .await?;
        Statement::<Sqlite>::new("commit").all(&mut writer).await?;
        let notes: i64 = get::<Sqlite, _>(&gone[0], "notes")?;
        Ok(Counts::from([("notes", usize::try_from(notes).unwrap())]))
    }

    async fn purge(&self) -> Result<(), sqlx::Error> {
        self.database.purge().await
    }

    async fn confirmed(&self, erasure: &Erasure) -> Result<(), sqlx::Error> {
        let mut writer = self.database.connect_writer().await?;
        Statement::<Sqlite>::new(
            "insert into erasure_cursor (id, epoch, sequence) values (1, $1, $2)
             on conflict (id) do update set epoch = excluded.epoch, sequence = excluded.sequence",
        )
        .bind(erasure.cursor.epoch)
        .bind(erasure.cursor.sequence)
        .all(&mut writer)
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn another_service_takes_part_with_what_is_there_for_everybody() {
    let auth = AuthServer::start_with([("AUTH_AUDIENCES", "auth-service,notes")]).await;
    add_service(&auth.config(), "notes").await;
    let directory = tempfile::tempdir().unwrap();
    let (notes, following) = Notes::start(&auth, directory.path()).await;
    let [ann, bob] = [auth.register("ann").await, auth.register("bob").await];
    for person in [&ann, &bob, &ann] {
        let owner = notes.caller(person).unwrap();
        notes.write(owner, &format!("of {}", person.name)).await.unwrap();
    }
    let in_flight = notes.caller(&ann).unwrap();

    // Nobody is told while it is away.
    drop((notes, following));
    let id = delete(&ann, &auth).await;
    let list = auth.operate("erasures list").await.unwrap();
    assert!(list.trim_end().ends_with("notes"), "{list}");
    let (notes, following) = Notes::start(&auth, directory.path()).await;
    let parts = complete(&auth, &id).await;
    assert_eq!(names(&parts), ["auth-service", "notes"]);
    assert_eq!(counts(&parts[1]), [("notes", 2)]);
    assert_eq!(notes.texts().await, ["of bob"]);
    until("the token is bad", async || notes.caller(&ann).is_err()).await;
    assert_eq!(refused(notes.caller(&ann).map(Response::new)).kind(), REVOKED);
    let late = notes.write(in_flight, "late").await;
    assert_eq!(refused(late.map(Response::new)).kind(), REVOKED);
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!file.windows(6).any(|part| part == b"of ann"));
    }

    // It goes on from there.
    until("it is kept", async || notes.cursor().await.unwrap().is_some()).await;
    let before = notes.cursor().await.unwrap();
    drop((notes, following));
    let (notes, _following) = Notes::start(&auth, directory.path()).await;
    let id = delete(&bob, &auth).await;
    assert_eq!(counts(&complete(&auth, &id).await[1]), [("notes", 1)]);
    until("it is kept", async || notes.cursor().await.unwrap() != before).await;
}
