//! `services`: what operators do with the services that may have tokens of their own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use shared::database::Engine;

use super::{CommandFault, Operator, lines, show};
use crate::{
    error::Error,
    secret_key,
    services::{SCOPES, Service},
};

/// About the services.
#[derive(Debug, Clone, Subcommand)]
pub enum Services {
    /// Print each service: its name, its scopes, since when
    List,
    /// Register a service; its secret is printed, or kept in a file
    ///
    /// One that is registered with the same secret has these scopes from now on.
    Add {
        /// The name, which the service's tokens will bear
        name: String,
        /// What its tokens allow: to verify those of users (trust.watch), to forget users who are deleted
        /// (erasure.confirm), which every erasure then waits for; both without this option
        #[arg(long = "scope", default_values = SCOPES)]
        scopes: Vec<String>,
        /// Where the secret is; it is made there, for its owner alone, if the file is missing
        #[arg(long)]
        secret_file: Option<PathBuf>,
    },
    /// Remove a service: its tokens end, and erasures wait for it no more
    Remove {
        /// The name
        name: String,
    },
}

impl<DB: Engine> Operator<'_, DB> {
    pub(super) async fn services(&self, command: Services) -> Result<String, CommandFault> {
        match command {
            Services::List => Ok(lines(self.store.services().await?.iter().map(|service| {
                let scopes = service.scopes.join(",");
                format!("{} {scopes} {}", service.name, show(service.create_time))
            }))),
            Services::Add { name, scopes, secret_file } => {
                self.add(name, scopes, secret_file.as_deref()).await
            }
            Services::Remove { name } => {
                self.store.remove_service(name.clone()).await?;
                Ok(format!("{name} is removed, its tokens have ended\n"))
            }
        }
    }

    async fn add(
        &self,
        name: String,
        scopes: Vec<String>,
        file: Option<&Path>,
    ) -> Result<String, CommandFault> {
        let made = file.filter(|path| !path.exists());
        let secret = secret(file)?;
        let added = match Service::new(name.clone(), &secret, scopes, self.clock.now()) {
            Ok(service) => self.store.add_service(service).await.map_err(Into::into),
            Err(fault) => Err(CommandFault::from(fault)),
        };
        if let Err(CommandFault::Service(_) | CommandFault::Store(Error::Refused(_))) = added
            && let Some(made) = made
        {
            // A secret that nobody has is of no use.
            drop(fs::remove_file(made));
        }
        added?;
        Ok(match file {
            Some(file) => format!("{name} is registered by {}\n", file.display()),
            None => format!("{}\n", secret.expose_secret()),
        })
    }
}

/// The secret in a file, which is made if it is missing; without a file a new one.
fn secret(file: Option<&Path>) -> Result<SecretString, CommandFault> {
    match file {
        None => Ok(Service::make_secret().map_err(Error::from)?),
        Some(path) => secret_key::load_file(path, true)
            .map_err(|error| CommandFault::Read(path.display().to_string(), error)),
    }
}
