//! The keys of what clients carry for the service, and of what it knows them by.

use shared::{
    fields::Violations,
    once::{Digests, Once, Repeatable},
    trust::Caller,
};

use crate::sealed::SealKey;

/// The service's own keys, the same in all its processes.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Of page tokens and cursors.
    pub seals: SealKey,
    /// Of the digests of requests.
    pub digests: Digests,
}

impl Keys {
    /// That a request is to be done once, if it says so; nothing if it does so malformed.
    pub fn once<M: Repeatable>(
        &self,
        caller: &Caller,
        request: &M,
        bad: &mut Violations,
    ) -> Option<Option<Once>> {
        self.digests.once(caller.user_id(), request, bad)
    }
}
