//! PostgreSQL servers of the tests' own, where its programs are found.

mod line;
mod programs;

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub use line::Line;
pub use programs::is_here;

use crate::{Place, tls::Authority, until};
use programs::{Account, programs};

/// Ends the server, and what is left of it, when the tests' process closes the pipe by ending,
/// however that comes about.
const WATCH: &str = r#"
cat > /dev/null
if pid=$(head -n 1 "$dir"/data/postmaster.pid); then kill -9 "$pid" $(cat /proc/"$pid"/task/"$pid"/children); fi
sleep 1
rm -rf "$dir"
"#;

/// A server, which ends with this value.
#[derive(Debug)]
pub struct Server {
    directory: TempDir,
    port: u16,
    options: &'static [&'static str],
    account: Option<Account>,
    postmaster: Child,
    /// Holds the pipe whose end ends the server.
    _watch: Child,
}

static SHARED: OnceCell<Server> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database on the server that the tests of this process share; `None`,
/// and a line that says so, where there is no PostgreSQL. In CI a missing PostgreSQL is a failure.
///
/// # Panics
/// When the server does not start.
pub async fn database() -> Option<String> {
    if !is_here() {
        return None;
    }
    // It dies with the process: nothing has to last.
    let start = || Server::start_with(&["-c", "fsync=off", "-c", "max_connections=500"]);
    Some(SHARED.get_or_init(start).await.database().await)
}

impl Server {
    /// A server of a test's own, which keeps what it has acknowledged.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server of a test's own that can also be reached at `localhost`, over TLS, with a
    /// certificate of this authority.
    pub async fn start_encrypted(authority: &Authority) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let server = Self::start_at(port, &["-c", "listen_addresses=localhost"]).await;
        let (cert, key) = authority.issue("localhost");
        for (file, name) in [(cert, "server.crt"), (key, "server.key")] {
            let place = server.directory.path().join("data").join(name);
            fs::copy(file, &place).expect("the file is copied");
            if let Some(account) = server.account {
                account.own(&place, 0o600);
            }
        }
        let mut operator = server.connect().await;
        operator.execute("alter system set ssl = on").await.expect("a setting");
        operator.execute("select pg_reload_conf()").await.expect("it is taken over");
        until("the server encrypts", async || {
            let mut operator = server.connect().await;
            let ssl = operator.fetch_one("select current_setting('ssl')").await.expect("a row");
            ssl.get::<String, _>(0) == "on"
        })
        .await;
        server
    }

    async fn start_with(options: &'static [&'static str]) -> Self {
        Self::start_at(5432, options).await
    }

    /// Starts a server whose socket, in a directory of its own, is named after this port.
    async fn start_at(port: u16, options: &'static [&'static str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let account = Account::unprivileged();
        if let Some(account) = account {
            account.own(directory.path(), 0o755);
        }
        let output = command(directory.path(), account, "initdb")
            .args(["--pgdata", "data", "--username", "test", "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale-provider", "icu", "--icu-locale", "en-US"])
            .output();
        let output = output.expect("initdb");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCH]).env("dir", directory.path()).stdin(Stdio::piped());
        // Out of reach of Ctrl-C, which would end it before it can end the server.
        let watch = watch.process_group(0).stderr(Stdio::null()).spawn().expect("a shell");
        let postmaster = postmaster(directory.path(), account, port, options);
        let mut server = Self { directory, port, options, account, postmaster, _watch: watch };
        server.ready().await;
        server
    }

    /// A place for a new database.
    pub async fn place(&self) -> Place {
        Place::on(self.database().await)
    }

    /// A place for a new database that is reached over TLS, at this name for the machine, by who
    /// trusts the authority in this file.
    pub async fn encrypted_place(&self, machine: &str, authority: &Path) -> Place {
        let url = self.database().await;
        let (_, database) = url.rsplit_once('/').expect("a URL");
        let (port, authority) = (self.port, authority.display());
        let tls = format!("sslmode=verify-full&sslrootcert={authority}");
        Place::on(format!("postgres://test@{machine}:{port}/{database}?{tls}"))
    }

    /// The URL of a new, empty database.
    async fn database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let create = AssertSqlSafe(format!("create database {name}"));
        self.connect().await.execute(create).await.expect("the database is made");
        self.url(&name)
    }

    /// A connection of its operator.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url("postgres")).await.expect("the server answers")
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://test@{}:{}/{database}", host(&self.directory), self.port)
    }

    /// Ends it as an operator does who does not wait for its clients.
    pub async fn stop(&mut self) {
        send(Signal::INT, &[self.pid()]);
        self.ended().await;
    }

    /// Ends every process of it at once, with no chance to put anything in order.
    pub async fn kill(&mut self) {
        send(Signal::KILL, &self.processes());
        self.ended().await;
    }

    /// Starts it again.
    pub async fn start_again(&mut self) {
        let directory = self.directory.path();
        self.postmaster = postmaster(directory, self.account, self.port, self.options);
        self.ready().await;
    }

    /// Stops every process of it where it is: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        // The first one first: it makes no others then.
        send(Signal::STOP, &[self.pid()]);
        send(Signal::STOP, &self.processes());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        send(Signal::CONT, &self.processes());
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.postmaster)
    }

    /// Its processes, the first one first.
    fn processes(&self) -> Vec<Pid> {
        let id = self.postmaster.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let children =
            children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        [self.pid()].into_iter().chain(children).collect()
    }

    /// Waits until none of its processes is left: the next could not start beside them.
    async fn ended(&mut self) {
        let processes = self.processes();
        until("the server ends", async || {
            let first = self.postmaster.try_wait().expect("its state").is_some();
            first && processes.iter().all(|process| !is_running(*process))
        })
        .await;
    }

    async fn ready(&mut self) {
        let url = self.url("postgres");
        until("PostgreSQL starts", async || {
            if self.postmaster.try_wait().expect("its state").is_some() {
                let log = fs::read_to_string(self.directory.path().join("log"));
                panic!("PostgreSQL does not start: {}", log.unwrap_or_default());
            }
            PgConnection::connect(&url).await.is_ok()
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        send(Signal::KILL, &self.processes());
        let _ = self.postmaster.wait();
    }
}

/// The directory of a socket, as a URL names it.
fn host(directory: &TempDir) -> String {
    directory.path().display().to_string().replace('/', "%2F")
}

/// Sends a signal to these processes.
fn send(signal: Signal, processes: &[Pid]) {
    for process in processes {
        // One that has ended meanwhile needs none.
        let _ = kill_process(*process, signal);
    }
}

/// Whether there is such a process, and not only what nobody has taken note of yet.
fn is_running(process: Pid) -> bool {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    fs::read_to_string(path).is_ok_and(|stat| !stat.contains(") Z "))
}

/// One of PostgreSQL's programs, in this directory and on this account.
fn command(directory: &Path, account: Option<Account>, program: &str) -> Command {
    let programs: PathBuf = programs().expect("PostgreSQL is here");
    let mut command = Command::new(programs.join(program));
    command.current_dir(directory).stdin(Stdio::null());
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    command
}

/// The first process of the server.
fn postmaster(directory: &Path, account: Option<Account>, port: u16, options: &[&str]) -> Child {
    let log = fs::OpenOptions::new().append(true).create(true).open(directory.join("log"));
    let mut command = command(directory, account, "postgres");
    command.args(["-D", "data", "-c", "listen_addresses=", "-p", &port.to_string()]);
    command.arg("-k").arg(directory).args(options);
    // Out of reach of Ctrl-C, as above.
    command.process_group(0).stdout(Stdio::null()).stderr(log.expect("a log"));
    command.spawn().expect("a server")
}
