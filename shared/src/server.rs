//! The shell that both services run in: limits, deadlines, TLS, call ids, health, reflection, an end
//! that comes.
//!
//! `connection.rs` takes a peer from its socket to HTTP/2, `call.rs` takes a request through
//! everything that is done for every RPC, and `answer.rs` sees its response out. What they go by is
//! set in `settings.rs` and `limits.rs`.

mod settings;
mod limits;
mod listen;
mod connection;
mod patient;
mod peer;
mod tls;
mod call;
mod call_id;
mod admission;
mod deadline;
mod record;
mod answer;
mod end;
mod places;
mod rpcs;
mod health;
mod probe;
mod drain;

pub use limits::Limits;
pub use listen::{Listeners, block_on, ended_by_operator};
pub use places::{Places, TakenPlace};
pub use probe::{Probe, Unhealthy};
pub use settings::Settings;
pub use tls::{Identity, TlsFault};

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use tokio::sync::watch;
use tonic::service::RoutesBuilder;
use tonic_reflection::server::Builder as Reflection;

use crate::{metrics::Metrics, pb::FILE_DESCRIPTOR_SET, telemetry};
use call::Shell;
use connection::Acceptor;
use health::Health;

/// The most bytes of one response: what clients accept unless they are told otherwise.
pub const MAX_RESPONSE_SIZE: usize = 4 * 1024 * 1024;

/// The most bytes of one request for health or reflection.
const COMMON_REQUEST_SIZE: usize = 16 * 1024;

/// A service without its listener: its RPCs, the names that its health is asked by, its metrics.
#[derive(Debug)]
pub struct Service {
    /// The RPCs.
    pub routes: RoutesBuilder,
    /// The full names of the protobuf services.
    pub names: Vec<&'static str>,
    /// What the service tells about itself; the shell adds what it sees.
    pub metrics: Metrics,
}

/// Serves until `shutdown`, then until the calls that are under way have ended, as long as the
/// limits allow. Health says `SERVING` while `ready` is true, and `NOT_SERVING` while it is not and
/// from `shutdown` on.
///
/// # Errors
/// When reflection can not be built.
pub async fn serve(
    listeners: impl Into<Listeners>,
    settings: &Settings,
    mut service: Service,
    ready: watch::Receiver<bool>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let Listeners { calls, metrics: scrapes } = listeners.into();
    telemetry::report(&mut service.metrics);
    let (health, checks) = Health::of(&service.names).await;
    service
        .routes
        .add_service(checks.max_decoding_message_size(COMMON_REQUEST_SIZE))
        .add_service(
            reflection(&service.names).build_v1()?.max_decoding_message_size(COMMON_REQUEST_SIZE),
        )
        .add_service(
            reflection(&service.names)
                .build_v1alpha()?
                .max_decoding_message_size(COMMON_REQUEST_SIZE),
        );
    let shell = Shell::new(service.routes.routes(), &service.names, settings, &mut service.metrics);
    let acceptor = Arc::new(Acceptor::new(shell, settings, &mut service.metrics));

    let mut serving = Box::pin(async {
        tokio::select! {
            never = acceptor.accept(calls) => never,
            never = follow(settings.tls.clone()) => never,
            never = service.metrics.serve(scrapes) => never,
        }
    });
    tokio::select! {
        never = &mut serving => match never {},
        never = health.follow(ready) => match never {},
        () = shutdown => {}
    }
    health.not_serving().await;
    // Those who watch the health turn elsewhere before the listener is gone.
    drop(tokio::time::timeout(settings.limits.shutdown_delay, &mut serving).await);
    drop(serving);
    acceptor.drain(settings.limits.drain_timeout).await;
    Ok(())
}

async fn follow(tls: Option<Arc<Identity>>) -> Infallible {
    match tls {
        Some(identity) => identity.follow().await,
        None => std::future::pending().await,
    }
}

/// Shows the service's own RPCs, and the error details, which clients could not read otherwise.
fn reflection(names: &[&'static str]) -> Reflection<'static> {
    let reflection = Reflection::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
    let names = names.iter().copied().chain([health::NAME]);
    names.fold(reflection, Reflection::with_service_name)
}

/// An error of the transport says little; what caused it says more.
pub(crate) fn causes(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Why serving did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can not be listened on.
    #[error("can not listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The descriptors that reflection shows are broken.
    #[error("reflection can not be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}
