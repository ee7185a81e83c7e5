//! The end of a server, which no peer can hold up.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a peer that has no call under way may take to see that the connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// How far the end of a server is, and what is still under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Drain {
    /// Cancelled when the end begins: streams end, connections take no more calls.
    pub(super) begun: CancellationToken,
    /// Cancelled when it is over: what is left is closed.
    pub(super) over: CancellationToken,
    /// Every connection.
    pub(super) connections: TaskTracker,
    /// Every call.
    pub(super) calls: TaskTracker,
}

impl Drain {
    /// Ends every stream, waits for the calls under way and closes what is left.
    pub(super) async fn run(&self, limit: Duration) {
        self.begun.cancel();
        self.connections.close();
        self.calls.close();
        let quiet = async {
            loop {
                self.calls.wait().await;
                sleep(FAREWELL).await;
                // A call may have come from a peer that had not seen it yet.
                if self.calls.is_empty() {
                    return;
                }
            }
        };
        let done = async {
            tokio::select! {
                () = self.connections.wait() => {}
                () = quiet => {}
            }
        };
        if timeout(limit, done).await.is_err() {
            tracing::warn!(
                calls = self.calls.len(),
                "calls are cut off: they take too long to end"
            );
        }
        self.over.cancel();
        self.connections.wait().await;
        // An answer may have gone out before its call has written its line of the log.
        drop(timeout(FAREWELL, self.calls.wait()).await);
    }
}
