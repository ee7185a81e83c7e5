//! Has auth-service know task-service, by the secret that task-service will prove itself with.

use std::{
    fs::DirBuilder,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use auth_service::{
    commands::{Command, Services},
    config::Config as AuthConfig,
    services::{LEAST_SECRET, SCOPES},
};
use secrecy::ExposeSecret;
use shared::{clock::Clock, trust::Credential};
use task_service::config::Config as TaskConfig;
use tempfile::NamedTempFile;

use crate::Failure;

/// Registers task-service on the database of auth-service. It may be registered already, with the
/// same secret. A file that the secret is to be in is made if it is missing.
pub(crate) async fn register(auth: &AuthConfig, task: &TaskConfig) -> Result<(), Failure> {
    let credential = task.trust.credential();
    let registered = match credential.file() {
        Some(file) => register_with(auth, credential, file).await,
        None => match draft(credential) {
            Ok(draft) => register_with(auth, credential, draft.path()).await,
            Err(failure) => Err(failure),
        },
    };
    registered.map_err(|failure| {
        format!("{} is not registered with auth-service: {failure}", credential.service()).into()
    })
}

async fn register_with(
    auth: &AuthConfig,
    credential: &Credential,
    secret: &Path,
) -> Result<(), Failure> {
    if let Some(directory) = secret.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let add = Command::Services(Services::Add {
        name: credential.service().to_owned(),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        secret_file: Some(secret.to_owned()),
    });
    auth_service::operate(auth, &Clock::system(), add, &mut io::empty()).await?;
    Ok(())
}

/// The secret of the configuration in a file for us alone, which goes with this value: it is never an
/// argument of a program.
fn draft(credential: &Credential) -> Result<NamedTempFile, Failure> {
    let secret = credential.secret()?;
    if secret.expose_secret().len() < LEAST_SECRET {
        return Err(format!("TASK_SERVICE_SECRET must be at least {LEAST_SECRET} bytes").into());
    }
    let mut file = NamedTempFile::new()?;
    file.write_all(secret.expose_secret().as_bytes())?;
    Ok(file)
}
