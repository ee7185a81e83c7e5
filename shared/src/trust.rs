//! Who is calling: access tokens verified offline, at memory speed.
//!
//! A [`Verifier`] holds the public keys of the issuer in memory and looks at nothing else. It alone
//! takes a token apart, and it alone makes a [`Caller`]. The [`Bearer`] interceptor puts the caller
//! into the request; [`follow_keys`] keeps the verifier's keys those of its [`Issuer`], and keeps them
//! through a restart in a [`SnapshotStore`].

mod verifier;
mod claims;
mod token;
mod key;
mod bearer;
mod caller;
mod issuer;
mod follow;

pub use bearer::{Bearer, rejected};
pub use caller::Caller;
pub use claims::Claims;
pub use follow::{SnapshotStore, follow_keys};
pub use issuer::Issuer;
pub use key::{KeyFault, PublicKey};
pub use token::TYPE;
pub use verifier::{Expected, LEEWAY, MAX_TOKEN_LIFE, MAX_TOKEN_SIZE, Reason, Rejection, Verifier};

/// Chooses the cryptography behind JWTs. Safe to call again; the first call decides.
pub fn install_crypto() {
    // An error says that it has been chosen before: by this function, there is no other caller.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
