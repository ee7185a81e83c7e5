//! `.env.example` names every setting with its default, and no other.

use std::{collections::BTreeMap, time::Duration};

use auth_service::config::Config as AuthConfig;
use shared::env::Env;
use task_service::config::Config as TaskConfig;

const EXAMPLE: &str = include_str!("../../../.env.example");
const SOURCES: [&str; 2] = [
    include_str!("../../../auth-service/src/config.rs"),
    include_str!("../../../task-service/src/config.rs"),
];

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
    let mut read: Vec<&str> = SOURCES
        .iter()
        .flat_map(|source| source.split("#[cfg(test)]").next().unwrap().split('"'))
        .filter(|word| is_setting(word) && !word.ends_with('_'))
        .collect();
    read.sort_unstable();
    read.dedup();
    let named: Vec<&str> = example().into_keys().filter(|name| !name.ends_with("_FILE")).collect();
    assert_eq!(named, read);
}

#[test]
fn the_values_of_the_example_are_the_defaults() {
    let example = || example().into_iter().filter(|(_, value)| !value.is_empty());
    let ours = |prefix| example().filter(move |(name, _)| name.starts_with(prefix));
    let auth = AuthConfig::read(Env::of("AUTH_", ours("AUTH_"))).unwrap();
    let default = AuthConfig::read(Env::of("AUTH_", [])).unwrap();
    assert_eq!(format!("{auth:?}"), format!("{default:?}"));
    let task = TaskConfig::read(Env::of("TASK_", ours("TASK_"))).unwrap();
    let default = TaskConfig::read(Env::of("TASK_", [])).unwrap();
    assert_eq!(format!("{task:?}"), format!("{default:?}"));
    assert_eq!(
        default.expected.issuer,
        AuthConfig::read(Env::of("AUTH_", [])).unwrap().expected.issuer
    );
    assert!(auth.key_publish_delay >= Duration::from_secs(15));
}
