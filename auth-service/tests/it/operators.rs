//! What operators do beside a running server.

mod erasures;
mod keys;
mod services;
mod users;

use auth_service::StartError;

/// Why a command is not done, as the program says it.
fn fault(answer: Result<String, StartError>) -> String {
    answer.expect_err("a fault").to_string()
}
