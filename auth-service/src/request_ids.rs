//! Requests that may be repeated (AIP-155): whose they are, and what they are known again by.
//!
//! A user's `request_id` is the user's own. Before there is a user there is a username: so the id of a
//! registration belongs to that name, as a keyed hash that tells nobody which one it is.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use secrecy::SecretString;
use shared::once::Digests;
use uuid::Uuid;

use crate::{keys::KeyFault, secret_key::derive, users::Username};

/// What the derived keys are for.
const DIGESTS: &[u8] = b"taskmanager auth-service: digests of requests that may be repeated, v1";
const NAMES: &[u8] = b"taskmanager auth-service: names that accounts are opened by, v1";

/// Knows requests again. What was asked before the secret key was changed it does not.
#[derive(Clone)]
pub struct RequestIds {
    digests: Digests,
    names: Key,
}

impl RequestIds {
    /// With keys that are derived from this secret.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn new(secret: &SecretString) -> Result<Self, KeyFault> {
        let key = |purpose| derive(secret, purpose).map_err(|_| KeyFault::Library);
        let digests = Digests::new(key(DIGESTS)?.as_ref());
        Ok(Self { digests, names: Key::new(HMAC_SHA256, key(NAMES)?.as_ref()) })
    }

    /// What requests are known again by.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// On whose behalf an account of this name is opened: the same in any case.
    #[must_use]
    pub fn owner_of(&self, username: &Username) -> Uuid {
        let mut bytes = [0; 16];
        let signed = sign(&self.names, username.key().as_bytes());
        for (byte, signed) in bytes.iter_mut().zip(signed.as_ref()) {
            *byte = *signed;
        }
        Uuid::from_bytes(bytes)
    }
}

impl fmt::Debug for RequestIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestIds")
    }
}

#[cfg(test)]
mod tests {
    use shared::{fields::Violations, pb::auth::RevokeSessionRequest};

    use super::*;

    fn request_ids(secret: &str) -> RequestIds {
        RequestIds::new(&secret.to_owned().into()).unwrap()
    }

    #[test]
    fn a_name_owns_its_registrations_in_any_case_and_under_one_secret() {
        let owner = |secret, name: &str| {
            request_ids(secret).owner_of(&Username::parse(name.to_owned()).unwrap())
        };
        assert_eq!(owner("one", "ann"), owner("one", "ANN"));
        assert_ne!(owner("one", "ann"), owner("one", "anna"));
        assert_ne!(owner("one", "ann"), owner("two", "ann"));
    }

    #[test]
    fn a_request_is_known_again_under_one_secret() {
        let once = |secret| {
            let id = Uuid::from_u128(7).to_string();
            let request = RevokeSessionRequest { id: id.clone(), request_id: id };
            let ids = request_ids(secret);
            ids.digests().once(Uuid::nil(), &request, &mut Violations::new()).unwrap().unwrap()
        };
        assert_eq!(once("one"), once("one"));
        assert_ne!(once("one"), once("two"));
    }
}
