//! Whether a service is ready, in the words of `grpc.health.v1`.

use std::convert::Infallible;

use tokio::sync::watch;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as Check, HealthServer},
    server::{HealthReporter, health_reporter},
};

/// The name of the health service.
pub(super) const NAME: &str = "grpc.health.v1.Health";

/// What the services of a server say of themselves; by "" they are asked all at once.
#[derive(Debug)]
pub(super) struct Health {
    reporter: HealthReporter,
    names: Vec<&'static str>,
}

impl Health {
    /// Services that are not ready yet, and the service that says so.
    pub(super) async fn of(names: &[&'static str]) -> (Self, HealthServer<impl Check>) {
        let (reporter, checks) = health_reporter();
        let names = names.iter().copied().chain([""]).collect();
        let health = Self { reporter, names };
        health.not_serving().await;
        (health, checks)
    }

    /// Says whether the services are ready, now and as that changes.
    pub(super) async fn follow(&self, mut ready: watch::Receiver<bool>) -> Infallible {
        loop {
            let is_ready = *ready.borrow_and_update();
            self.report(if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing })
                .await;
            if ready.changed().await.is_err() {
                // Nobody is left who could change it.
                return std::future::pending().await;
            }
        }
    }

    pub(super) async fn not_serving(&self) {
        self.report(ServingStatus::NotServing).await;
    }

    async fn report(&self, status: ServingStatus) {
        for name in &self.names {
            self.reporter.set_service_status(*name, status).await;
        }
    }
}
