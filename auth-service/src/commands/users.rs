//! `users`: what operators do with accounts.

use std::io::{self, BufRead};

use clap::Subcommand;
use shared::{database::Engine, ids::parse_id};
use uuid::Uuid;

use super::{CommandFault, Operator, lines};
use crate::{
    error::{Error, Refusal},
    hasher::Hasher,
    passwords::Password,
    store::Account,
    users::name_key,
};

/// How many users are read at once.
const PAGE: i64 = 1_000;

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

impl<DB: Engine> Operator<'_, DB> {
    pub(super) async fn users(
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
}

/// The first line, without its end.
fn read_line(input: &mut (dyn BufRead + Send)) -> io::Result<String> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "standard input is empty"));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
