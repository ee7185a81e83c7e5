//! The servers that are measured, and the people who call them.

use std::{env, net::SocketAddr};

use e2e::{Engine, Place, program::Running};
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
    scene::{AUTH, Databases, Scene, TASK, borrowed, program},
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
#[derive(Clone, Default)]
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) token: String,
}

/// A server that is measured. It ends with this value.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    pub(super) process: Process,
    running: Running,
    _directory: TempDir,
    /// What keeps its database there.
    _place: Option<Place>,
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

    /// So many people.
    pub(super) async fn people(&self, count: usize) -> Result<Vec<Person>, Failure> {
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(self.person().await?);
        }
        Ok(people)
    }

    /// Somebody new.
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
            let here = env::current_exe()?.with_file_name("");
            let programs = &self.databases.programs;
            let is_there = programs.join("floor").exists();
            let floor = program(if is_there { programs } else { &here }, "floor");
            let running = floor.start_with(directory.path(), arguments, &FLOOR).await;
            Ok(Server::new(running, directory, None))
        })
        .await
    }

    /// The floor that answers those who have a token.
    pub(super) async fn guarded(&self) -> Result<Server, Failure> {
        let auth = self.auth.auths.first().ok_or("there is no auth-service")?;
        self.floor(&["guarded", "--auth", &auth.url()]).await
    }

    /// Starts a task-service on this database, on these cores, and waits until it is ready.
    pub(super) async fn service(
        &self,
        cores: &[usize],
        place: &Place,
        settings: &[(&'static str, String)],
    ) -> Result<Server, Failure> {
        let server = self.launch(cores, place, settings).await?;
        server.running.healthy().await;
        Ok(server)
    }

    /// Starts a task-service, and waits for nothing.
    pub(super) async fn launch(
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
            ("TASK_SHUTDOWN_DELAY", "0ms".to_owned()),
        ];
        let settings = [&own[..], &places, settings].concat();
        on(cores, async {
            let directory = tempfile::tempdir()?;
            let service = program(&self.databases.programs, "task-service");
            let running = service.start(directory.path(), &borrowed(&settings)).await;
            Ok(Server::new(running, directory, Some(place.clone())))
        })
        .await
    }

    /// Starts an auth-service of its own on this database, on these cores.
    pub(super) async fn issuer(&self, cores: &[usize], place: &Place) -> Result<Server, Failure> {
        let url = [("AUTH_DATABASE_URL", place.url.as_str())];
        let settings = [&AUTH[..], &url, &[("AUTH_SHUTDOWN_DELAY", "0ms")]].concat();
        on(cores, async {
            let directory = tempfile::tempdir()?;
            let service = program(&self.databases.programs, "auth-service");
            let running = service.start(directory.path(), &settings).await;
            Ok(Server::new(running, directory, Some(place.clone())))
        })
        .await
    }
}

impl Server {
    fn new(running: Running, directory: TempDir, place: Option<Place>) -> Self {
        let (addr, process) = (running.addr, Process(running.pid()));
        Self { addr, process, running, _directory: directory, _place: place }
    }

    /// A channel to it, for what is not measured.
    pub(super) fn channel(&self) -> Channel {
        self.running.channel()
    }

    /// Ends it as an operator does.
    pub(super) async fn end(self) -> Result<(), Failure> {
        match self.running.end().await {
            (_, Some(0)) => Ok(()),
            (said, code) => Err(format!("it ended with {code:?}: {said}").into()),
        }
    }

    /// So many callers of an RPC, spread over connections, and over these people.
    pub(super) async fn crew<W: Work>(
        &self,
        callers: usize,
        rpc: &str,
        people: &[Person],
        mut work: impl FnMut(usize) -> W,
    ) -> Result<Crew, Failure> {
        let (mut all, mut connections) = (Vec::<Caller>::new(), Vec::new());
        for _ in 0..CONNECTIONS.min(callers) {
            connections.push(Connection::open(self.addr).await?);
        }
        let people = people.iter().cycle();
        for ((number, connection), person) in
            (0..callers).zip(connections.iter().cycle()).zip(people)
        {
            all.push(connection.caller(rpc, &person.token, work(number))?);
        }
        Ok(Crew::new(all))
    }
}
