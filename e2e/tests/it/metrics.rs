//! What Prometheus reads.

use std::{collections::BTreeMap, time::Duration};

use e2e::{Identity, Person};
use shared::{
    clock::Clock,
    env::Env,
    pb::auth::{ListSigningKeysRequest, LoginRequest},
    server::Listeners,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tonic::transport::Endpoint;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a request of HTTP/1.1 and returns the whole answer.
async fn http(addr: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: here\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

/// Every sample of the page by its name and labels.
async fn samples(addr: &str) -> BTreeMap<String, f64> {
    let page = http(addr, "GET /metrics").await;
    let (head, page) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("openmetrics-text"), "{head}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// auth-service with metrics. Where it answers, and where Prometheus reads.
async fn auth_service() -> (TempDir, String, String) {
    let data = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/auth.db", data.path().display());
    let settings = [("AUTH_DATABASE_URL", url.as_str()), ("AUTH_HASH_THREADS", "1")];
    let config = auth_service::config::Config::read(&mut Env::of("AUTH_", settings)).unwrap();
    let calls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metrics = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let page = metrics.local_addr().unwrap().to_string();
    let endpoint = format!("http://{}", calls.local_addr().unwrap());
    let listeners = Listeners { calls, metrics: Some(metrics) };
    tokio::spawn(auth_service::serve(listeners, config, Clock::system(), std::future::pending()));
    (data, endpoint, page)
}

#[tokio::test]
async fn calls_are_counted_under_the_names_that_dashboards_know() {
    let (_data, endpoint, page) = auth_service().await;
    let channel = Endpoint::from_shared(endpoint).unwrap().connect_lazy();
    let mut ann = Person::new("ann", channel, Identity::default());
    ann.auth.list_signing_keys(ListSigningKeysRequest {}).await.unwrap();
    let login = LoginRequest { login: "ann".to_owned(), ..LoginRequest::default() };
    ann.auth.login(login).await.unwrap_err();

    let label = |method: &str| {
        format!(
            r#"grpc_type="unary",grpc_service="taskmanager.auth.v1.AuthService",grpc_method="{method}""#
        )
    };
    let handled = |method: &str, code: &str| {
        format!(r#"grpc_server_handled_total{{{},grpc_code="{code}"}}"#, label(method))
    };
    let samples = samples(&page).await;
    let started = format!("grpc_server_started_total{{{}}}", label("Login"));
    assert_eq!(samples.get(&started), Some(&1.0), "{samples:#?}");
    assert_eq!(samples.get(&handled("ListSigningKeys", "OK")), Some(&1.0));
    assert_eq!(samples.get(&handled("Login", "InvalidArgument")), Some(&1.0));
    assert_eq!(samples.get(&handled("Login", "OK")), Some(&0.0));
    let seconds = format!("grpc_server_handling_seconds_count{{{}}}", label("Login"));
    assert_eq!(samples.get(&seconds), Some(&1.0));
    assert_eq!(samples.get("server_connections"), Some(&1.0));
    assert_eq!(samples.get("hash_queue_length"), Some(&0.0));
}

#[tokio::test]
async fn only_the_page_is_there() {
    let (_data, _, page) = auth_service().await;
    for (request, answer) in [
        ("GET /metrics", "HTTP/1.1 200"),
        ("GET /", "HTTP/1.1 404"),
        ("POST /metrics", "HTTP/1.1 405"),
        ("nonsense", "HTTP/1.1 400"),
    ] {
        assert!(http(&page, request).await.starts_with(answer), "{request}");
    }
}
