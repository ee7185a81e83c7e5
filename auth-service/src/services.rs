//! Services that have tokens of their own, and what they may do with them.

use aws_lc_rs::{
    constant_time,
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use shared::{clock::Time, env::is_name, erasure::CONFIRM_SCOPE, trust::WATCH_SCOPE};
use uuid::Uuid;

use crate::{erasures::OWN_PART, keys::KeyFault};

/// The shortest secret of a service that is not made here, in bytes.
pub const LEAST_SECRET: usize = 32;
/// The longest secret that is looked at, in bytes.
pub const MOST_SECRET: usize = 512;
/// Every scope that there is.
pub const SCOPES: [&str; 2] = [WATCH_SCOPE, CONFIRM_SCOPE];

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
    /// The name of this service.
    #[error("{OWN_PART} is the name of this service itself")]
    OwnName,
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
        if name == OWN_PART {
            return Err(ServiceFault::OwnName);
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

    /// Whether erasures wait for it.
    #[must_use]
    pub fn must_confirm(&self) -> bool {
        self.scopes.iter().any(|scope| scope == CONFIRM_SCOPE)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, secret: &str, scopes: &[&str]) -> Result<Service, ServiceFault> {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        Service::new(name.to_owned(), &secret.to_owned().into(), scopes, Time::from_seconds(0))
    }

    #[test]
    fn a_service_has_a_name_a_secret_and_scopes_that_there_are() {
        let (secret, scopes) = ("s".repeat(LEAST_SECRET), [WATCH_SCOPE]);
        for name in ["task-service", "a", &"n".repeat(64), "0123456789"] {
            assert_eq!(service(name, &secret, &scopes).unwrap().name, name);
        }
        // What would be taken for a user, in any spelling, is none either.
        let id = Uuid::new_v4();
        let ids = [id.to_string(), id.simple().to_string(), id.urn().to_string()];
        let bad = ["", "two words", "a,b", "größe", "a\n", &"n".repeat(65)];
        for name in bad.into_iter().chain(ids.iter().map(String::as_str)) {
            assert_eq!(service(name, &secret, &scopes), Err(ServiceFault::Name), "{name:?}");
        }
        for secret in ["", &"s".repeat(LEAST_SECRET - 1), &"s".repeat(MOST_SECRET + 1)] {
            assert_eq!(service("a", secret, &scopes), Err(ServiceFault::Secret));
        }
        service("a", &"s".repeat(MOST_SECRET), &scopes).unwrap();
        for scope in ["", "trust", "trust.watch ", "Trust.watch", "trust.watch,x"] {
            let fault = service("a", &secret, &[WATCH_SCOPE, scope]).unwrap_err();
            assert_eq!(fault, ServiceFault::Scope(scope.to_owned()));
            assert!(fault.to_string().contains(WATCH_SCOPE), "{fault}");
        }
    }

    #[test]
    fn a_secret_is_random_fits_and_is_not_shown() {
        let [one, other] = [(); 2].map(|()| Service::make_secret().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        let service = service("a", one.expose_secret(), &[WATCH_SCOPE]).unwrap();
        assert_eq!(service.secret_hash, SecretHash::of(&one));
        assert_ne!(service.secret_hash, SecretHash::of(&other));
        let shown = format!("{service:?} {one:?}");
        assert!(!shown.contains(one.expose_secret()), "{shown}");
    }
}
