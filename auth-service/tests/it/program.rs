//! The program itself: what it says, what it leaves behind, and how it ends.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use e2e::{Identity, PASSWORD, Person};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::Endpoint;

use crate::api::{account, credentials, logs_in, me, register, tokens};

/// How long the program may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "correct-horse-battery-staple-0001";
const OTHER_SECRET: &str = "another-horse-battery-staple-0002";

/// The program in a directory of its own, with no environment but this.
fn program(directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth-service"));
    command.args(arguments).current_dir(directory).env_clear().kill_on_drop(true);
    command.envs(settings.iter().copied()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) async fn run(directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let output = program(directory, arguments, settings).output();
    timeout(PATIENCE, output).await.expect("the program ends").unwrap()
}

pub(crate) fn stdout(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The program while it serves.
struct Running {
    child: Child,
    /// What it says, read all the while: a pipe that is full would stop it.
    said: JoinHandle<Vec<String>>,
    url: String,
}

impl Running {
    async fn start(directory: &Path, settings: &[(&str, &str)]) -> Self {
        let address = [("AUTH_ADDR", "127.0.0.1:0"), ("AUTH_HASH_THREADS", "1")];
        let mut command = program(directory, &[], &[settings, &address].concat());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (listens, address) = oneshot::channel();
        let said = tokio::spawn(async move {
            let (mut said, mut listens) = (Vec::new(), Some(listens));
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, address)) = line.split_once("listening addr=") {
                    listens.take().map(|listens| listens.send(address.trim().to_owned()));
                }
                said.push(line);
            }
            said
        });
        let address = timeout(PATIENCE, address).await.expect("it listens in time");
        Self { child, said, url: format!("http://{}", address.expect("it listens")) }
    }

    fn somebody(&self, identity: Identity) -> Person {
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        Person::new("somebody", endpoint.connect_lazy(), identity)
    }

    /// Ends it as an operator does. What it has said, and its exit code.
    async fn end(mut self) -> (String, Option<i32>) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        (self.said.await.unwrap().join("\n"), status.code())
    }
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "AUTH_MISSPELT=1\nAUTH_HASH_PASSES=99\n").unwrap();
    let settings = [
        ("AUTH_ADDR", "0.0.0.0:50051"),
        ("AUTH_DATABASE_URL", "mysql://ann:hunter2@db/auth"),
        ("AUTH_SECRET_KEY", "hunter2"),
        ("AUTH_ACCESS_TOKEN_TTL", "25h"),
    ];
    for arguments in [[].as_slice(), &["serve"], &["migrate"], &["keys", "list"]] {
        let output = run(directory.path(), arguments, &settings).await;
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        let names: Vec<&str> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let expected = [
            "AUTH_ADDR",
            "AUTH_DATABASE_URL",
            "AUTH_SECRET_KEY",
            "AUTH_ACCESS_TOKEN_TTL",
            "AUTH_HASH_PASSES",
            "AUTH_MISSPELT",
        ];
        assert_eq!(names, expected, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(stdout(&output), [""; 0]);
    }
    assert!(!directory.path().join("data").exists());
}

#[tokio::test]
async fn another_secret_key_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let with = |secret| [("AUTH_SECRET_KEY", secret), ("AUTH_ADDR", "127.0.0.1:0")];
    for arguments in [["migrate"].as_slice(), &["keys", "rotate"]] {
        let made = run(directory.path(), arguments, &with(SECRET)).await;
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    }
    assert!(!directory.path().join("data/auth.key").exists());
    for arguments in [["serve"].as_slice(), &["keys", "rotate"]] {
        let settings = [with(OTHER_SECRET).as_slice(), &[("RUST_LOG", "warn")]].concat();
        let output = run(directory.path(), arguments, &settings).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("AUTH_SECRET_KEY"), "{said}");
        assert!(!said.contains(SECRET) && !said.contains(OTHER_SECRET), "{said}");
    }
    let file = directory.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let settings = [("AUTH_SECRET_KEY_FILE", file.to_str().unwrap())];
    Running::start(directory.path(), &settings).await.end().await;
}

#[tokio::test]
async fn a_key_file_that_is_lost_is_not_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), &[]).await;
    register(&mut running.somebody(Identity::default()), account("ann")).await;
    running.end().await;
    let file = directory.path().join("data/auth.key");
    fs::remove_file(&file).unwrap();
    let output = run(directory.path(), &["serve"], &[("AUTH_ADDR", "127.0.0.1:0")]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("data/auth.key"), "{}", stderr(&output));
    assert!(!file.exists());
}

#[tokio::test]
async fn without_a_configuration_it_serves_and_keeps_what_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), &[]).await;
    let mut somebody = running.somebody(Identity::default());
    let ann = register(&mut somebody, account("ann")).await;
    let token = tokens(&mut somebody, credentials("ann", PASSWORD)).await.access_token;
    let data = directory.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(data.join("auth.db").exists() && data.join("auth.key").exists());
    let (said, code) = running.end().await;
    assert_eq!(code, Some(0), "{said}");

    let running = Running::start(directory.path(), &[]).await;
    assert!(logs_in(&mut running.somebody(Identity::default()), "ann", PASSWORD).await);
    assert_eq!(me(&mut running.somebody(Identity::bearer(&token))).await, ann);
    assert_eq!(running.end().await.1, Some(0));
}

#[tokio::test]
async fn the_subcommands_do_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let call = async |arguments: &[&str]| run(directory.path(), arguments, &[]).await;
    for arguments in [["keys", "list"], ["keys", "rotate"]] {
        let refused = call(&arguments).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("no database data/auth.db"), "{}", stderr(&refused));
        assert!(!directory.path().join("data").exists());
    }
    for _ in 0..2 {
        let output = call(&["migrate"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    assert_eq!(mode(&directory.path().join("data/auth.db")), 0o600);
    let none = call(&["keys", "list"]).await;
    assert_eq!((none.status.code(), stdout(&none)), (Some(0), vec![]));

    let rotated = call(&["keys", "rotate"]).await;
    assert_eq!(rotated.status.code(), Some(0), "{}", stderr(&rotated));
    let (kid, rest) = stdout(&rotated)[0].split_once(' ').map(own).unwrap();
    let time = rest.strip_prefix("signs from ").unwrap();
    let listed = stdout(&call(&["keys", "list"]).await);
    let words: Vec<Vec<&str>> =
        listed.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words.len(), 2, "{listed:?}");
    assert_eq!(words[0][1], "ACTIVE");
    assert_eq!(words[1], [&kid, "PENDING", time]);

    let again = call(&["keys", "rotate"]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains(&kid), "{}", stderr(&again));
    assert_eq!(stdout(&call(&["keys", "list"]).await), listed);
    assert_eq!(call(&["keys", "nonsense"]).await.status.code(), Some(2));
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let directory = TempDir::new().unwrap();
    let settings = [("RUST_LOG", "trace")];
    let running = Running::start(directory.path(), &settings).await;
    let mut somebody = running.somebody(Identity::default());
    let wrong = "wrong horse eats staples";
    register(&mut somebody, account("annabel")).await;
    let token = tokens(&mut somebody, credentials("annabel", PASSWORD)).await.access_token;
    assert!(!logs_in(&mut somebody, "annabel", wrong).await);
    assert!(!logs_in(&mut somebody, wrong, wrong).await);
    let mut ann = running.somebody(Identity::bearer(&token));
    me(&mut ann).await;
    let tampered = format!("{token}x");
    let answer = running.somebody(Identity::bearer(&tampered)).users;
    let request = shared::pb::auth::GetCurrentUserRequest {};
    e2e::refused({ answer }.get_current_user(request).await);
    let file = fs::read_to_string(directory.path().join("data/auth.key")).unwrap();
    let (said, _) = running.end().await;

    assert!(said.contains("a token is refused"), "it says what it does: {said}");
    let parts = token.split('.').skip(1);
    for secret in
        [PASSWORD, wrong, &token, file.trim(), "$argon2", "annabel@"].into_iter().chain(parts)
    {
        assert!(!said.contains(secret), "{secret}");
    }
}
