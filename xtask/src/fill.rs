//! Writes tasks into a database by the thousand, as no RPC would.

use std::time::Duration;

use e2e::{Chance, Engine, Place};
use serde_json::{Value, json};
use shared::{
    clock::{Clock, Time},
    database::{Column, Database, Engine as Sql, Kind, Settings, Statement},
    ids::new_id,
    on_engine,
};
use task_service::store::MIGRATIONS;
use uuid::Uuid;

use crate::Failure;

/// How many projects the owner of most tasks has; every other task is in one.
pub(crate) const PROJECTS: usize = 200;
/// How many tasks that owner has for each of somebody else's.
const SHARE: usize = 100;
/// How many tasks are written with one statement.
const BATCH: usize = 10_000;
/// How long a statement may take here.
const TIMEOUT: Duration = Duration::from_mins(5);
/// How much time lies between a task and the next.
const STEP: Duration = Duration::from_secs(30);
/// When a task is due that never is.
const NEVER: i64 = i64::MAX;
/// The words of titles.
const WORDS: [&str; 8] =
    ["bicycle", "birthday", "garden", "kitchen", "letter", "plants", "report", "ticket"];

const OWNER_COLUMNS: [Column; 4] = [
    ("owner_id", Kind::Uuid),
    ("revision", Kind::BigInt),
    ("projects", Kind::BigInt),
    ("tasks", Kind::BigInt),
];

const PROJECT_COLUMNS: [Column; 7] = [
    ("owner_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("title", Kind::Text),
    ("description", Kind::Text),
    ("create_time", Kind::BigInt),
    ("update_time", Kind::BigInt),
    ("revision", Kind::BigInt),
];

const TASK_COLUMNS: [Column; 14] = [
    ("owner_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("project_id", Kind::Uuid),
    ("title", Kind::Text),
    ("title_key", Kind::Text),
    ("description", Kind::Text),
    ("status", Kind::BigInt),
    ("priority", Kind::BigInt),
    ("due_time", Kind::BigInt),
    ("create_time", Kind::BigInt),
    ("update_time", Kind::BigInt),
    ("delete_time", Kind::BigInt),
    ("deleted", Kind::BigInt),
    ("revision", Kind::BigInt),
];

/// Somebody, and what they have.
struct Owner {
    id: Uuid,
    projects: Vec<Uuid>,
    tasks: Vec<Uuid>,
}

/// Gives one owner so many tasks, and the others theirs in between; the answer is the ids of those of
/// each, of the one owner first. Then the database is as if they had been there for long.
pub(crate) async fn fill(
    place: &Place,
    owner: Uuid,
    tasks: usize,
    others: &[Uuid],
) -> Result<Vec<Vec<Uuid>>, Failure> {
    let mut settings = Settings::new("measure", &place.url)?;
    settings.timeout = TIMEOUT;
    // SQLite keeps all pages in memory until the commit. Afterwards nobody vacuums or analyzes it;
    // PostgreSQL does that by itself.
    let (before, after): (_, &[_]) = match place.engine {
        Engine::Sqlite => ("pragma cache_size = -2000000", &["pragma wal_checkpoint(truncate)"]),
        Engine::Postgres => (
            "select 1",
            &[
                "vacuum analyze owners",
                "vacuum analyze projects",
                "vacuum analyze tasks",
                "checkpoint",
            ],
        ),
    };
    on_engine!(settings, DB => {
        let database = Database::<DB>::open(&settings, &MIGRATIONS).await?;
        let mut connection = database.connect_writer().await?;
        run::<DB>(&mut connection, &[before, <DB as Sql>::BEGIN]).await?;
        let owners = write::<DB>(&mut connection, owner, tasks, others).await?;
        run::<DB>(&mut connection, &["commit"]).await?;
        run::<DB>(&mut connection, after).await?;
        Ok(owners.into_iter().map(|owner| owner.tasks).collect())
    })
}

async fn run<DB: Sql>(
    connection: &mut DB::Connection,
    statements: &[&'static str],
) -> Result<(), sqlx::Error> {
    for statement in statements {
        Statement::<DB>::new(*statement).all(connection).await?;
    }
    Ok(())
}

/// Writes it; the answer begins with the owner of most.
async fn write<DB: Sql>(
    connection: &mut DB::Connection,
    owner: Uuid,
    tasks: usize,
    others: &[Uuid],
) -> Result<Vec<Owner>, sqlx::Error> {
    let begin = Clock::system().now().minus(steps(tasks));
    let projects: Vec<_> = (0..PROJECTS).map(|_| new_id(begin)).collect();
    let rows = projects.iter().zip(1..).map(|(id, revision)| project(owner, *id, begin, revision));
    insert::<DB>(connection, "projects", &PROJECT_COLUMNS, rows.collect()).await?;
    let mut owners = vec![Owner { id: owner, projects, tasks: Vec::new() }];
    owners.extend(others.iter().map(|id| Owner { id: *id, projects: vec![], tasks: vec![] }));

    let mut chance = Chance::new(0);
    let mut rows = Vec::new();
    for number in 0..tasks {
        let time = begin.plus(steps(number));
        let other = 1 + number / SHARE % others.len().max(1);
        for owner in [0].into_iter().chain((number % SHARE == 0).then_some(other)) {
            rows.extend(owners.get_mut(owner).map(|owner| owner.task(time, &mut chance)));
        }
        if rows.len() >= BATCH || number + 1 == tasks {
            insert::<DB>(connection, "tasks", &TASK_COLUMNS, rows.split_off(0)).await?;
        }
    }
    let rows = owners.iter().map(|owner| {
        let (projects, tasks) = (owner.projects.len(), owner.tasks.len());
        json!({
            "owner_id": owner.id, "revision": projects + tasks, "projects": projects, "tasks": tasks,
        })
    });
    insert::<DB>(connection, "owners", &OWNER_COLUMNS, rows.collect()).await?;
    Ok(owners)
}

async fn insert<DB: Sql>(
    connection: &mut DB::Connection,
    table: &str,
    columns: &[Column],
    rows: Vec<Value>,
) -> Result<(), sqlx::Error> {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let insert = format!("insert into {table} ({names}) select {names} from {}", DB::rows(columns));
    Statement::<DB>::new(insert).bind(Value::from(rows).to_string()).all(connection).await?;
    Ok(())
}

/// How much time so many tasks take.
fn steps(count: usize) -> Duration {
    STEP * u32::try_from(count).unwrap_or(u32::MAX)
}

fn project(owner: Uuid, id: Uuid, time: Time, revision: i64) -> Value {
    json!({
        "owner_id": owner, "id": id, "title": format!("Project {revision}"), "description": "",
        "create_time": time.micros(), "update_time": time.micros(), "revision": revision,
    })
}

impl Owner {
    /// A new task, with chance in everything that tasks are ordered by; every other one is in a project,
    /// if there are any.
    fn task(&mut self, time: Time, chance: &mut Chance) -> Value {
        let id = new_id(time);
        self.tasks.push(id);
        let place = chance.below(2 * self.projects.len().max(1));
        let title = format!("{} {}", chance.pick(&WORDS), chance.below(1_000_000));
        let due = time.plus(steps(chance.below(1_000_000)));
        json!({
            "owner_id": self.id, "id": id, "project_id": self.projects.get(place),
            "title": title, "title_key": title, "description": "as we said when we met last week",
            "status": 1 + chance.below(2), "priority": 1 + chance.below(4),
            "due_time": if chance.below(5) == 0 { NEVER } else { due.micros() },
            "create_time": time.micros(), "update_time": time.micros(),
            "delete_time": 0, "deleted": 0, "revision": self.projects.len() + self.tasks.len(),
        })
    }
}
