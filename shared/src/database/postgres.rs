//! PostgreSQL: the production engine.

use std::{str::FromStr, time::Duration};

use sqlx::{Pool, Postgres, pool::PoolOptions, postgres::PgConnectOptions};

use super::{Column, Database, Engine, Kind, Migrations, OpenError, engine::migrate};

/// How many statements may read at the same moment.
const READERS: u32 = 16;
/// How long a read waits for a connection before it gives up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

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

    async fn open(url: &str, migrations: &Migrations) -> Result<Database<Self>, OpenError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|fault| OpenError::Url(format!("not a PostgreSQL URL: {fault}")))?;
        migrate::<Self>(migrations.postgres, options.clone()).await?;
        let readers: Pool<Self> = PoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone().options([("default_transaction_read_only", "on")]))
            .await?;
        // Before a table's first analysis a join with a set would otherwise read it whole.
        Ok(Database { readers, writer: options.options([("enable_seqscan", "off")]) })
    }
}
