//! The secret key: the file that keeps it when the configuration has none, and what is derived from
//! it.

use std::{
    fmt::Write as _,
    fs,
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use aws_lc_rs::{
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand,
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use shared::env::read_secret_file;

use crate::config::{LEAST_SECRET, SecretKey, SecretKeys};

/// How many bytes a derived key has.
const DERIVED: usize = 32;

/// The secrets that everything is derived from which must be kept secret.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The one in force.
    pub current: SecretString,
    /// The one before it, while what was sealed with that is not sealed anew.
    pub previous: Option<SecretString>,
}

impl Secrets {
    /// This secret alone, in force.
    #[must_use]
    pub fn only(current: &str) -> Self {
        Self { current: current.into(), previous: None }
    }

    /// The one in force, and then the one before it.
    pub fn each(&self) -> impl Iterator<Item = &SecretString> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten()
    }
}

/// The secrets that the operator has set. A file that is missing is made if `first_start`; later a new
/// one would open nothing that is sealed already.
///
/// # Errors
/// When the file can not be read or made, or is too short.
pub fn load(keys: &SecretKeys, first_start: bool) -> Result<Secrets, SecretKeyFault> {
    let current = match &keys.current {
        SecretKey::Set(secret) => secret.clone(),
        SecretKey::File(path) => {
            let fault = |source| SecretKeyFault { path: path.display().to_string(), source };
            load_file(path, first_start).map_err(fault)?
        }
    };
    Ok(Secrets { current, previous: keys.previous.clone() })
}

/// The secret in this file. If it is missing it is made, for its owner alone, if that is wanted.
///
/// # Errors
/// When the file can not be read or made, or is too short.
pub fn load_file(path: &Path, make_it: bool) -> io::Result<SecretString> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && make_it => {
            make(path).and_then(|()| read(path))
        }
        result => result,
    }
}

/// Derives a key for one purpose: the same secret serves others by other labels.
///
/// # Errors
/// When the cryptographic library fails.
pub fn derive(
    secret: &SecretString,
    purpose: &[u8],
) -> Result<Zeroizing<[u8; DERIVED]>, Unspecified> {
    let mut key = Zeroizing::new([0; DERIVED]);
    Salt::new(HKDF_SHA256, &[])
        .extract(secret.expose_secret().as_bytes())
        .expand(&[purpose], Length)
        .and_then(|material| material.fill(key.as_mut()))?;
    Ok(key)
}

/// How many bytes to derive.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        DERIVED
    }
}

/// Why there is no secret key.
#[derive(Debug, thiserror::Error)]
#[error("AUTH_SECRET_KEY is not set, and {path}: {source}")]
pub struct SecretKeyFault {
    path: String,
    source: io::Error,
}

fn read(path: &Path) -> io::Result<SecretString> {
    let secret = read_secret_file(path)?;
    if secret.expose_secret().len() < LEAST_SECRET {
        return Err(io::Error::new(ErrorKind::InvalidData, "too short for a secret key"));
    }
    Ok(secret)
}

/// Makes the file, for its owner alone and whole from the moment that it is there: of two processes
/// that start at once, both read what one of them has made.
fn make(path: &Path) -> io::Result<()> {
    let mut random = Zeroizing::new([0_u8; 32]);
    rand::fill(random.as_mut()).map_err(|_| io::Error::other("no random numbers"))?;
    let mut hex = Zeroizing::new(String::new());
    for byte in random.iter() {
        write!(hex, "{byte:02x}").map_err(io::Error::other)?;
    }

    let draft = path.with_extension(format!("key.{}", uuid::Uuid::new_v4()));
    let made = write(&draft, &hex).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    });
    // A draft that could not be written may not be there.
    made.and(fs::remove_file(&draft))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, thread};

    use super::*;

    #[test]
    fn processes_that_start_at_once_agree_on_one_private_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.key");
        let load = || load_file(&path, true).unwrap().expose_secret().to_owned();
        let secrets = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0] && secret.len() == 64));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_lost_or_cut_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.key");
        let current = SecretKey::File(path.clone());
        let key = SecretKeys { current, previous: None };
        assert!(load(&key, false).unwrap_err().to_string().contains("auth.key"));
        assert!(!path.exists());
        fs::write(&path, "short\n").unwrap();
        assert!(load(&key, true).unwrap_err().to_string().contains("too short"));
    }
}
