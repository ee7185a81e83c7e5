//! An account is opened once, however often the registration is repeated.
//!
//! Whoever repeats a registration proves to be who made it by the password, which is kept nowhere but
//! in the account: so that costs what a login costs, and tells as much.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use shared::{database::Engine, once::Once};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::{Auth, wire::Registration};
use crate::{
    error::{Error, Refusal},
    network::Network,
    store::{Account, Earlier},
    users::User,
};

/// Whose turn it is, of those who make the same registration at once. Each proves the password and
/// gives back what a guess costs before the next one tries, or so many would look like guesses.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Once, Weak<Turn<()>>>>);

impl Turns {
    async fn take(&self, once: &Once) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(once).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(once.clone(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}

impl<DB: Engine> Auth<DB> {
    /// Opens the account, or finds that this registration has done so before.
    pub(super) async fn open_account(
        &self,
        registration: Registration,
        network: Network,
    ) -> Result<User, Error> {
        let Registration { user, password, once } = registration;
        let _turn = match &once {
            Some(once) => Some(self.turns.take(once).await),
            None => None,
        };
        if let Some(once) = &once
            && let Some(earlier) = self.store.earlier_registration(once).await?
        {
            let (account, name) = (self.opened(&earlier, &user).await?, user.username.key());
            let checked = self.check(account, &name, network, password).await?;
            let is_proven = checked.is_some();
            if let Some(checked) = checked {
                self.guard.forgive(checked.taken).await;
            }
            return again(user, earlier, is_proven);
        }
        let hash = self.guard.hash(network, password.clone()).await?;
        let Some(earlier) = self.store.register(user.clone(), hash, once).await? else {
            return Ok(user);
        };
        // The same at the same moment was faster. This call is counted already, as a registration.
        let account = self.opened(&earlier, &user).await?;
        let hash = account.map(|account| account.password_hash);
        let hash = hash.unwrap_or_else(|| self.guard.hasher.stand_in());
        let verdict = self.guard.hasher.verify(password, hash).await?;
        again(user, earlier, verdict.fits)
    }

    /// The account that was opened then. If something else was asked, the work shall be the same: the
    /// account of this name.
    async fn opened(&self, earlier: &Earlier, user: &User) -> Result<Option<Account>, Error> {
        match earlier {
            Ok(registered) => self.store.find_by_id(registered.id).await,
            Err(_) => self.store.find_by_name(user.username.key()).await,
        }
    }
}

/// The answer that was given then: the user as it was made of the same request.
fn again(user: User, earlier: Earlier, is_proven: bool) -> Result<User, Error> {
    let registered = earlier.map_err(Refusal::from)?;
    if !is_proven {
        return Err(Refusal::RequestIdReused.into());
    }
    let (id, create_time) = (registered.id, registered.create_time);
    Ok(User { id, create_time, update_time: create_time, ..user })
}
