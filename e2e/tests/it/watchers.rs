//! Many who write and many who watch, on several servers, all of whom lose their connections.

mod client;
mod model;

use e2e::{AuthServer, Engine, Person, TaskServer, on_every_engine, wire::Wire};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use client::{Client, Watcher, write};
use model::Model;

on_every_engine!(everybody_who_watches_knows_everything_in_the_end);

/// The owners, and how many write and how many watch as each of them.
const OWNERS: [(&str, usize); 6] =
    [("ann", 10), ("bob", 3), ("eve", 3), ("kim", 3), ("mia", 3), ("tom", 3)];
/// How often each writes.
const WRITES: usize = 20;

/// Both services. Each task-service stays where it is for its clients, also when it is started again.
struct Scene {
    auth: AuthServer,
    servers: Vec<TaskServer>,
    wires: Vec<Wire>,
}

impl Scene {
    async fn new(on: Engine) -> Self {
        let auth = AuthServer::start_on(on).await;
        let place = on.place("task").await;
        let (mut servers, mut wires) = (Vec::new(), Vec::new());
        for _ in 0..if on == Engine::Postgres { 2 } else { 1 } {
            let settings = [("TASK_SHUTDOWN_DELAY", "0ms")];
            let server = TaskServer::start_at(&auth, place.clone(), settings).await;
            wires.push(Wire::to(&server.url()).await);
            servers.push(server);
        }
        Self { auth, servers, wires }
    }

    /// Starts the server anew that has not been for longest.
    async fn restart(&mut self) {
        let server = self.servers.remove(0).restart().await;
        let wire = self.wires.remove(0);
        wire.lead_to(&server.url());
        self.servers.push(server);
        self.wires.push(wire);
    }
}

/// Those who write, and those who watch, each as one of the owners.
struct Clients {
    owners: Vec<Person>,
    writers: JoinSet<()>,
    watchers: Vec<(usize, JoinHandle<(Model, usize)>)>,
    progress: watch::Receiver<usize>,
    end: watch::Sender<bool>,
}

impl Clients {
    async fn start(scene: &Scene) -> Self {
        let urls: Vec<_> = scene.wires.iter().map(Wire::url).collect();
        let (count, progress) = watch::channel(0);
        let end = watch::Sender::new(false);
        let (mut owners, mut writers, mut watchers) = (Vec::new(), JoinSet::new(), Vec::new());
        let mut seeds = 0..;
        for (owner, (name, clients)) in OWNERS.into_iter().enumerate() {
            let person = scene.auth.register(name).await;
            let mut client = || Client::new(&person, &urls, seeds.next().unwrap());
            for _ in 0..clients {
                writers.spawn(write(client(), WRITES, count.clone()));
                let watcher = Watcher::new(client(), end.subscribe());
                watchers.push((owner, tokio::spawn(watcher.watch())));
            }
            owners.push(person);
        }
        Self { owners, writers, watchers, progress, end }
    }
}

async fn everybody_who_watches_knows_everything_in_the_end(on: Engine) {
    let mut scene = Scene::new(on).await;
    let mut clients = Clients::start(&scene).await;
    let all = clients.writers.len() * WRITES;
    for share in 1..=2 {
        clients.progress.wait_for(|count| *count >= all * share / 3).await.unwrap();
        scene.restart().await;
    }
    clients.writers.join_all().await;
    clients.end.send_replace(true);
    let (mut known, mut resumed) = (vec![Vec::new(); OWNERS.len()], 0);
    for (owner, watcher) in clients.watchers {
        let (model, times) = watcher.await.unwrap();
        known[owner].push(model);
        resumed += times;
    }
    assert!(resumed > 100, "{resumed} times somebody went on where they were");
    for (person, known) in clients.owners.iter().zip(known) {
        for server in &scene.servers {
            known[0].assert_true(&person.at(server.channel())).await;
        }
        assert!(known.iter().all(|model| *model == known[0]), "{}", person.name);
    }
}
