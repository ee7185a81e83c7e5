//! The certificate of a server, taken anew from its files whenever they change.

use std::{convert::Infallible, fmt, fs, io, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret, SecretSlice};
use tokio::{task::spawn_blocking, time::interval};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// A certificate and its key.
pub struct Identity {
    files: Files,
    read: ArcSwap<Pem>,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// What the files held.
struct Pem {
    cert: Vec<u8>,
    key: SecretSlice<u8>,
}

/// The certificate that the next handshake shows.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

/// Why a certificate can not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file can not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no {expected} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The certificate or the key is no good, or they are no pair.
    #[error("{0}")]
    Pair(#[from] rustls::Error),
}

impl Identity {
    /// Reads the certificate, with the chain that proves it, and its key, both PEM.
    ///
    /// # Errors
    /// When a file can not be read, or they do not go together.
    pub fn load(cert: PathBuf, key: PathBuf) -> Result<Self, TlsFault> {
        let files = Files { cert, key };
        let pem = files.read()?;
        let pair = files.parse(&pem)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(pair)));
        Ok(Self { files, read: ArcSwap::from_pointee(pem), current })
    }

    /// The server's own certificate as it is shown now.
    #[cfg(test)]
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.current.0.load().cert.first().cloned()
    }

    /// What takes a connection through the handshake, always with the certificate of the moment.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = Arc::clone(&self.current);
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(current);
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Takes over what the files hold, for as long as it is polled. What is no good is left alone:
    /// the certificate before it goes on.
    pub(super) async fn follow(self: Arc<Self>) -> Infallible {
        let mut ticks = interval(INTERVAL);
        let mut told = None;
        loop {
            ticks.tick().await;
            // A file system that hangs must not hang the service.
            let identity = Arc::clone(&self);
            let fault = match spawn_blocking(move || identity.renew()).await {
                Ok(renewed) => renewed.err().map(|fault| fault.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(fault) = fault.as_ref().filter(|_| fault != told) {
                tracing::error!(fault, "the new certificate can not be used");
            }
            told = fault;
        }
    }

    fn renew(&self) -> Result<(), TlsFault> {
        let pem = self.files.read()?;
        if *self.read.load_full() == pem {
            return Ok(());
        }
        self.current.0.store(Arc::new(self.files.parse(&pem)?));
        self.read.store(Arc::new(pem));
        tracing::info!(file = %self.files.cert.display(), "the certificate is renewed");
        Ok(())
    }
}

impl Files {
    fn read(&self) -> Result<Pem, TlsFault> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| TlsFault::File { path: path.clone(), source })
        };
        Ok(Pem { cert: read(&self.cert)?, key: read(&self.key)?.into() })
    }

    fn parse(&self, pem: &Pem) -> Result<CertifiedKey, TlsFault> {
        let no = |expected, path: &PathBuf| TlsFault::Pem { path: path.clone(), expected };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.cert).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| no("certificate", &self.cert))?;
        let key = PrivateKeyDer::from_pem_slice(pem.key.expose_secret());
        let key = key.map_err(|_| no("private key", &self.key))?;
        Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
    }
}

impl PartialEq for Pem {
    fn eq(&self, other: &Self) -> bool {
        self.cert == other.cert && self.key.expose_secret() == other.key.expose_secret()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn write_pair(cert: &Path, key: &Path) {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(cert, pair.cert.pem()).unwrap();
        fs::write(key, pair.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn what_is_no_good_is_not_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["cert", "key", "other cert", "other key"].map(|it| directory.path().join(it));
        let [cert, key, other_cert, other_key] = &files;
        write_pair(cert, key);
        write_pair(other_cert, other_key);
        let identity = Identity::load(cert.clone(), key.clone()).unwrap();
        let first = identity.certificate();

        let good = fs::read(cert).unwrap();
        for bad in [b"nonsense".to_vec(), Vec::new(), fs::read(other_cert).unwrap()] {
            fs::write(cert, bad).unwrap();
            identity.renew().unwrap_err();
            assert_eq!(identity.certificate(), first);
        }
        fs::remove_file(cert).unwrap();
        identity.renew().unwrap_err();
        fs::write(cert, good).unwrap();
        identity.renew().unwrap();
        assert_eq!(identity.certificate(), first);

        fs::copy(other_cert, cert).unwrap();
        fs::copy(other_key, key).unwrap();
        identity.renew().unwrap();
        assert_ne!(identity.certificate(), first);
    }

    #[test]
    fn no_key_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let (cert, key) = (directory.path().join("cert"), directory.path().join("key"));
        write_pair(&cert, &key);
        let pem = fs::read_to_string(&key).unwrap();
        let identity = Identity::load(cert.clone(), key).unwrap();
        let secret = pem.lines().nth(1).unwrap();
        assert!(!format!("{identity:?}").contains(secret));
        let fault = Identity::load(cert.clone(), cert).unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains("-----"));
    }
}
