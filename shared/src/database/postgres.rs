//! PostgreSQL: the production engine.

use std::{convert::Infallible, str::FromStr, sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Pool, Postgres,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgListener},
};
use tokio::sync::Notify;

use super::{
    ACQUIRE_TIMEOUT, Column, Database, Engine, Kind, Migrations, OpenFault, Settings,
    engine::migrate, fault::within,
};

/// How much longer than its client the server waits. The client must give up first: a server that
/// gives up waiting for a standby calls the commit done.
const GRACE: Duration = Duration::from_secs(1);

/// How long it takes no notice of other processes after the connection for that has failed.
const PAUSE: Duration = Duration::from_secs(1);

/// No statement here is long enough to be compiled, or shared out among processes, though the planner
/// may think so: it does not know that a list shows few rows, as their number is bound, and it counts a
/// step that is turned off as very dear.
const SHORT: [(&str, &str); 2] = [("jit", "off"), ("max_parallel_workers_per_gather", "0")];

/// Every list has an index in its order. A planner that takes it for a long one would rather read it in
/// another and sort it, so it is told not to unless there is no other way.
const READS: [(&str, &str); 2] = [("default_transaction_read_only", "on"), ("enable_sort", "off")];

/// For those who join a table with a set. Before a table's first analysis that would otherwise read it whole, or
/// all of an index, and whoever wants the first rows in the order of an index would read all that it has, and sort
/// them.
const WRITES: [(&str, &str); 4] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

impl Engine for Postgres {
    const BEGIN: &'static str = "begin";
    // A hint need not last: nobody waits until it is on the disk.
    const ANNOUNCE: Option<&'static str> =
        Some("select set_config('synchronous_commit', 'off', true), pg_notify($1, '')");
    const SETTLE: Option<&'static str> = None;
    const CHECKPOINT: Option<&'static str> = None;
    const ENDS_ELSEWHERE: bool = false;

    fn rows(columns: &[Column]) -> String {
        let members: Vec<String> = columns
            .iter()
            .map(|(name, kind)| {
                let kind = match kind {
                    Kind::Uuid => "uuid",
                    Kind::BigInt => "bigint",
                    Kind::Text => "text",
                };
                format!("{name} {kind}")
            })
            .collect();
        format!("json_to_recordset($1::json) as x({})", members.join(", "))
    }

    async fn open(
        settings: &Settings,
        migrations: &Migrations,
    ) -> Result<Database<Self>, OpenFault> {
        let options = PgConnectOptions::from_str(settings.url.expose_secret())
            .map_err(|fault| OpenFault::Url(format!("not a PostgreSQL URL: {fault}")))?
            .application_name(settings.program);
        // A pool would wait for a server that is not there, and then not say so.
        let connection = within(ACQUIRE_TIMEOUT, options.connect()).await?;
        migrate(connection, migrations.postgres).await?;
        // What a client leaves behind that is gone, the server ends: statements, and the locks of
        // transactions.
        let limit = (settings.timeout + GRACE).as_millis();
        let options = options.options([
            ("statement_timeout", limit),
            ("idle_in_transaction_session_timeout", limit),
        ]);
        let options = options.options(SHORT);
        let readers: Pool<Self> = PoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone().options(READS))
            .await?;
        let writer = options.options(WRITES);
        let (door, lookup) = (writer.clone(), writer.clone().options(READS));
        Ok(Database { readers, door, lookup, writer, timeout: settings.timeout })
    }

    /// What the server still has of deleted rows is up to its own `vacuum`.
    async fn purge(_database: &Database<Self>) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn keep(_database: &Database<Self>) -> Infallible {
        std::future::pending().await
    }

    async fn listen(
        database: &Database<Self>,
        topic: &'static str,
        heard: Arc<Notify>,
    ) -> Infallible {
        let pool = PoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(database.writer.clone());
        loop {
            let error = match hear(&pool, topic, &heard).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::debug!(%error, "other processes are not heard of");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn hear(
    pool: &Pool<Postgres>,
    topic: &str,
    heard: &Notify,
) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(topic).await?;
    loop {
        // Also when the connection was lost and is there again: something may have been missed.
        listener.try_recv().await?;
        heard.notify_one();
    }
}
