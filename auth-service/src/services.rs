//! Services that have tokens of their own, and what they may do with them.

use aws_lc_rs::{
    constant_time,
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use shared::{clock::Time, env::is_name, trust::WATCH_SCOPE};
use uuid::Uuid;

use crate::keys::KeyFault;

/// The shortest secret of a service that is not made here, in bytes.
pub const LEAST_SECRET: usize = 32;
/// The longest secret that is looked at, in bytes.
pub const MOST_SECRET: usize = 512;
/// Every scope that there is.
pub const SCOPES: [&str; 1] = [WATCH_SCOPE];

/// A registered service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its registration, which its tokens name as their session.
    pub id: Uuid,
    /// What its secret is checked against.
    pub secret_hash: SecretHash,
    /// What its tokens allow.
    pub scopes: Vec<String>,
    /// When it was registered.
    pub create_time: Time,
}

/// The SHA-256 of a service's secret. That is enough: nobody chooses the secret, so nobody guesses it.
#[derive(Clone)]
pub struct SecretHash(pub [u8; 32]);

/// Why a service can not be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceFault {
    /// Not a name.
    #[error("a service's name must be 1 to 64 visible ASCII characters, no UUID and no comma")]
    Name,
    /// Not a secret.
    #[error("a service's secret must be 32 to 512 bytes")]
    Secret,
    /// Not a scope.
    #[error("there is no scope {0}; there are: {list}", list = SCOPES.join(", "))]
    Scope(String),
}

impl Service {
    /// A service of this name that has this secret.
    ///
    /// # Errors
    /// When there can be no such service.
    pub fn new(
        name: String,
        secret: &SecretString,
        scopes: Vec<String>,
        create_time: Time,
    ) -> Result<Self, ServiceFault> {
        // A token's subject is a user if it is a UUID.
        if !is_name(&name) || Uuid::try_parse(&name).is_ok() {
            return Err(ServiceFault::Name);
        }
        if !(LEAST_SECRET..=MOST_SECRET).contains(&secret.expose_secret().len()) {
            return Err(ServiceFault::Secret);
        }
        if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
            return Err(ServiceFault::Scope(unknown.clone()));
        }
        let secret_hash = SecretHash::of(secret);
        Ok(Self { name, id: Uuid::new_v4(), secret_hash, scopes, create_time })
    }

    /// A secret that nobody can guess.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn make_secret() -> Result<SecretString, KeyFault> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rand::fill(bytes.as_mut()).map_err(|_| KeyFault::Library)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into())
    }
}

impl SecretHash {
    /// What this secret is checked against.
    #[must_use]
    pub fn of(secret: &SecretString) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, secret.expose_secret().as_bytes()).as_ref());
        Self(hash)
    }
}

impl PartialEq for SecretHash {
    /// Takes the same time wherever they differ.
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for SecretHash {}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash")
    }
}
