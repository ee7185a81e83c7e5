//! An echo in the shell of the services, for whoever has a token.

use std::{sync::Arc, time::Duration};

use shared::{
    clock::Clock,
    metrics::Metrics,
    pb::{
        auth::{ListSigningKeysRequest, auth_service_client::AuthServiceClient},
        task::task_service_server::{SERVICE_NAME, TaskServiceServer},
    },
    server::{self, Listeners, Service, Settings, ended_by_operator},
    trust::{Bearer, Expected, Head, News, PublicKey, Verifier},
};
use tonic::{
    service::{Routes, interceptor::InterceptedService},
    transport::Endpoint,
};
use uuid::Uuid;

use crate::{Failure, echo::Echo, rpcs::Rpcs};

/// Serves those whose tokens are of this auth-service, by the keys that it has now.
pub(crate) async fn serve(auth: &str, settings: &Settings) -> Result<(), Failure> {
    let shutdown = ended_by_operator()?;
    let verifier = Arc::new(verifier(auth).await?);
    let listeners = Listeners::bind("floor", settings).await?;
    let tasks = TaskServiceServer::new(Rpcs(Echo))
        .max_decoding_message_size(settings.limits.request_size)
        .max_encoding_message_size(server::MAX_RESPONSE_SIZE);
    let mut routes = Routes::builder();
    routes.add_service(InterceptedService::new(tasks, Bearer::new(Arc::clone(&verifier))));
    let service = Service { routes, names: vec![SERVICE_NAME], metrics: Metrics::default() };
    Ok(server::serve(listeners, settings, service, verifier.readiness(), shutdown).await?)
}

async fn verifier(auth: &str) -> Result<Verifier, Failure> {
    let channel = Endpoint::from_shared(auth.to_owned())?.connect_lazy();
    let keys = AuthServiceClient::new(channel).list_signing_keys(ListSigningKeysRequest {}).await?;
    let keys: Result<Vec<_>, _> =
        keys.into_inner().signing_keys.iter().map(PublicKey::try_from).collect();
    let expected = Expected {
        issuer: "taskmanager".to_owned(),
        audience: "task-service".to_owned(),
        max_staleness: Duration::from_hours(2),
    };
    let verifier = Verifier::new(expected, Clock::system());
    let head = Some(Head { epoch: Uuid::new_v4(), sequence: 0 });
    verifier.learn(&News { head, keys: Some(keys?), ..News::default() });
    Ok(verifier)
}
