//! What docker-compose.yml runs with: the secrets that the script makes fit the settings that it names.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use auth_service::config::Config as AuthConfig;
use shared::env::Env;
use task_service::config::Config as TaskConfig;

const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const SCRIPT: &str = include_str!("../../../deploy/make-secrets");

/// The settings that the file gives the services of this prefix, with secrets out of this directory.
fn settings(prefix: &str, secrets: &Path) -> BTreeMap<String, String> {
    let lines = COMPOSE.lines().filter_map(|line| line.trim().split_once(": "));
    let own = lines.filter(|(name, _)| name.starts_with(prefix));
    let value = |value: &str| value.replace("/run/secrets", secrets.to_str().unwrap());
    own.map(|(name, it)| (name.to_owned(), value(it))).collect()
}

fn environment(prefix: &'static str, settings: &BTreeMap<String, String>) -> Env {
    Env::of(prefix, settings.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Every setting of the file is one that the service has asked for.
fn assert_all_known(prefix: &str, env: &Env) {
    let given = settings(prefix, Path::new(""));
    assert!(given.len() > 5, "{given:?}");
    for name in given.keys() {
        assert!(env.names().any(|known| known == name), "{name}");
    }
}

/// Runs the script as if this directory were the repository.
fn make_secrets(root: &Path) -> String {
    let output = Command::new("sh").arg(root.join("deploy/make-secrets")).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_secrets_fit_the_settings_that_name_them() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("deploy")).unwrap();
    fs::write(root.path().join("deploy/make-secrets"), SCRIPT).unwrap();
    let first = make_secrets(root.path());
    let secrets = root.path().join("secrets");
    let read = |name: &str| fs::read(secrets.join(name)).unwrap();
    let (password, key) = (read("auth-db-password"), read("auth-secret-key"));
    assert!(!first.contains(str::from_utf8(&password).unwrap().trim()));
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o700);

    let mut env = environment("AUTH_", &settings("AUTH_", &secrets));
    AuthConfig::read(&mut env).unwrap();
    assert_all_known("AUTH_", &env);
    let mut env = environment("TASK_", &settings("TASK_", &secrets));
    TaskConfig::read(&mut env).unwrap();
    assert_all_known("TASK_", &env);

    assert!(make_secrets(root.path()).contains("nothing to make"));
    assert_eq!((read("auth-db-password"), read("auth-secret-key")), (password, key));
}
