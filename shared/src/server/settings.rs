//! What the operator can set about a server.

use std::{net::SocketAddr, sync::Arc};

use super::{Identity, Limits};
use crate::env::Env;

/// Where a server listens, how it proves who it is, and what it bears.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ADDR`: where calls come in.
    pub addr: SocketAddr,
    /// `METRICS_ADDR`: where Prometheus reads; nowhere if it is not set.
    pub metrics_addr: Option<SocketAddr>,
    /// `TLS_CERT` and `TLS_KEY`: what calls are encrypted with, if they are.
    pub tls: Option<Arc<Identity>>,
    /// Everything that is bounded.
    pub limits: Limits,
}

impl Settings {
    /// Reads the settings, each under the prefix of this environment.
    pub fn read(env: &mut Env, default: SocketAddr) -> Self {
        let tls = identity(env);
        Self {
            addr: addr(env, default, tls.is_some()),
            metrics_addr: {
                let name = env.full_name("METRICS_ADDR");
                env.socket_addr(&name)
            },
            tls,
            limits: Limits::read(env),
        }
    }
}

/// The certificate and its key, if both are set and fit.
fn identity(env: &mut Env) -> Option<Arc<Identity>> {
    let (cert, key) = (env.full_name("TLS_CERT"), env.full_name("TLS_KEY"));
    match (env.path(&cert), env.path(&key)) {
        (None, None) => None,
        (Some(cert_file), Some(key_file)) => match Identity::load(cert_file, key_file) {
            Ok(identity) => Some(Arc::new(identity)),
            Err(fault) => {
                env.fault(&cert, format!("and {key}: {fault}"));
                None
            }
        },
        (cert_file, _) => {
            let missing = if cert_file.is_some() { key } else { cert };
            env.fault(&missing, "is missing: a certificate and its key go together");
            None
        }
    }
}

/// Where to listen: beyond this machine only with TLS, or when the operator says that calls need
/// not be encrypted.
fn addr(env: &mut Env, default: SocketAddr, encrypted: bool) -> SocketAddr {
    let [name, cert, plaintext] =
        ["ADDR", "TLS_CERT", "ALLOW_PLAINTEXT"].map(|it| env.full_name(it));
    let allowed = env.flag(&plaintext);
    let addr = env.socket_addr(&name).unwrap_or(default);
    if !encrypted && !allowed && !addr.ip().to_canonical().is_loopback() {
        env.fault(
            &name,
            format!("is no loopback address, and calls are not encrypted: set {cert} and its key, or {plaintext}=true"),
        );
    }
    addr
}
