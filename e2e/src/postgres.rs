//! A PostgreSQL server of the tests' own, where its programs are found.

use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Starts the server, says that it is ready once it is, and ends it, and all that it has written,
/// when the tests' process closes the pipe by ending, however that comes about.
const SCRIPT: &str = r#"
set -e
trap 'rm -rf "$dir"/*' EXIT
"$bin"/initdb --pgdata "$dir"/data --username test --auth trust --encoding UTF8 \
    --locale-provider icu --icu-locale en-US --no-sync > "$dir"/log 2>&1
"$bin"/pg_ctl start --wait --timeout 60 --pgdata "$dir"/data --log "$dir"/log --options \
    "-k $dir -c listen_addresses= -c fsync=off -c max_connections=500" > /dev/null
echo ready
cat > /dev/null
"$bin"/pg_ctl stop --wait --mode immediate --pgdata "$dir"/data > /dev/null
"#;

struct Server {
    directory: PathBuf,
    /// Holds the pipe whose end ends the server.
    _script: Child,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database; `None`, and a line that says so, where there is no PostgreSQL.
/// In CI a missing PostgreSQL is a failure.
///
/// # Panics
/// When the server does not start.
pub async fn database() -> Option<String> {
    let Server { directory, .. } = SERVER.get_or_init(start).as_ref()?;
    let host = directory.display().to_string().replace('/', "%2F");
    let mut connection = PgConnection::connect(&format!("postgres://test@{host}/postgres"))
        .await
        .expect("the server answers");
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let create = AssertSqlSafe(format!("create database {name}"));
    connection.execute(create).await.expect("the database is made");
    Some(format!("postgres://test@{host}/{name}"))
}

#[expect(clippy::disallowed_methods, reason = "where the tests run is no setting of a service")]
#[expect(clippy::print_stderr, reason = "whoever runs the tests shall know what was skipped")]
fn start() -> Option<Server> {
    let Some(bin) = programs() else {
        assert!(std::env::var_os("CI").is_none(), "in CI the tests need PostgreSQL");
        eprintln!("skipped: no PostgreSQL programs in PATH or /usr/lib/postgresql");
        return None;
    };
    let directory = tempfile::tempdir().expect("a directory").keep();
    let mut command = unprivileged(&directory);
    command.args(["sh", "-c", SCRIPT]).env("bin", bin).env("dir", &directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    // Out of reach of Ctrl-C, which would end the script before it can end the server.
    command.process_group(0);
    let mut script = command.spawn().expect("a shell");
    let mut ready = [0; 6];
    let answer = script.stdout.as_mut().map(|out| out.read_exact(&mut ready));
    if !matches!(answer, Some(Ok(()))) {
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        panic!("PostgreSQL does not start: {log}");
    }
    Some(Server { directory, _script: script })
}

/// Where the server's programs are: Debian keeps them off the PATH.
#[expect(clippy::disallowed_methods, reason = "where the tests run is no setting of a service")]
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(versions.map(|version| version.path().join("bin")))
        .find(|directory| directory.join("initdb").exists() && directory.join("pg_ctl").exists())
}

/// A command that does not run as root, which PostgreSQL refuses to; the directory becomes its own.
fn unprivileged(directory: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        return Command::new("env");
    }
    let users = fs::read_to_string("/etc/passwd").expect("the list of users");
    let id = |name: &str| {
        let line = users.lines().find_map(|line| line.strip_prefix(&format!("{name}:x:")))?;
        let mut ids = line.split(':').map(str::parse::<u32>);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    let user = if id("postgres").is_some() { "postgres" } else { "nobody" };
    let (uid, gid) = id(user).expect("an unprivileged user");
    chown(directory, Some(uid), Some(gid)).expect("the directory is given away");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("and can be entered");
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--"]);
    command
}
