//! The RPCs: parse, act, answer.

mod projects;
mod tasks;

use std::sync::Arc;

use prost_types::Timestamp;
use shared::{
    clock::Time,
    database::Engine,
    fields::Violations,
    ids::parse_id,
    metrics::Metrics,
    pb::task::{
        project_service_server::{self, ProjectServiceServer},
        task_service_server::{self, TaskServiceServer},
    },
    server::{MAX_RESPONSE_SIZE, Service},
    trust::Bearer,
};
use tonic::service::{Routes, interceptor::InterceptedService};
use uuid::Uuid;

use crate::{etag::Etag, pages::PageKey, store::SqlStore};
use projects::Projects;
use tasks::Tasks;

/// Both services, each behind the interceptor that lets nobody in without a token.
pub fn service<DB: Engine>(
    store: SqlStore<DB>,
    pages: PageKey,
    bearer: Bearer,
    request_size: usize,
    metrics: Metrics,
) -> Service {
    let store = Arc::new(store);
    let projects = Projects { store: Arc::clone(&store), pages: pages.clone() };
    let projects = ProjectServiceServer::new(projects)
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let tasks = TaskServiceServer::new(Tasks { store, pages })
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let mut routes = Routes::builder();
    routes
        .add_service(InterceptedService::new(projects, bearer.clone()))
        .add_service(InterceptedService::new(tasks, bearer));
    Service {
        routes,
        names: vec![project_service_server::SERVICE_NAME, task_service_server::SERVICE_NAME],
        metrics,
    }
}

/// The id of a request that has nothing else that could be wrong.
fn only_id(id: &str) -> Result<Uuid, Violations> {
    let mut bad = Violations::new();
    let id = bad.check("id", parse_id(id));
    bad.finish(id)
}

/// An etag, which may be left out: nothing if it is malformed.
#[expect(clippy::option_option, reason = "malformed and left out are two things")]
fn parse_etag(field: &str, etag: &str, bad: &mut Violations) -> Option<Option<Etag>> {
    if etag.is_empty() { Some(None) } else { bad.check(field, etag.parse()).map(Some) }
}

/// A time as it goes over the wire.
fn timestamp(time: impl Into<Option<Time>>) -> Option<Timestamp> {
    time.into().map(Timestamp::from)
}
