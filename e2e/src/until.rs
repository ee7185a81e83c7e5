//! Waits for what will come about.

use std::time::Duration;

use tokio::time::{interval, timeout};

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until something is so; if it never is, the test fails and says what it has waited for.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(INTERVAL);
    let wait = async {
        while !is_so().await {
            ticks.tick().await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "waited in vain: {what}");
}
