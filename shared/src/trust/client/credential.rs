//! What a service proves itself to the issuer with.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::env::read_secret_file;

/// The name of a service and the secret that the issuer's operator was given for it.
#[derive(Debug, Clone)]
pub struct Credential {
    service: String,
    secret: Secret,
}

#[derive(Debug, Clone)]
enum Secret {
    InHand(SecretString),
    InFile(PathBuf),
}

impl Credential {
    /// A service with a secret that is known from the start.
    #[must_use]
    pub fn new(service: impl Into<String>, secret: SecretString) -> Self {
        Self { service: service.into(), secret: Secret::InHand(secret) }
    }

    /// A service whose secret is in a file, less the end of its line. It is read anew for each connection,
    /// so it may come later, and it may change.
    #[must_use]
    pub fn in_file(service: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { service: service.into(), secret: Secret::InFile(path.into()) }
    }

    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The file that the secret is read from; `None` if it is known from the start.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.secret {
            Secret::InHand(_) => None,
            Secret::InFile(path) => Some(path),
        }
    }

    /// The secret as it is now. This may read a file.
    ///
    /// # Errors
    /// When the file can not be read, or is empty.
    pub fn secret(&self) -> Result<SecretString, String> {
        let path = match &self.secret {
            Secret::InHand(secret) => return Ok(secret.clone()),
            Secret::InFile(path) => path,
        };
        read_secret_file(path).map_err(|error| {
            let (file, service) = (path.display(), &self.service);
            let advice = format!("auth-service services add {service} --secret-file {file}");
            format!("{file}: {error}; `{advice}` makes it")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_may_come_later_and_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("task.secret");
        let credential = Credential::in_file("task-service", &path);
        assert_eq!(credential.file(), Some(path.as_path()));
        assert!(credential.secret().unwrap_err().contains("task.secret"));
        for secret in ["one", "two"] {
            fs::write(&path, format!("{secret}\n")).unwrap();
            assert_eq!(credential.secret().unwrap().expose_secret(), secret);
        }
        fs::write(&path, "\n").unwrap();
        assert!(credential.secret().unwrap_err().contains("it is empty"));
    }

    #[test]
    fn the_secret_is_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"hunter2\xff").unwrap();
        let in_hand = Credential::new("task-service", "hunter2".into());
        let in_file = Credential::in_file("task-service", path);
        let shown = format!("{in_hand:?} {in_file:?} {:?}", in_file.secret().unwrap_err());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
