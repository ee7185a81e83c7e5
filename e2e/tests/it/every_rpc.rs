//! Every RPC that the descriptors name, without a token: none answers but the few public ones.

use std::collections::BTreeSet;

use e2e::{AuthServer, Engine, Identity, TaskServer, on_every_engine, refused};
use prost::Message;
use prost_types::{FileDescriptorSet, MethodOptions, method_options::IdempotencyLevel};
use shared::pb::FILE_DESCRIPTOR_SET;
use tonic::{
    Code, Request, Response, Status, client::Grpc, service::interceptor::InterceptedService,
    transport::Channel,
};
use tonic_prost::ProstCodec;

on_every_engine!(
    no_rpc_but_the_public_ones_answers_without_a_token,
    every_rpc_that_needs_a_token_tells_a_good_one_from_a_bad_one,
    each_service_serves_its_own_rpcs_and_no_others,
);

/// The RPCs that need no token.
const PUBLIC: [&str; 8] = [
    "/taskmanager.auth.v1.AuthService/GetErasure",
    "/taskmanager.auth.v1.AuthService/IssueServiceToken",
    "/taskmanager.auth.v1.AuthService/ListSigningKeys",
    "/taskmanager.auth.v1.AuthService/Login",
    "/taskmanager.auth.v1.AuthService/Logout",
    "/taskmanager.auth.v1.AuthService/RefreshToken",
    "/taskmanager.auth.v1.AuthService/Register",
    "/taskmanager.auth.v1.AuthService/ValidateToken",
];

/// The path of every RPC, with its options.
fn rpcs() -> Vec<(String, MethodOptions)> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let files = files.into_iter().filter(|file| file.package().starts_with("taskmanager."));
    files
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        })
        .flat_map(|(package, service)| {
            let name = format!("/{package}.{}", service.name());
            service.method.into_iter().map(move |method| {
                (format!("{name}/{}", method.name()), method.options.unwrap_or_default())
            })
        })
        .collect()
}

/// Calls any RPC with an empty request.
async fn call(channel: Channel, who: Identity, path: &str) -> Result<Response<()>, Status> {
    let mut client = Grpc::new(InterceptedService::new(channel, who));
    client.ready().await.unwrap();
    client.unary(Request::new(()), path.parse().unwrap(), ProstCodec::<(), ()>::default()).await
}

async fn no_rpc_but_the_public_ones_answers_without_a_token(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let task = TaskServer::start(&auth).await;
    let mut public = BTreeSet::new();
    let rpcs = rpcs();
    assert!(rpcs.len() >= 30, "{rpcs:?}");
    for (path, _) in rpcs {
        let server = if path.contains(".auth.") { auth.channel() } else { task.channel() };
        match call(server, Identity::default(), &path).await {
            Err(status) if status.code() == Code::Unauthenticated => {
                assert_eq!(refused::<()>(Err(status)).reason, "TOKEN_MISSING", "{path}");
            }
            Err(status) => {
                assert_ne!(status.code(), Code::Unimplemented, "{path} is not served");
                public.insert(path);
            }
            Ok(_) => drop(public.insert(path)),
        }
    }
    assert_eq!(public, PUBLIC.map(str::to_owned).into());
}

/// A service without its interceptor lets nobody in, and so would pass the test above; but it could
/// not tell a bad token from none, or a good one from either.
async fn every_rpc_that_needs_a_token_tells_a_good_one_from_a_bad_one(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let task = TaskServer::start(&auth).await;
    let ann = auth.register("ann").await;
    for (path, _) in rpcs().into_iter().filter(|(path, _)| !PUBLIC.contains(&path.as_str())) {
        let server = if path.contains(".auth.") { auth.channel() } else { task.channel() };
        let bad = call(server.clone(), Identity::bearer("bad"), &path).await;
        assert_eq!(refused(bad).kind(), (Code::Unauthenticated, "TOKEN_INVALID"), "{path}");
        let good = call(server, Identity::bearer(&ann.token), &path).await;
        assert_ne!(good.err().map(|status| status.code()), Some(Code::Unauthenticated), "{path}");
    }
}

async fn each_service_serves_its_own_rpcs_and_no_others(on: Engine) {
    let auth = AuthServer::start_on(on).await;
    let task = TaskServer::start(&auth).await;
    for (path, _) in rpcs() {
        let other = if path.contains(".auth.") { task.channel() } else { auth.channel() };
        let refused = refused(call(other, Identity::default(), &path).await);
        assert_eq!(refused.kind(), (Code::Unimplemented, "UNKNOWN_RPC"), "{path}");
    }
}

#[test]
fn every_rpc_says_whether_it_may_be_repeated() {
    for (path, options) in rpcs() {
        let level = options.idempotency_level.map(IdempotencyLevel::try_from);
        assert!(matches!(level, Some(Ok(_))), "{path}");
        let name = path.rsplit('/').next().unwrap();
        let reads = ["Get", "List", "Watch", "ValidateToken", "IssueServiceToken"]
            .iter()
            .any(|verb| name.starts_with(verb));
        assert_eq!(level == Some(Ok(IdempotencyLevel::NoSideEffects)), reads, "{path}");
    }
}
