//! Certificates for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig};

/// An authority that issues certificates, into a directory of its own.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    /// A new authority.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Self { issuer, directory };
        fs::write(authority.file(), authority.issuer.pem()).expect("the file is written");
        authority
    }

    /// The file that those who trust this authority are given.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// What a client needs to trust it.
    #[must_use]
    pub fn trusted(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.issuer.pem()))
    }

    /// Issues a certificate for this name. Returns its file and that of its key.
    #[must_use]
    pub fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let files =
            ["cert", "key"].map(|kind| self.directory.path().join(format!("{name}.{kind}")));
        let [cert, key] = files;
        self.issue_into(name, &cert, &key);
        (cert, key)
    }

    /// Issues a certificate into these files.
    pub fn issue_into(&self, name: &str, cert: &Path, key: &Path) {
        let pair = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let issued = params.signed_by(&pair, &self.issuer).expect("a certificate");
        // Not at once: whoever watches the files must bear to see one of them changed.
        fs::write(cert, issued.pem()).expect("the file is written");
        fs::write(key, pair.serialize_pem()).expect("the file is written");
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
