//! `keys`: what operators do with the signing keys.

use clap::Subcommand;
use shared::database::Engine;

use super::{CommandFault, Operator, lines, show};
use crate::{keeper, keys::Key, secret_key::Secrets};

/// About the signing keys.
#[derive(Debug, Clone, Subcommand)]
pub enum Keys {
    /// Print each key: its id, its state, when it begins to sign
    List,
    /// Make the next key, which signs after `AUTH_KEY_PUBLISH_DELAY`
    Rotate,
    /// Revoke a key that is in wrong hands: every token that it has signed ends, everywhere
    Revoke {
        /// The key's id, as `keys list` prints it
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Encrypt every key with `AUTH_SECRET_KEY`, after which `AUTH_SECRET_KEY_PREVIOUS` is not needed
    Rewrap,
}

impl<DB: Engine> Operator<'_, DB> {
    pub(super) async fn keys(&self, command: Keys) -> Result<String, CommandFault> {
        let (store, clock, delay) = (&self.store, self.clock, self.config.key_publish_delay);
        match command {
            Keys::List => {
                let keys = keeper::list(store, clock).await?;
                Ok(lines(keys.iter().map(|(state, key)| {
                    format!("{} {state:8} {}", key.public.kid(), show(key.activate_time))
                })))
            }
            Keys::Rotate => {
                let next = keeper::rotate(store, &self.secrets().await?, delay, clock).await?;
                Ok(begin(&next))
            }
            Keys::Revoke { kid } => {
                let secrets = self.secrets().await?;
                let next = keeper::revoke(store, &secrets, &kid, delay, clock).await?;
                let next = next.as_ref().map(begin).unwrap_or_default();
                Ok(format!("{kid} is revoked, its tokens have ended\n{next}"))
            }
            Keys::Rewrap => {
                let count = keeper::rewrap(store, &self.secrets().await?).await?;
                Ok(format!("encrypted with AUTH_SECRET_KEY: {count} of {count} keys\n"))
            }
        }
    }

    pub(super) async fn reset_trust(&self) -> Result<String, CommandFault> {
        let made = keeper::reset(&self.store, &self.config.secret_keys, self.clock).await?;
        let ended = made.as_ref().map(|key| {
            let next = begin(key);
            format!(
                "a clock that was ahead has had revocations forgotten: every token ends\n{next}"
            )
        });
        Ok(format!("every verifier fetches everything anew\n{}", ended.unwrap_or_default()))
    }

    async fn secrets(&self) -> Result<Secrets, CommandFault> {
        Ok(keeper::secrets(&self.store, &self.config.secret_keys).await?)
    }
}

fn begin(key: &Key) -> String {
    format!("{} signs from {}\n", key.public.kid(), show(key.activate_time))
}
