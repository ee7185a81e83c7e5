//! Where PostgreSQL's programs are, and who may run them.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Whether there is PostgreSQL to test on. Where there is none a line says so; in CI it is a
/// failure.
#[expect(clippy::disallowed_methods, reason = "where the tests run is no setting of a service")]
#[expect(clippy::print_stderr, reason = "whoever runs the tests shall know what was skipped")]
#[must_use]
pub fn is_here() -> bool {
    let here = programs().is_some();
    if !here {
        assert!(std::env::var_os("CI").is_none(), "in CI the tests need PostgreSQL");
        eprintln!("skipped: no PostgreSQL programs in PATH or /usr/lib/postgresql");
    }
    here
}

/// The directory of the server's programs: Debian keeps them off the PATH.
pub(super) fn programs() -> Option<PathBuf> {
    static PROGRAMS: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(find).clone()
}

#[expect(clippy::disallowed_methods, reason = "where the tests run is no setting of a service")]
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(versions.map(|version| version.path().join("bin")))
        .find(|directory| directory.join("initdb").exists() && directory.join("postgres").exists())
}

/// Somebody on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Account {
    /// Who runs the server in place of root, which it refuses to run as; `None` for anybody else.
    pub(super) fn unprivileged() -> Option<Self> {
        if fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
            return None;
        }
        let accounts = fs::read_to_string("/etc/passwd").expect("the list of accounts");
        let account = |name: &str| {
            let line =
                accounts.lines().find_map(|line| line.strip_prefix(&format!("{name}:x:")))?;
            let mut ids = line.split(':').map(str::parse);
            Some(Self { user: ids.next()?.ok()?, group: ids.next()?.ok()? })
        };
        let account = account("postgres").or_else(|| account("nobody"));
        Some(account.expect("an unprivileged account"))
    }

    /// Gives a file or a directory away.
    pub(super) fn own(self, path: &Path, mode: u32) {
        chown(path, Some(self.user), Some(self.group)).expect("it is given away");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode is set");
    }
}
