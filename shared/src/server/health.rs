//! Whether a service is ready, in the words of `grpc.health.v1`.

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

    pub(super) async fn serving(&self) {
        self.report(ServingStatus::Serving).await;
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
