//! Who is calling: access tokens verified offline, at memory speed, and yet revoked everywhere.
//!
//! A [`Verifier`] holds in memory what its issuer has said, and looks at nothing else: the signing keys,
//! and what has been revoked. It alone takes a token apart, and it alone makes a [`Caller`]. The
//! [`Bearer`] interceptor puts the caller into the request. What the issuer says comes as [`News`]: a
//! stream of them for a service elsewhere, its own database for the issuer itself. A [`SnapshotStore`]
//! keeps them through a restart.

mod verifier;
mod rejection;
mod known;
mod revoked;
mod news;
mod claims;
mod token;
mod key;
mod bearer;
mod caller;
mod issuer;
mod snapshot;
mod client;
mod gauges;

pub use bearer::{Bearer, rejected};
pub use caller::{Caller, Grant, ServiceCaller};
pub use claims::Claims;
pub use client::{Credential, TrustSource, follow_trust};
pub use issuer::Issuer;
pub use key::{KeyFault, PublicKey};
pub use news::{Head, News, NewsFault, Revocation};
pub use rejection::{Reason, Rejection};
pub use snapshot::{FileFault, FileStore, Snapshot, SnapshotStore, Update};
pub use token::TYPE;
pub use verifier::{Expected, LEEWAY, MAX_TOKEN_LIFE, MAX_TOKEN_SIZE, Verifier};

/// The scope of a service that may ask what it must know to verify tokens.
pub const WATCH_SCOPE: &str = "trust.watch";

/// Chooses the cryptography behind JWTs. Safe to call again; the first call decides.
pub fn install_crypto() {
    // An error says that it has been chosen before: by this function, there is no other caller.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
