//! What the database itself saw written, row by row.

use e2e::lane::{History, Written};
use shared::{
    database::{Database, Engine, Settings, Statement, get},
    on_engine,
};
use sqlx::{Connection, Executor, PgConnection, Row, SqliteConnection, raw_sql};
use task_service::store::MIGRATIONS;
use uuid::Uuid;

/// Notes each row that is written, in the transaction that writes it.
const SQLITE: &str = "
create table audit (number integer primary key, id blob, title text, deleted integer, revision integer);
create trigger task_is_new after insert on tasks begin
    insert into audit (id, title, deleted, revision) values (new.id, new.title, new.deleted, new.revision);
end;
create trigger task_has_changed after update on tasks begin
    insert into audit (id, title, deleted, revision) values (new.id, new.title, new.deleted, new.revision);
end;
create trigger project_is_new after insert on projects begin
    insert into audit (id, title, deleted, revision) values (new.id, new.title, 0, new.revision);
end;
create trigger project_is_gone after delete on projects begin
    insert into audit (id, title, deleted, revision) values (old.id, old.title, 1, old.revision);
end;";

const POSTGRES: &str = "
create table audit (number bigserial primary key, id uuid, title text, deleted bigint, revision bigint);
create function note() returns trigger language plpgsql as $$ begin
    if tg_table_name = 'tasks' then
        insert into audit (id, title, deleted, revision) values (new.id, new.title, new.deleted, new.revision);
    elsif tg_op = 'INSERT' then
        insert into audit (id, title, deleted, revision) values (new.id, new.title, 0, new.revision);
    else
        insert into audit (id, title, deleted, revision) values (old.id, old.title, 1, old.revision);
    end if;
    return null;
end $$;
create trigger note after insert or update on tasks for each row execute function note();
create trigger note after insert or delete on projects for each row execute function note();";

/// Begins to note what is written.
pub(super) async fn begin(url: &str) {
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        raw_sql(SQLITE).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        raw_sql(POSTGRES).execute(&mut connection).await.unwrap();
    }
}

/// How many answers are kept.
pub(super) async fn answers(url: &str) -> i64 {
    let count = "select count(*) from answers";
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        connection.fetch_one(count).await.unwrap().get(0)
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.fetch_one(count).await.unwrap().get(0)
    }
}

/// All that was written.
pub(super) async fn history(url: &str) -> History {
    let settings = Settings::new("test", url).unwrap();
    on_engine!(settings, DB => {
        written(&Database::<DB>::open(&settings, &MIGRATIONS).await.unwrap()).await
    })
}

async fn written<DB: Engine>(database: &Database<DB>) -> History {
    let select = "select id, title, deleted, revision from audit order by number";
    let mut history = History::new();
    for row in &database.read(Statement::new(select)).await.unwrap() {
        let id: Uuid = get::<DB, _>(row, "id").unwrap();
        let (title, deleted) = (get::<DB, _>(row, "title"), get::<DB, i64>(row, "deleted"));
        let revision: i64 = get::<DB, _>(row, "revision").unwrap();
        let (title, is_deleted) = (title.unwrap(), deleted.unwrap() == 1);
        let etag = Some(format!("{revision:016x}"));
        history.entry(id.to_string()).or_default().push(Written { title, is_deleted, etag });
    }
    history
}
