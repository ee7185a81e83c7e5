//! Where the keys come from, and how that is known for sure.

use std::{fs, net::IpAddr, path::PathBuf, time::Duration};

use http::uri::PathAndQuery;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};

use crate::{env::Env, server::causes};

/// How long a connection may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection is tried that carries a stream. The stream's own silence is noticed
/// sooner; this closes what the other side would keep open.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// The service whose tokens are trusted. Whoever answers there hands out the keys, so it is asked
/// over TLS, or on this machine.
#[derive(Debug, Clone)]
pub struct Issuer {
    url: Uri,
    ca: Option<PathBuf>,
}

impl Issuer {
    /// An issuer at this URL, known by the authorities of this machine or by those in this file.
    #[must_use]
    pub fn new(url: Uri, ca: Option<PathBuf>) -> Self {
        Self { url, ca }
    }

    /// Reads `AUTH_URL`, `AUTH_CA` and `ALLOW_PLAINTEXT`.
    pub fn read(env: &mut Env, default: &'static str) -> Self {
        let (name, ca) = (env.full_name("AUTH_URL"), env.full_name("AUTH_CA"));
        let plaintext = env.full_name("ALLOW_PLAINTEXT");
        let issuer = Self::new(url(env, &name, default), env.path(&ca));
        match issuer.url.scheme_str() {
            Some("http") if issuer.ca.is_some() => {
                env.fault(
                    &ca,
                    format!("is set, but {name} is not encrypted: it must begin with https"),
                );
            }
            Some("http") if !is_loopback(&issuer.url) && !env.flag(&plaintext) => {
                let advice = format!("use https, or set {plaintext}=true");
                env.fault(&name, format!("names another machine without encryption: {advice}"));
            }
            _ => {
                if let Err(reason) = issuer.endpoint() {
                    env.fault(&ca, reason);
                }
            }
        }
        issuer
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// A channel that connects when it is used. The file of authorities is read anew for each: it
    /// may have been renewed.
    ///
    /// # Errors
    /// When the file can not be used.
    pub(super) fn channel(&self) -> Result<Channel, String> {
        Ok(self.endpoint()?.connect_lazy())
    }

    fn endpoint(&self) -> Result<Endpoint, String> {
        let endpoint = Endpoint::from(self.url.clone())
            .connect_timeout(TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(TIMEOUT);
        if self.url.scheme_str() != Some("https") {
            return Ok(endpoint);
        }
        let tls = match &self.ca {
            None => ClientTlsConfig::new().with_enabled_roots(),
            Some(path) => {
                let pem = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                if !CertificateDer::pem_slice_iter(&pem).any(|certificate| certificate.is_ok()) {
                    return Err(format!("{} holds no certificate in PEM", path.display()));
                }
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
        };
        endpoint.tls_config(tls).map_err(|error| match self.ca {
            Some(_) => causes(error),
            None => "is not set, and this machine has no authorities of its own".to_owned(),
        })
    }
}

fn url(env: &mut Env, name: &str, default: &'static str) -> Uri {
    let default = Uri::from_static(default);
    let Some(text) = env.text(name) else { return default };
    let is_whole = |url: &Uri| {
        let plain = url.authority().is_some_and(|it| !it.as_str().contains('@'));
        plain
            && matches!(url.scheme_str(), Some("http" | "https"))
            && matches!(url.path_and_query().map(PathAndQuery::as_str), None | Some("/"))
    };
    text.parse().ok().filter(is_whole).unwrap_or_else(|| {
        env.fault(name, "must be a URL of a machine and a port, as https://auth.example.com:50051");
        default
    })
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}
