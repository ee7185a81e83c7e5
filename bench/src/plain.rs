//! Tasks in a database as one keeps them without thinking about speed: a pool, a statement for each read, a
//! transaction for each write.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use prost_types::Timestamp;
use shared::{
    clock::{Clock, Time},
    database::{Database, Engine, Settings, Statement, get},
    ids::{new_id, parse_id},
    pb::task::Task,
};
use sqlx::{
    Connection, Pool, Postgres, Sqlite,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use task_service::store::MIGRATIONS;
use tonic::Status;
use uuid::Uuid;

use crate::{Failure, rpcs::Answers};

/// How many connections a pool has.
const CONNECTIONS: u32 = 16;
/// How long a call waits for one, and a transaction on SQLite for its turn.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where revisions begin: beyond those of tasks that are there already.
const REVISIONS: i64 = 1 << 40;

const GET: &str = "select id, project_id, title, description, status, priority, due_time, create_time, \
                   update_time, revision from tasks where owner_id = $1 and id = $2";
const CREATE: &str = "insert into tasks (owner_id, id, title, title_key, description, status, priority, \
                      due_time, create_time, update_time, delete_time, deleted, revision) \
                      values ($1, $2, $3, $4, $5, 1, 2, $6, $7, $7, 0, 0, $8)";

/// The tasks of one owner.
pub(crate) struct Plain<DB: Engine> {
    pool: Pool<DB>,
    owner: Uuid,
    clock: Clock,
    revision: AtomicI64,
}

impl Plain<Sqlite> {
    /// Those in a SQLite file.
    pub(crate) async fn open_sqlite(url: &str, owner: Uuid) -> Result<Self, Failure> {
        let options = url
            .parse::<SqliteConnectOptions>()?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        Self::open(url, options, owner).await
    }
}

impl Plain<Postgres> {
    /// Those in a database of PostgreSQL.
    pub(crate) async fn open_postgres(url: &str, owner: Uuid) -> Result<Self, Failure> {
        Self::open(url, url.parse::<PgConnectOptions>()?, owner).await
    }
}

impl<DB: Engine> Plain<DB> {
    async fn open(
        url: &str,
        options: <DB::Connection as Connection>::Options,
        owner: Uuid,
    ) -> Result<Self, Failure> {
        drop(Database::<DB>::open(&Settings::new("floor", url)?, &MIGRATIONS).await?);
        let pool = PoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        let pool = pool.connect_with(options).await?;
        Ok(Self { pool, owner, clock: Clock::system(), revision: AtomicI64::new(REVISIONS) })
    }

    async fn find(&self, id: Uuid) -> Result<Option<Task>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let select = Statement::<DB>::new(GET).bind(self.owner).bind(id);
        select.all(&mut connection).await?.first().map(task::<DB>).transpose()
    }

    async fn insert(&self, task: Task) -> Result<Task, sqlx::Error> {
        let now = self.clock.now();
        let id = new_id(now);
        let revision = self.revision.fetch_add(1, Ordering::Relaxed);
        let insert = Statement::<DB>::new(CREATE)
            .bind(self.owner)
            .bind(id)
            .bind(task.title.clone())
            .bind(task.title.to_lowercase())
            .bind(task.description.clone())
            .bind(i64::MAX)
            .bind(now.micros())
            .bind(revision);
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        insert.all(&mut transaction).await?;
        transaction.commit().await?;
        let (id, etag, time) = (id.to_string(), format!("{revision:016x}"), Some(now.into()));
        Ok(Task { id, etag, create_time: time, update_time: time, status: 1, priority: 2, ..task })
    }
}

fn task<DB: Engine>(row: &DB::Row) -> Result<Task, sqlx::Error> {
    let time = |name| -> Result<Option<Timestamp>, sqlx::Error> {
        let micros = get::<DB, i64>(row, name)?;
        Ok(Time::from_micros(micros).map(Timestamp::from))
    };
    let number = |name| get::<DB, i64>(row, name).map(|it| i32::try_from(it).unwrap_or_default());
    Ok(Task {
        id: get::<DB, Uuid>(row, "id")?.to_string(),
        project_id: get::<DB, Option<Uuid>>(row, "project_id")?
            .map(|id| id.to_string())
            .unwrap_or_default(),
        title: get::<DB, _>(row, "title")?,
        description: get::<DB, _>(row, "description")?,
        status: number("status")?,
        priority: number("priority")?,
        due_time: time("due_time")?,
        create_time: time("create_time")?,
        update_time: time("update_time")?,
        etag: format!("{:016x}", get::<DB, i64>(row, "revision")?),
        ..Task::default()
    })
}

impl<DB: Engine> Answers for Plain<DB> {
    async fn get(&self, id: &str) -> Result<Task, Status> {
        let id = parse_id(id).map_err(|fault| Status::invalid_argument(fault.to_string()))?;
        let found = self.find(id).await.map_err(|error| failed(&error))?;
        found.ok_or_else(|| Status::not_found("there is no such task"))
    }

    async fn create(&self, task: Task) -> Result<Task, Status> {
        self.insert(task).await.map_err(|error| failed(&error))
    }
}

fn failed(error: &sqlx::Error) -> Status {
    Status::internal(error.to_string())
}
