//! PostgreSQL: the production engine.

use std::{str::FromStr, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{ConnectOptions, Pool, Postgres, pool::PoolOptions, postgres::PgConnectOptions};

use super::{
    ACQUIRE_TIMEOUT, Column, Database, Engine, Kind, Migrations, OpenError, Settings,
    engine::migrate, within,
};

/// How long the server keeps a transaction whose client says nothing: the client's machine may be
/// gone, and its locks would stay.
const IDLE_TRANSACTION: Duration = Duration::from_mins(1);

impl Engine for Postgres {
    const BEGIN: &'static str = "begin";

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
    ) -> Result<Database<Self>, OpenError> {
        let options = PgConnectOptions::from_str(settings.url.expose_secret())
            .map_err(|fault| OpenError::Url(format!("not a PostgreSQL URL: {fault}")))?
            .application_name(settings.program);
        // A pool would wait for a server that is not there, and then not say so.
        let connection = within(ACQUIRE_TIMEOUT, options.connect()).await?;
        migrate(connection, migrations.postgres).await?;
        let options = options.options([
            ("statement_timeout", settings.timeout.as_millis()),
            ("idle_in_transaction_session_timeout", IDLE_TRANSACTION.as_millis()),
        ]);
        let readers: Pool<Self> = PoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone().options([("default_transaction_read_only", "on")]))
            .await?;
        // Before a table's first analysis a join with a set would otherwise read it whole.
        let writer = options.options([("enable_seqscan", "off")]);
        Ok(Database { readers, writer, timeout: settings.timeout })
    }
}
