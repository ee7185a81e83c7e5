//! What the operator can set.

use std::time::Duration;

use shared::env::Env;

use super::Rate;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// How often it may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `AUTH_GUESS_LIMIT`: passwords of one account from one network.
    pub pair: Rate,
    /// `AUTH_ACCOUNT_GUESS_LIMIT`: passwords of one account from networks that it does not know.
    pub account: Rate,
    /// `AUTH_NETWORK_GUESS_LIMIT`: passwords from one network of accounts that do not know it.
    pub network: Rate,
    /// `AUTH_LOGIN_LIMIT`: right passwords of one account, from wherever.
    pub login: Rate,
    /// `AUTH_REGISTER_LIMIT`: registrations from one network.
    pub register: Rate,
}

impl Limits {
    /// Reads the settings.
    pub fn read(env: &mut Env) -> Self {
        Self {
            pair: env.get("AUTH_GUESS_LIMIT", Rate::new(10, 10 * MINUTE)),
            account: env.get("AUTH_ACCOUNT_GUESS_LIMIT", Rate::new(100, HOUR)),
            network: env.get("AUTH_NETWORK_GUESS_LIMIT", Rate::new(300, HOUR)),
            login: env.get("AUTH_LOGIN_LIMIT", Rate::new(3_600, HOUR)),
            register: env.get("AUTH_REGISTER_LIMIT", Rate::new(100, HOUR)),
        }
    }
}
