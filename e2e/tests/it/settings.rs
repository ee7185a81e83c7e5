//! `.env.example` names every setting with its default, and no other.

use std::{collections::BTreeMap, time::Duration};

use auth_service::config::Config as AuthConfig;
use shared::env::Env;
use task_service::config::Config as TaskConfig;

const EXAMPLE: &str = include_str!("../../../.env.example");

/// The settings of the example, those that are commented out too.
fn example() -> BTreeMap<&'static str, &'static str> {
    let lines = EXAMPLE.lines().map(|line| line.trim_start_matches("# "));
    lines.filter_map(|line| line.split_once('=')).filter(|(name, _)| is_setting(name)).collect()
}

fn is_setting(name: &str) -> bool {
    (name.starts_with("AUTH_") || name.starts_with("TASK_"))
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[test]
fn the_example_names_every_setting_and_no_other() {
    let (mut auth, mut task) = (Env::of("AUTH_", []), Env::of("TASK_", []));
    AuthConfig::read(&mut auth).unwrap();
    TaskConfig::read(&mut task).unwrap();
    let read: Vec<&str> = auth.names().chain(task.names()).collect();
    let named: Vec<&str> = example().into_keys().collect();
    assert_eq!(named, read);
}

#[test]
fn the_values_of_the_example_are_the_defaults() {
    let example = || example().into_iter().filter(|(_, value)| !value.is_empty());
    let ours = |prefix| example().filter(move |(name, _)| name.starts_with(prefix));
    let auth = AuthConfig::read(&mut Env::of("AUTH_", ours("AUTH_"))).unwrap();
    let default = AuthConfig::read(&mut Env::of("AUTH_", [])).unwrap();
    assert_eq!(format!("{auth:?}"), format!("{default:?}"));
    let task = TaskConfig::read(&mut Env::of("TASK_", ours("TASK_"))).unwrap();
    let default = TaskConfig::read(&mut Env::of("TASK_", [])).unwrap();
    assert_eq!(format!("{task:?}"), format!("{default:?}"));
    assert_eq!(
        default.expected.issuer,
        AuthConfig::read(&mut Env::of("AUTH_", [])).unwrap().expected.issuer
    );
    assert!(auth.key_publish_delay >= Duration::from_secs(15));
}
