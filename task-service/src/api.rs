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
    server::{MAX_RESPONSE_SIZE, Places, Service},
    trust::{Bearer, Verifier},
};
use tonic::service::{Routes, interceptor::InterceptedService};
use uuid::Uuid;

use crate::{config::Config, etag::Etag, keys::Keys, store::SqlStore};
use projects::Projects;
use tasks::Tasks;

/// How many streams a caller may have open, on all connections.
const MOST_STREAMS: usize = 16;

/// Both services, each behind the interceptor that lets nobody in without a token.
pub fn service<DB: Engine>(
    store: SqlStore<DB>,
    keys: Keys,
    verifier: Arc<Verifier>,
    settings: &Config,
    metrics: Metrics,
) -> Service {
    let bearer = Bearer::new(Arc::clone(&verifier));
    let request_size = settings.server.limits.request_size;
    let store = Arc::new(store);
    let projects = Projects { store: Arc::clone(&store), keys: keys.clone() };
    let projects = ProjectServiceServer::new(projects)
        .max_decoding_message_size(request_size)
        .max_encoding_message_size(MAX_RESPONSE_SIZE);
    let tasks = Tasks {
        store,
        keys,
        verifier,
        retention: settings.retention,
        bookmark_interval: settings.bookmark_interval,
        places: Places::new(MOST_STREAMS),
    };
    let tasks = TaskServiceServer::new(tasks)
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

/// Which resource a request is about, and which version of it the caller has seen.
fn parse_target(id: &str, etag: &str, bad: &mut Violations) -> Option<(Uuid, Option<Etag>)> {
    let id = bad.check("id", parse_id(id));
    let seen = parse_etag("etag", etag, bad);
    id.zip(seen)
}

/// A time as it goes over the wire.
fn timestamp(time: impl Into<Option<Time>>) -> Option<Timestamp> {
    time.into().map(Timestamp::from)
}
