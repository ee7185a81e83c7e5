//! What operators do from the command line, beside a running server or without one.

mod keys;
mod users;
mod services;
mod erasures;

use std::{fmt::Write as _, io::BufRead};

use clap::Subcommand;
use prost_types::Timestamp;
use shared::{
    clock::{Clock, Time},
    database::Engine,
};

pub use erasures::Erasures;
pub use keys::Keys;
pub use services::Services;
pub use users::Users;

use crate::{
    config::Config, error::Error, hasher::HashFault, keeper::KeeperFault, passwords::PasswordFault,
    services::ServiceFault, store::SqlStore,
};

/// What an operator can ask for.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Look at the signing keys, make the next one, revoke one, encrypt them anew
    #[command(subcommand)]
    Keys(Keys),
    /// Look at the users, disable one, set a password
    #[command(subcommand)]
    Users(Users),
    /// Look at the services that may have tokens of their own, add one, remove one
    #[command(subcommand)]
    Services(Services),
    /// Look at the users who have been deleted, and at the services that have not confirmed it
    #[command(subcommand)]
    Erasures(Erasures),
    /// Have verifiers fetch anew what has been revoked
    #[command(subcommand)]
    Trust(Trust),
}

/// About what verifiers hold for true.
#[derive(Debug, Clone, Subcommand)]
pub enum Trust {
    /// Have every verifier fetch everything anew
    ///
    /// It is needed after the database was restored from a backup, and after the clock of the server was
    /// far ahead. Then every access token ends, and is to be refreshed.
    Reset,
}

impl Command {
    /// What to ask for on a terminal, if the command reads a secret.
    #[must_use]
    pub fn secret_prompt(&self) -> Option<&'static str> {
        match self {
            Self::Users(Users::SetPassword { .. }) => Some("New password: "),
            Self::Users(_)
            | Self::Keys(_)
            | Self::Services(_)
            | Self::Erasures(_)
            | Self::Trust(_) => None,
        }
    }
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandFault {
    /// The signing keys can not be used.
    #[error(transparent)]
    Keys(#[from] KeeperFault),
    /// The store refuses it, or does not answer.
    #[error(transparent)]
    Store(#[from] Error),
    /// The password is none to choose.
    #[error("the password {0}")]
    Password(#[from] PasswordFault),
    /// The password can not be hashed.
    #[error("the password can not be hashed: {0}")]
    Hash(#[from] HashFault),
    /// There can be no such service.
    #[error(transparent)]
    Service(#[from] ServiceFault),
    /// The password or the secret can not be read.
    #[error("{0} can not be read: {1}")]
    Read(String, std::io::Error),
}

/// What commands work with.
pub(crate) struct Operator<'o, DB: Engine> {
    pub(crate) store: SqlStore<DB>,
    pub(crate) config: &'o Config,
    pub(crate) clock: &'o Clock,
}

impl<DB: Engine> Operator<'_, DB> {
    /// Does what a command says. The answer is what is to be printed.
    pub(crate) async fn perform(
        &self,
        command: Command,
        input: &mut (dyn BufRead + Send),
    ) -> Result<String, CommandFault> {
        let done = match command {
            Command::Keys(command) => self.keys(command).await?,
            Command::Users(command) => self.users(command, input).await?,
            Command::Services(command) => self.services(command).await?,
            Command::Erasures(command) => self.erasures(command).await?,
            Command::Trust(Trust::Reset) => self.reset_trust().await?,
        };
        // Servers on the same database find out by themselves; this way they do at once.
        self.store.announcer().announce().await;
        Ok(done)
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |mut text, line| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{line}");
        text
    })
}

fn show(time: Time) -> Timestamp {
    time.into()
}
