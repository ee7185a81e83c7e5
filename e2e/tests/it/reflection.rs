//! What grpcurl and grpcui live on: reflection of both versions, and health by name.

use std::collections::BTreeSet;

use e2e::{AuthServer, TaskServer};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

#[tokio::test]
async fn both_versions_of_reflection_name_the_services() {
    let auth = AuthServer::start().await;
    let task = TaskServer::start(&auth).await;
    for (channel, package, services) in [
        (
            auth.channel(),
            "taskmanager.auth.v1",
            ["AuthService", "TrustService", "UserService"].as_slice(),
        ),
        (task.channel(), "taskmanager.task.v1", ["ProjectService", "TaskService"].as_slice()),
    ] {
        let own = services.iter().map(|service| format!("{package}.{service}"));
        let own: BTreeSet<_> = own.collect();
        for named in [services_v1(channel.clone()).await, services_v1alpha(channel).await] {
            let named = named.into_iter().filter(|name| name.starts_with("taskmanager."));
            assert_eq!(named.collect::<BTreeSet<_>>(), own);
        }
    }
}

async fn services_v1(channel: Channel) -> Vec<String> {
    use v1::server_reflection_response::MessageResponse::ListServicesResponse;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response;
    let Some(ListServicesResponse(services)) = answer else { panic!("{answer:?}") };
    services.service.into_iter().map(|service| service.name).collect()
}

async fn services_v1alpha(channel: Channel) -> Vec<String> {
    use v1alpha::server_reflection_response::MessageResponse::ListServicesResponse;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request =
        v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response;
    let Some(ListServicesResponse(services)) = answer else { panic!("{answer:?}") };
    services.service.into_iter().map(|service| service.name).collect()
}

#[tokio::test]
async fn health_knows_each_service_by_name() {
    let auth = AuthServer::start().await;
    let mut health = HealthClient::new(auth.channel());
    for name in ["", "taskmanager.auth.v1.AuthService", "taskmanager.auth.v1.UserService"] {
        let request = HealthCheckRequest { service: name.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
    }
    let unknown = HealthCheckRequest { service: "taskmanager.Unknown".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
}
