//! Calls that are encrypted, and certificates that are renewed.

use std::{fs, future::pending, path::Path, time::Duration};

use e2e::{Identity, Person, SERVICE_SECRET, add_service, tls::Authority};
use shared::{
    clock::Clock,
    env::{Env, Faults},
    pb::{auth::ListSigningKeysRequest, task::ListTasksRequest},
    server::{self, Probe, Unhealthy},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::timeout};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// auth-service with a certificate for localhost, on a port of its own.
struct Encrypted {
    port: u16,
    settings: server::Settings,
    config: auth_service::config::Config,
    _data: TempDir,
}

/// Reads settings that end up on SQLite in this directory.
fn auth_config(data: &Path, settings: &[(&str, &str)]) -> auth_service::config::Config {
    let url = format!("sqlite://{}/auth.db", data.display());
    let own = [("AUTH_DATABASE_URL", url.as_str()), ("AUTH_HASH_THREADS", "1")];
    let mut env = Env::of("AUTH_", settings.iter().copied().chain(own));
    auth_service::config::Config::read(&mut env).unwrap()
}

async fn encrypted(cert: &Path, key: &Path) -> Encrypted {
    let data = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let settings = [
        ("AUTH_ADDR", addr.as_str()),
        ("AUTH_TLS_CERT", cert.to_str().unwrap()),
        ("AUTH_TLS_KEY", key.to_str().unwrap()),
    ];
    let config = auth_config(data.path(), &settings);
    let settings = config.server.clone();
    let serving = auth_service::serve(listener, config.clone(), Clock::system(), pending());
    tokio::spawn(serving);
    Encrypted { port: settings.addr.port(), settings, config, _data: data }
}

impl Encrypted {
    fn channel(&self, trusted: ClientTlsConfig) -> Channel {
        let url = format!("https://localhost:{}", self.port);
        Endpoint::from_shared(url).unwrap().tls_config(trusted).unwrap().connect_lazy()
    }

    /// Whether a new connection succeeds for a client with this trust.
    async fn answers(&self, trusted: ClientTlsConfig) -> bool {
        let mut anybody = Person::new("anybody", self.channel(trusted), Identity::default());
        anybody.auth.list_signing_keys(ListSigningKeysRequest {}).await.is_ok()
    }

    fn probe(&self) -> Probe {
        Probe { addr: self.settings.addr, tls: true }
    }

    async fn healthy(self) -> Self {
        until("it is healthy", async || self.probe().ask().await.is_ok()).await;
        self
    }
}

/// Asks again and again until the answer is yes.
async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    let yes = async {
        while !asked().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, yes).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// task-service that trusts whoever answers at this port with a certificate of this authority.
async fn task_service(auth_port: u16, ca: &Path) -> (TempDir, Probe) {
    let data = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("sqlite://{}/task.db", data.path().display());
    let auth = format!("https://localhost:{auth_port}");
    let addr = listener.local_addr().unwrap().to_string();
    let settings = [
        ("TASK_ADDR", addr.as_str()),
        ("TASK_DATABASE_URL", &url),
        ("TASK_AUTH_URL", &auth),
        ("TASK_AUTH_CA", ca.to_str().unwrap()),
        ("TASK_SERVICE_SECRET", SERVICE_SECRET),
    ];
    let config = task_service::config::Config::read(&mut Env::of("TASK_", settings)).unwrap();
    let probe = Probe { addr: config.server.addr, tls: false };
    tokio::spawn(task_service::serve(listener, config, Clock::system(), std::future::pending()));
    (data, probe)
}

#[tokio::test]
async fn keys_are_fetched_from_whoever_has_the_right_certificate_and_from_nobody_else() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (cert, key) = authority.issue("localhost");
    let auth = encrypted(&cert, &key).await.healthy().await;
    add_service(&auth.config, "task-service").await;
    let (_data, fooled) = task_service(auth.port, &other.file()).await;
    let (_data, task) = task_service(auth.port, &authority.file()).await;
    until("its keys are fetched", async || task.ask().await.is_ok()).await;
    assert!(matches!(fooled.ask().await, Err(Unhealthy::NotReady(_))));

    let ann = Person::register("ann", auth.channel(authority.trusted())).await;
    let plain = Endpoint::from_shared(format!("http://{}", task.addr)).unwrap().connect_lazy();
    ann.at(plain).tasks.list_tasks(ListTasksRequest::default()).await.unwrap();

    // Once the file of authorities is the right one, no restart is needed.
    fs::copy(authority.file(), other.file()).unwrap();
    until("its keys are fetched too", async || fooled.ask().await.is_ok()).await;
}

#[tokio::test]
async fn only_a_client_that_trusts_the_certificate_gets_an_answer() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let auth = encrypted(&cert, &key).await.healthy().await;
    assert!(auth.answers(authority.trusted()).await);
    assert!(!auth.answers(Authority::new().trusted()).await);
    assert!(!auth.answers(authority.trusted().domain_name("example.com")).await);
    let plain = Endpoint::from_shared(format!("http://localhost:{}", auth.port)).unwrap();
    let mut plain = Person::new("plain", plain.connect_lazy(), Identity::default());
    assert!(plain.auth.list_signing_keys(ListSigningKeysRequest {}).await.is_err());
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over_and_open_connections_live_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let (cert, key) = old.issue("localhost");
    let auth = encrypted(&cert, &key).await.healthy().await;
    let mut connected = Person::new("ann", auth.channel(old.trusted()), Identity::default());
    connected.auth.list_signing_keys(ListSigningKeysRequest {}).await.unwrap();

    new.issue_into("localhost", &cert, &key);
    until("the new one is shown", async || auth.answers(new.trusted()).await).await;
    assert!(!auth.answers(old.trusted()).await);
    connected.auth.list_signing_keys(ListSigningKeysRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_server_is_asked_for_its_health_whatever_its_certificate_says() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("service.example");
    let auth = encrypted(&cert, &key).await.healthy().await;
    let probe = auth.probe();
    fs::write(&cert, "nonsense").unwrap();
    probe.ask().await.unwrap();
    let plain = Probe { tls: false, ..probe };
    assert!(matches!(plain.ask().await, Err(Unhealthy::Silent { .. })));

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = Probe { addr: nobody, tls: true }.ask().await.unwrap_err().to_string();
    assert!(silent.contains("refused"), "{silent}");
}

/// What is wrong with these settings.
fn faults(settings: &[(&str, &str)]) -> Vec<String> {
    let mut env = Env::of("T_", settings.iter().copied());
    let settings = server::Settings::read(&mut env, ([127, 0, 0, 1], 1).into());
    match env.finish(settings) {
        Ok(_) => Vec::new(),
        Err(Faults(faults)) => faults,
    }
}

#[test]
fn a_certificate_and_its_key_are_looked_at_before_the_start() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let (_, other) = authority.issue("other");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (cert, key, other) = (path(&cert), path(&key), path(&other));
    let pair = |cert, key| faults(&[("T_TLS_CERT", cert), ("T_TLS_KEY", key)]);
    assert_eq!(pair(&cert, &key), [""; 0]);
    for (cert, key) in [
        (cert.as_str(), other.as_str()),
        (&cert, &cert),
        (&key, &key),
        ("/missing.pem", &key),
        (&cert, "/missing.pem"),
        (&cert, ""),
        ("", &key),
    ] {
        let faults = pair(cert, key);
        assert_eq!(faults.len(), 1, "{cert} {key}: {faults:?}");
        assert!(faults[0].contains("T_TLS_"), "{faults:?}");
        assert!(!faults[0].contains("PRIVATE"), "{faults:?}");
    }
}

#[test]
fn calls_cross_a_network_in_the_clear_only_when_that_is_said() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let tls = [("T_TLS_CERT", cert.to_str().unwrap()), ("T_TLS_KEY", key.to_str().unwrap())];
    for addr in ["127.0.0.1:1", "[::1]:1", "127.1.2.3:0"] {
        assert_eq!(faults(&[("T_ADDR", addr)]), [""; 0]);
    }
    for addr in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        assert_eq!(faults(&[("T_ADDR", addr)]).len(), 1);
        assert_eq!(faults(&[("T_ADDR", addr), ("T_ALLOW_PLAINTEXT", "false")]).len(), 1);
        assert_eq!(faults(&[("T_ADDR", addr), ("T_ALLOW_PLAINTEXT", "true")]), [""; 0]);
        assert_eq!(faults(&[[("T_ADDR", addr)].as_slice(), &tls].concat()), [""; 0]);
    }
}
