//! What task-service is measured against by `cargo xtask bench`: servers of the same RPCs that do less.
//!
//! `echo` is gRPC and nothing else; `guarded` is an echo in the shell of the services, for whoever has a
//! token; `plain` keeps tasks as one would without thinking about speed. Each listens on a free port of
//! this machine, and says where, until it is told to end.

mod rpcs;
mod echo;
mod guarded;
mod plain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared::{
    env::Env,
    pb::task::task_service_server::TaskServiceServer,
    server::{Listeners, Settings, block_on, ended_by_operator},
    telemetry::{self, LogFormat},
};
use tokio::runtime::Runtime;
use tonic::transport::{Server, server::TcpIncoming};
use uuid::Uuid;

use echo::Echo;
use plain::Plain;
use rpcs::{Answers, Rpcs};

/// Servers to measure the services against
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    floor: Floor,
}

#[derive(Subcommand)]
enum Floor {
    /// Answer the call for a task with the same one each time
    Echo {
        /// On the runtime of the services, and not on the usual one of tokio
        #[arg(long)]
        lean: bool,
    },
    /// The same in the shell of the services, for whoever has a token
    Guarded {
        /// Whose tokens: the URL of auth-service
        #[arg(long)]
        auth: String,
    },
    /// Find and make tasks with one statement each
    Plain {
        /// The URL of the database
        #[arg(long)]
        database: String,
        /// Whose tasks
        #[arg(long)]
        owner: Uuid,
    },
}

/// Whatever a floor can fail with: it is only ever shown.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let floor = Arguments::parse().floor;
    let is_usual = matches!(floor, Floor::Echo { lean: false } | Floor::Plain { .. });
    let program = async {
        let _telemetry = telemetry::start(LogFormat::Text);
        match serve(floor).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => telemetry::fail(1, failure.as_ref()),
        }
    };
    let done = if is_usual {
        Runtime::new().map(|runtime| runtime.block_on(program))
    } else {
        block_on(program)
    };
    done.unwrap_or_else(|error| telemetry::fail(1, &error))
}

async fn serve(floor: Floor) -> Result<(), Failure> {
    let mut env = Env::of("FLOOR_", []);
    let settings = Settings::read(&mut env, ([127, 0, 0, 1], 0).into());
    let settings = env.finish(settings)?;
    match floor {
        Floor::Echo { .. } => bare(Echo, &settings).await,
        Floor::Guarded { auth } => guarded::serve(&auth, &settings).await,
        Floor::Plain { database, owner } if database.starts_with("sqlite:") => {
            bare(Plain::open_sqlite(&database, owner).await?, &settings).await
        }
        Floor::Plain { database, owner } => {
            bare(Plain::open_postgres(&database, owner).await?, &settings).await
        }
    }
}

/// Serves with tonic and nothing around it.
async fn bare(answers: impl Answers, settings: &Settings) -> Result<(), Failure> {
    let shutdown = ended_by_operator()?;
    let listeners = Listeners::bind("floor", settings).await?;
    let incoming = TcpIncoming::from(listeners.calls).with_nodelay(Some(true));
    let server = Server::builder().add_service(TaskServiceServer::new(Rpcs(answers)));
    Ok(server.serve_with_incoming_shutdown(incoming, shutdown).await?)
}
