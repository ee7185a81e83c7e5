//! The programs themselves, each in a directory of its own and with no environment but what a test
//! sets.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

use crate::{Identity, Person, server::healthy};

/// How long a program may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that cargo has built.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Where it is: `CARGO_BIN_EXE_<name>`, which cargo tells the tests of its own package alone.
    pub file: &'static str,
    /// What it is set to wherever it serves, such as a free port.
    pub settings: &'static [(&'static str, &'static str)],
}

/// A program while it serves.
#[derive(Debug)]
pub struct Running {
    /// Where it answers.
    pub addr: SocketAddr,
    /// Where it shows its metrics, if it does.
    metrics: Option<SocketAddr>,
    child: Child,
    /// What it says, read all the while: a pipe that is full would stop it.
    said: JoinHandle<Vec<String>>,
}

/// A call as the log tells of it.
#[derive(Debug, serde::Deserialize)]
pub struct Call {
    /// `INFO`, or `DEBUG` for health and reflection.
    pub level: String,
    /// Its path.
    pub rpc: String,
    /// How it ended, as `OK` or `NotFound`.
    pub code: String,
    /// Its id.
    pub id: String,
    /// Who called.
    pub peer: SocketAddr,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

impl Program {
    fn command(self, directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(self.file);
        command.args(arguments).current_dir(directory).env_clear().kill_on_drop(true);
        command.envs(settings.iter().copied()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end with these settings and no other.
    pub async fn run(
        self,
        directory: &Path,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Output {
        let output = self.command(directory, arguments, settings).output();
        timeout(PATIENCE, output).await.expect("the program ends").expect("the program starts")
    }

    /// Starts it, and returns when it listens.
    pub async fn start(self, directory: &Path, settings: &[(&str, &str)]) -> Running {
        self.start_with(directory, &[], settings).await
    }

    /// Starts it with these arguments, and returns when it listens.
    pub async fn start_with(
        self,
        directory: &Path,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Running {
        let mut command = self.command(directory, arguments, &[self.settings, settings].concat());
        let mut child = command.spawn().expect("the program starts");
        let (listens, addresses) = oneshot::channel();
        let said = tokio::spawn(listen(child.stderr.take().expect("a pipe"), listens));
        let addresses = timeout(PATIENCE, addresses).await.expect("it listens in time");
        let (addr, metrics) = addresses.expect("it listens");
        Running { addr, metrics, child, said }
    }
}

/// Where calls come in, and where the metrics are shown.
type Addresses = (SocketAddr, Option<SocketAddr>);

/// Reads all that a program says, and tells where it listens as soon as it says so.
async fn listen(pipe: ChildStderr, listens: oneshot::Sender<Addresses>) -> Vec<String> {
    let (mut said, mut listens, mut metrics) = (Vec::new(), Some(listens), None);
    let mut lines = BufReader::new(pipe).lines();
    while let Some(line) = lines.next_line().await.expect("UTF-8") {
        if line.contains("shows its metrics") {
            metrics = address(&line);
        }
        if line.contains("is listening")
            && let Some(addr) = address(&line)
            && let Some(listens) = listens.take()
        {
            // A test that has given up does not want to know.
            let _ = listens.send((addr, metrics));
        }
        said.push(line);
    }
    said
}

/// The address in a line of the log, text or JSON.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("addr=").or_else(|| line.split_once("\"addr\":\""))?;
    rest.split(['"', ' ']).next()?.parse().ok()
}

impl Running {
    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A new channel to it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url()).expect("a URL").connect_lazy()
    }

    /// Somebody who calls it.
    #[must_use]
    pub fn somebody(&self, identity: Identity) -> Person {
        Person::new("somebody", self.channel(), identity)
    }

    /// Waits until it says that it is healthy.
    pub async fn healthy(&self) {
        healthy(self.channel()).await;
    }

    /// A metric that has no labels. The program must be set to show them.
    pub async fn metric(&self, name: &str) -> i64 {
        let addr = self.metrics.expect("a METRICS_ADDR");
        let mut socket = TcpStream::connect(addr).await.expect("a connection");
        let request = b"GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n";
        socket.write_all(request).await.expect("a request");
        let mut page = String::new();
        socket.read_to_string(&mut page).await.expect("a page");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("{name} is not in {page}"));
        value.trim_end_matches(".0").parse().expect("a whole number")
    }

    /// Ends it at once, with no chance to put anything in order.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Ends it as an operator does. What it has said, and its exit code.
    pub async fn end(mut self) -> (String, Option<i32>) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(pid.expect("it runs"), Signal::TERM).expect("it can be told to end");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends in time");
        let said = self.said.await.expect("it says something").join("\n");
        (said, status.expect("an exit code").code())
    }
}

/// The calls of which a log tells that is written as JSON.
#[must_use]
pub fn calls(said: &str) -> Vec<Call> {
    let lines = said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let access = |line: &Value| line.get("target").is_some_and(|target| target == "access");
    let call = |line| serde_json::from_value(line).expect("a call");
    lines.filter(access).map(call).collect()
}

/// What a program wrote to its standard output, line by line.
#[must_use]
pub fn stdout(output: &Output) -> Vec<String> {
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// What a program wrote to its standard error.
#[must_use]
pub fn stderr(output: &Output) -> String {
    text(&output.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The permissions of a file.
#[must_use]
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}
