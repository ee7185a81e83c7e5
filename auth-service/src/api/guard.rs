//! What stands before everything that a password is for: the limits on guessing, then the queue of
//! the hasher.

use std::sync::Arc;

use shared::database::Engine;
use tonic::Request;

use crate::{
    error::Error,
    guesses::{Guesses, Taken, Whose},
    hasher::{HashFault, Hasher, Verdict},
    network::{Network, TrustedProxies},
    passwords::{Password, PasswordHash},
    store::SqlStore,
};

/// The way to the hasher for whoever calls from outside.
#[derive(Debug)]
pub struct Guard<DB: Engine> {
    /// What counts the attempts.
    pub store: SqlStore<DB>,
    /// What hashes and checks passwords.
    pub hasher: Hasher,
    /// The limits.
    pub guesses: Arc<Guesses>,
    /// Who is believed when it says whose call it forwards.
    pub proxies: TrustedProxies,
}

impl<DB: Engine> Clone for Guard<DB> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            hasher: self.hasher.clone(),
            guesses: Arc::clone(&self.guesses),
            proxies: self.proxies.clone(),
        }
    }
}

impl<DB: Engine> Guard<DB> {
    /// The network that a call comes from.
    pub fn network_of<T>(&self, request: &Request<T>) -> Network {
        self.proxies.network_of(request)
    }

    /// Checks a password. The attempt is counted before, and stays counted unless the caller, once
    /// the password has proved right, [forgives](Guard::forgive) it.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], or when the password can not be checked.
    pub async fn verify(
        &self,
        (whose, network): (Whose<'_>, Network),
        password: Password,
        hash: PasswordHash,
    ) -> Result<(Verdict, Taken), Error> {
        let taken = self.store.take(self.guesses.password(whose, network)).await?;
        let verdict = self.hasher.verify(password, hash).await;
        let verdict = self.unless_undone(verdict, &taken).await?;
        Ok((verdict, taken))
    }

    /// Hashes the password of a new account. It is counted, whatever comes of the account.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], or when the password can not be hashed.
    pub async fn hash(&self, network: Network, password: Password) -> Result<PasswordHash, Error> {
        let taken = self.store.take(self.guesses.registration(network)).await?;
        let hash = self.hasher.hash(password).await;
        self.unless_undone(hash, &taken).await
    }

    /// Counts a try at a name: whoever asks for a name learns whether somebody has it. To take another
    /// one counts as much as to register.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], or when the database is away.
    pub async fn try_name(&self, network: Network) -> Result<(), Error> {
        self.store.take(self.guesses.registration(network)).await.map(drop)
    }

    /// Notes that the password was right. If that fails, an attempt too many stays counted.
    pub async fn forgive(&self, taken: Taken) {
        if let Err(error) = self.store.forgive(taken).await {
            tracing::warn!(%error, "a login stays counted as a guess");
        }
    }

    /// Gives back what was taken for a hash that there is not.
    async fn unless_undone<T>(
        &self,
        hashed: Result<T, HashFault>,
        taken: &Taken,
    ) -> Result<T, Error> {
        if hashed.is_err()
            && let Err(error) = self.store.give_back(taken.clone()).await
        {
            tracing::warn!(%error, "a password that was not looked at stays counted as a guess");
        }
        Ok(hashed?)
    }
}
