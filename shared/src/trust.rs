//! Who is calling: access tokens verified offline, at memory speed, and yet revoked everywhere.
//!
//! A [`Verifier`] holds in memory what its issuer has said, and looks at nothing else: the signing keys,
//! and what has been revoked. It alone takes a token apart, and it alone makes a [`Caller`]. The
//! [`Bearer`] interceptor puts the caller into the request. What the issuer says comes as [`News`]:
//! [`follow_trust`] brings them to a service elsewhere, and the issuer itself reads its own database. A
//! [`SnapshotStore`] keeps them through a restart.
//!
//! # How a service protects itself
//!
//! An operator registers the service with `auth-service services add notes --scope trust.watch`, which gives
//! it a secret, and names it in `AUTH_AUDIENCES`, so that tokens are good for it. (Without the option it must
//! also forget users who are deleted, as one that keeps something of them should: see
//! [`erasure`](crate::erasure).) Then this is all that it takes:
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//!
//! use shared::{
//!     clock::Clock,
//!     trust::{
//!         Bearer, Credential, Expected, FileStore, Issuer, TrustSource, Verifier, follow_trust,
//!     },
//! };
//! use tonic::{service::interceptor::InterceptedService, transport::Server};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_, notes) = tonic_health::server::health_reporter();
//! let expected = Expected {
//!     issuer: "taskmanager".to_owned(),
//!     audience: "notes".to_owned(),
//!     // For how long it goes on by what it knows while auth-service is away.
//!     max_staleness: Duration::from_mins(16),
//! };
//! let verifier = Arc::new(Verifier::new(expected, Clock::system()));
//!
//! // Revocations and keys arrive beside the calls, and survive a restart in a file.
//! let issuer = Issuer::new("https://auth.example.com:50051".parse()?, None);
//! let credential = Credential::in_file("notes", "/run/secrets/notes");
//! let store = FileStore::new("/var/lib/notes/trust");
//! let source = TrustSource::new(issuer, credential);
//! tokio::spawn(follow_trust(Arc::clone(&verifier), source, store));
//!
//! // Until the issuer has been heard of, nothing can be decided.
//! verifier.readiness().wait_for(|ready| *ready).await?;
//!
//! // No call comes in without a good token, and none waits for auth-service: `notes` is a server that
//! // tonic has generated, and in it `Caller::of(&request)?.user_id()` is who calls.
//! let notes = InterceptedService::new(notes, Bearer::new(verifier));
//! Server::builder().add_service(notes).serve("[::1]:50053".parse()?).await?;
//! # Ok(())
//! # }
//! ```

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
pub(crate) use client::{Fault, Link, Outage, Pace, Unanswered};
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
