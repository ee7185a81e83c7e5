//! A server asks itself whether it is healthy, for those who start it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tonic::transport::{ClientTlsConfig, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::causes;
use crate::env::Env;

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a server is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nobody answers.
    #[error("{addr} does not answer: {reason}")]
    Silent {
        /// Where the server should be.
        addr: SocketAddr,
        /// What came instead.
        reason: String,
    },
    /// It says so itself.
    #[error("{0} is not ready")]
    NotReady(SocketAddr),
}

/// Where a server of this machine should answer.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Its address; one that stands for all addresses will do.
    pub addr: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Probe {
    /// Reads as little as it needs. A server goes on with the settings and the certificate that it
    /// has, whatever has become of them since.
    #[must_use]
    pub fn read(env: &mut Env, default: SocketAddr) -> Self {
        let (addr, cert) = (env.full_name("ADDR"), env.full_name("TLS_CERT"));
        let addr = env.socket_addr(&addr).unwrap_or(default);
        Self { addr, tls: env.path(&cert).is_some() }
    }

    /// Asks the server whether it is ready.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ask(self) -> Result<(), Unhealthy> {
        let addr = reachable(self.addr);
        let silent = |reason: String| Unhealthy::Silent { addr, reason };
        let asked = async {
            let channel = self.endpoint(addr)?.connect().await.map_err(causes)?;
            let request = HealthCheckRequest { service: String::new() };
            let answer = HealthClient::new(channel).check(request).await;
            answer.map(|answer| answer.into_inner().status()).map_err(causes)
        };
        match tokio::time::timeout(TIMEOUT, asked).await {
            Ok(Ok(ServingStatus::Serving)) => Ok(()),
            Ok(Ok(_)) => Err(Unhealthy::NotReady(addr)),
            Ok(Err(reason)) => Err(silent(reason)),
            Err(_) => Err(silent("no answer in time".to_owned())),
        }
    }

    fn endpoint(self, addr: SocketAddr) -> Result<Endpoint, String> {
        if !self.tls {
            return Endpoint::from_shared(format!("http://{addr}")).map_err(causes);
        }
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        Endpoint::from_shared(format!("https://{addr}"))
            .and_then(|endpoint| {
                let any = Arc::new(Any { algorithms });
                endpoint.tls_config_with_verifier(ClientTlsConfig::new(), any)
            })
            .map_err(causes)
    }
}

/// A server that listens everywhere can be reached here.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => addr.ip(),
    };
    SocketAddr::new(ip, addr.port())
}

/// Accepts any certificate: the server is asked by an address that its certificate is not made for,
/// on its own machine, and told no secret.
#[derive(Debug)]
struct Any {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _shown: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
