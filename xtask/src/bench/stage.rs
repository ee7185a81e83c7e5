//! The servers that are measured, and the people who call them.

use std::net::SocketAddr;

use e2e::{Engine, Place, program::Running};
use shared::pb::task::task_service_server::SERVICE_NAME;
use tempfile::TempDir;
use tonic::transport::Channel;
use uuid::Uuid;

use super::{
    cores::{Process, SERVER, on},
    load::{Caller, Connection, Crew, Work},
};
use crate::{
    Failure,
    call::told,
    people::{log_in, register},
    scene::{Databases, Scene, TASK, borrowed, program},
};

/// How many connections many callers share.
const CONNECTIONS: usize = 8;
/// What a floor is told.
const FLOOR: [(&str, &str); 1] = [("RUST_LOG", "info,access=off")];

/// What every measurement needs: databases, and an auth-service that runs beside the load.
pub(super) struct Stage {
    pub(super) databases: Databases,
    pub(super) auth: Scene,
    issuer: Channel,
}

/// Somebody who calls.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) token: String,
}

/// A server that is measured. It ends with this value.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    pub(super) process: Process,
    _running: Running,
    _directory: TempDir,
}

impl Stage {
    pub(super) async fn set(databases: Databases) -> Result<Self, Failure> {
        let life = [("AUTH_ACCESS_TOKEN_TTL", "2h".to_owned())];
        let auth = databases.issuers(Engine::Sqlite, 1, &life).await?;
        let issuer = auth.issuers().pop().ok_or("there is no auth-service")?;
        Ok(Self { databases, auth, issuer })
    }

    /// The engines that are here.
    pub(super) fn engines(&self) -> impl Iterator<Item = Engine> {
        let engines = [Engine::Sqlite, Engine::Postgres];
        engines.into_iter().filter(|engine| self.databases.has(*engine))
    }

    /// Somebody new, or so many of them.
    pub(super) async fn person(&self) -> Result<Person, Failure> {
        let name = format!("p{}", Uuid::new_v4().simple());
        let name = name.get(..20).unwrap_or(&name);
        let id = register(&self.issuer, name).await.map_err(|status| told(&status))?;
        let tokens = log_in(&self.issuer, name).await.map_err(|status| told(&status))?;
        Ok(Person { id: id.parse()?, token: tokens.access_token })
    }

    /// Starts a floor on the core of servers.
    pub(super) async fn floor(&self, arguments: &[&str]) -> Result<Server, Failure> {
        on(SERVER, async {
            let directory = tempfile::tempdir()?;
            let floor = program(&self.databases.programs, "floor");
            let running = floor.start_with(directory.path(), arguments, &FLOOR).await;
            Ok(Server::new(running, directory))
        })
        .await
    }

    /// The floor that answers those who have a token.
    pub(super) async fn guarded(&self) -> Result<Server, Failure> {
        let auth = self.auth.auths.first().ok_or("there is no auth-service")?;
        self.floor(&["guarded", "--auth", &auth.url()]).await
    }

    /// Starts a task-service on this database, on these cores.
    pub(super) async fn service(
        &self,
        cores: &[usize],
        place: &Place,
        settings: &[(&'static str, String)],
    ) -> Result<Server, Failure> {
        let auth = self.auth.auths.first().ok_or("there is no auth-service")?;
        let own = TASK.map(|(name, value)| (name, value.to_owned()));
        let places = [
            ("TASK_AUTH_URL", auth.url()),
            ("TASK_SERVICE_SECRET_FILE", self.auth.secret()),
            ("TASK_DATABASE_URL", place.url.clone()),
        ];
        let settings = [&own[..], &places, settings].concat();
        on(cores, async {
            let directory = tempfile::tempdir()?;
            let service = program(&self.databases.programs, "task-service");
            let running = service.start(directory.path(), &borrowed(&settings)).await;
            running.healthy().await;
            Ok(Server::new(running, directory))
        })
        .await
    }
}

impl Server {
    fn new(running: Running, directory: TempDir) -> Self {
        let (addr, process) = (running.addr, Process(running.pid()));
        Self { addr, process, _running: running, _directory: directory }
    }

    /// So many callers of a task RPC, spread over connections, and over these people.
    pub(super) async fn crew<W: Work>(
        &self,
        callers: usize,
        rpc: &str,
        people: &[Person],
        mut work: impl FnMut(usize) -> W,
    ) -> Result<Crew, Failure> {
        let (path, mut all) = (format!("/{SERVICE_NAME}/{rpc}"), Vec::<Caller>::new());
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS.min(callers) {
            connections.push(Connection::open(self.addr).await?);
        }
        let people = people.iter().cycle();
        for ((number, connection), person) in
            (0..callers).zip(connections.iter().cycle()).zip(people)
        {
            all.push(connection.caller(&path, &person.token, work(number))?);
        }
        Ok(Crew::new(all))
    }
}
