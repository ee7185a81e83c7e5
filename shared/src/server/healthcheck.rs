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

use super::{Settings, causes};

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

/// Asks the server of these settings, on this machine, whether it is ready.
///
/// # Errors
/// When it is not.
pub async fn healthcheck(settings: &Settings) -> Result<(), Unhealthy> {
    let addr = reachable(settings.addr);
    let silent = |reason: String| Unhealthy::Silent { addr, reason };
    let asked = async {
        let channel = endpoint(addr, settings)?.connect().await.map_err(causes)?;
        let request = HealthCheckRequest { service: String::new() };
        let answer = HealthClient::new(channel).check(request).await;
        answer.map(|answer| answer.into_inner().status()).map_err(|it| it.message().to_owned())
    };
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(Ok(ServingStatus::Serving)) => Ok(()),
        Ok(Ok(_)) => Err(Unhealthy::NotReady(addr)),
        Ok(Err(reason)) => Err(silent(reason)),
        Err(_) => Err(silent("no answer in time".to_owned())),
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

fn endpoint(addr: SocketAddr, settings: &Settings) -> Result<Endpoint, String> {
    let Some(identity) = &settings.tls else {
        return Endpoint::from_shared(format!("http://{addr}")).map_err(causes);
    };
    let endpoint = Endpoint::from_shared(format!("https://{addr}")).map_err(causes)?;
    let own = identity.certificate().ok_or("there is no certificate")?;
    let verifier = Arc::new(Own {
        own,
        algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
    });
    endpoint.tls_config_with_verifier(ClientTlsConfig::new(), verifier).map_err(causes)
}

/// Accepts the server's own certificate and no other: it is made for other names than the address
/// that is asked here.
#[derive(Debug)]
struct Own {
    own: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.own {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate than the configured one".to_owned()))
        }
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
