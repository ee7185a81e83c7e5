//! What operators do from the command line, beside a running server or without one.

use std::{fmt::Write as _, io::BufRead, path::PathBuf};

use clap::Subcommand;
use prost_types::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use shared::{
    clock::{Clock, Time},
    database::Engine,
    ids::parse_id,
    trust::WATCH_SCOPE,
};
use uuid::Uuid;

use crate::{
    config::Config,
    error::{Error, Refusal},
    hasher::{HashFault, Hasher},
    keeper::{self, KeeperFault},
    passwords::{Password, PasswordFault},
    secret_key,
    services::{Service, ServiceFault},
    store::{Account, SqlStore},
    users::name_key,
};

/// How many users are read at once.
const PAGE: i64 = 1_000;

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
    /// Decide what verifiers hold for true
    #[command(subcommand)]
    Trust(Trust),
}

/// About the signing keys.
#[derive(Debug, Clone, Subcommand)]
pub enum Keys {
    /// Print each key: its id, its state, when it begins to sign
    List,
    /// Make the next key, which signs after `AUTH_KEY_PUBLISH_DELAY`
    Rotate,
    /// Revoke a key that is in wrong hands: every token that it has signed ends, everywhere, at once
    Revoke {
        /// The key's id, as `keys list` prints it
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Encrypt every key with `AUTH_SECRET_KEY`, after which `AUTH_SECRET_KEY_PREVIOUS` is not needed
    Rewrap,
}

/// About the users.
#[derive(Debug, Clone, Subcommand)]
pub enum Users {
    /// Print each user: id, username, e-mail address, number of sessions, whether disabled
    List,
    /// End every session of a user, and let them log in no more
    Disable {
        /// The username, the e-mail address or the id
        user: String,
    },
    /// Let a disabled user log in again
    Enable {
        /// The username, the e-mail address or the id
        user: String,
    },
    /// Set the password of a user to the line on standard input, and end every session
    SetPassword {
        /// The username, the e-mail address or the id
        user: String,
    },
}

/// About the services.
#[derive(Debug, Clone, Subcommand)]
pub enum Services {
    /// Print each service: its name, its scopes, since when
    List,
    /// Register a service; its secret is printed, or kept in a file
    Add {
        /// The name, which the service's tokens will bear
        name: String,
        /// What its tokens allow
        #[arg(long = "scope", default_value = WATCH_SCOPE)]
        scopes: Vec<String>,
        /// Where the secret is; it is made there, for its owner alone, if the file is missing
        #[arg(long)]
        secret_file: Option<PathBuf>,
    },
    /// Remove a service: its tokens end
    Remove {
        /// The name
        name: String,
    },
}

/// About what verifiers hold for true.
#[derive(Debug, Clone, Subcommand)]
pub enum Trust {
    /// Have every verifier fetch everything anew: needed after the database was restored from a backup
    Reset,
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
            Command::Trust(Trust::Reset) => {
                self.store.reset_trust().await?;
                "every verifier fetches everything anew\n".to_owned()
            }
        };
        // Servers on the same database find out by themselves; this way they do at once.
        self.store.announcer().announce().await;
        Ok(done)
    }

    async fn keys(&self, command: Keys) -> Result<String, CommandFault> {
        let (store, clock, delay) = (&self.store, self.clock, self.config.key_publish_delay);
        if let Keys::List = command {
            let keys = keeper::list(store, clock).await?;
            return Ok(lines(keys.iter().map(|(state, key)| {
                format!("{} {state:8} {}", key.public.kid(), show(key.activate_time))
            })));
        }
        let secrets = keeper::secrets(store, &self.config.secret_keys).await?;
        let made = match command {
            Keys::List => None,
            Keys::Rotate => Some(keeper::rotate(store, &secrets, delay, clock).await?),
            Keys::Revoke { kid } => keeper::revoke(store, &secrets, &kid, delay, clock).await?,
            Keys::Rewrap => {
                let count = keeper::rewrap(store, &secrets).await?;
                return Ok(format!("encrypted with AUTH_SECRET_KEY: {count} of {count} keys\n"));
            }
        };
        Ok(lines(
            made.iter()
                .map(|key| format!("{} signs from {}", key.public.kid(), show(key.activate_time))),
        ))
    }

    async fn users(
        &self,
        command: Users,
        input: &mut (dyn BufRead + Send),
    ) -> Result<String, CommandFault> {
        match command {
            Users::List => self.list_users().await,
            Users::Disable { user } => {
                let id = self.find(&user).await?.user.id;
                self.store.set_disabled(id, true).await?;
                Ok(format!("{user} is disabled, every session has ended\n"))
            }
            Users::Enable { user } => {
                let id = self.find(&user).await?.user.id;
                self.store.set_disabled(id, false).await?;
                Ok(format!("{user} may log in again\n"))
            }
            Users::SetPassword { user: name } => {
                let user = self.find(&name).await?.user;
                let text = read_line(input)
                    .map_err(|error| CommandFault::Read("the password".to_owned(), error))?;
                let password = Password::chosen(text, Some(&user.username), Some(&user.email))?;
                let hash = Hasher::start(1, self.config.hash_cost)?.hash(password).await?;
                self.store.set_password(user.id, hash).await?;
                Ok(format!("{name} has another password, every session has ended\n"))
            }
        }
    }

    async fn list_users(&self) -> Result<String, CommandFault> {
        let (mut text, mut after) = (String::new(), Uuid::nil());
        loop {
            let page = self.store.users(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(text) };
            after = last.user.id;
            text += &lines(page.iter().map(|(account, sessions)| {
                let (user, state) = (&account.user, account.is_disabled);
                let state = if state { "DISABLED" } else { "ENABLED" };
                let (name, email) = (user.username.as_str(), user.email.as_str());
                format!("{} {name} {email} {sessions} {state}", user.id)
            }));
        }
    }

    /// The user whom an operator means.
    async fn find(&self, user: &str) -> Result<Account, Error> {
        // In its one spelling: 32 hexadecimal digits may be a username.
        let found = match parse_id(user) {
            Ok(id) => self.store.find_by_id(id).await?,
            Err(_) => self.store.find_by_name(name_key(user)).await?,
        };
        Ok(found.ok_or(Refusal::UserNotFound)?)
    }

    async fn services(&self, command: Services) -> Result<String, CommandFault> {
        match command {
            Services::List => Ok(lines(self.store.services().await?.iter().map(|service| {
                let scopes = service.scopes.join(",");
                format!("{} {scopes} {}", service.name, show(service.create_time))
            }))),
            Services::Add { name, scopes, secret_file } => {
                let made = secret_file.as_ref().filter(|path| !path.exists()).cloned();
                let secret = secret(secret_file.as_ref())?;
                let service = Service::new(name.clone(), &secret, scopes, self.clock.now());
                let added = match service {
                    Ok(service) => self.store.add_service(service).await.map_err(Into::into),
                    Err(fault) => Err(CommandFault::from(fault)),
                };
                if let (Err(_), Some(made)) = (&added, made) {
                    // A secret that nobody has is of no use.
                    drop(std::fs::remove_file(made));
                }
                added?;
                Ok(match secret_file {
                    Some(path) => format!("{name} is registered by {}\n", path.display()),
                    None => lines([secret.expose_secret().to_owned()].into_iter()),
                })
            }
            Services::Remove { name } => {
                self.store.remove_service(name.clone()).await?;
                Ok(format!("{name} is removed, its tokens have ended\n"))
            }
        }
    }
}

/// The secret in a file, which is made if it is missing; without a file a new one.
fn secret(file: Option<&PathBuf>) -> Result<SecretString, CommandFault> {
    match file {
        None => Ok(Service::make_secret().map_err(Error::from)?),
        Some(path) => secret_key::load_file(path, true)
            .map_err(|error| CommandFault::Read(path.display().to_string(), error)),
    }
}

/// The first line, without its end.
fn read_line(input: &mut (dyn BufRead + Send)) -> std::io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
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
