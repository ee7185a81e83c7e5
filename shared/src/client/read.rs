//! Which requests change nothing.

use prost::Message;

use crate::pb::{
    auth::{
        GetCurrentUserRequest, GetErasureRequest, IssueServiceTokenRequest, ListSessionsRequest,
        ListSigningKeysRequest, ValidateTokenRequest,
    },
    task::{GetProjectRequest, GetTaskRequest, ListProjectsRequest, ListTasksRequest},
};

/// A request that changes nothing, and so may be sent again as it is: that of an RPC with
/// `idempotency_level = NO_SIDE_EFFECTS` that gives one answer. Whoever implements it promises that.
pub trait Read: Message + Clone {}

macro_rules! reads {
    ($($request:ident),+ $(,)?) => {
        $(impl Read for $request {})+

        #[cfg(test)]
        const READS: &[&str] = &[$(stringify!($request)),+];
    };
}

reads!(
    GetCurrentUserRequest,
    GetErasureRequest,
    IssueServiceTokenRequest,
    ListSessionsRequest,
    ListSigningKeysRequest,
    ValidateTokenRequest,
    GetProjectRequest,
    GetTaskRequest,
    ListProjectsRequest,
    ListTasksRequest,
);

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use prost_types::{
        FileDescriptorSet, MethodDescriptorProto, MethodOptions, method_options::IdempotencyLevel,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::{pb::FILE_DESCRIPTOR_SET, status::RETRY};

    const SERVICE_CONFIG: &str = include_str!("../../../proto/service_config.json");

    fn is_read(method: &MethodDescriptorProto) -> bool {
        let level = method.options.as_ref().map(MethodOptions::idempotency_level);
        level == Some(IdempotencyLevel::NoSideEffects)
            && !method.server_streaming()
            && !method.client_streaming()
    }

    /// Each unary RPC that the descriptors say changes nothing: its service, its name, its request.
    fn reads() -> Vec<(String, String, String)> {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let ours = set.file.iter().filter(|file| file.package().starts_with("taskmanager."));
        let services =
            ours.flat_map(|file| file.service.iter().map(move |it| (file.package(), it)));
        services
            .flat_map(|(package, service)| {
                let reads = service.method.iter().filter(|method| is_read(method));
                reads.map(move |it| {
                    let request = it.input_type().rsplit('.').next().unwrap().to_owned();
                    (format!("{package}.{}", service.name()), it.name().to_owned(), request)
                })
            })
            .collect()
    }

    fn config() -> Value {
        serde_json::from_str(SERVICE_CONFIG).unwrap()
    }

    fn seconds(text: &Value) -> Duration {
        let text = text.as_str().and_then(|text| text.strip_suffix('s')).unwrap();
        Duration::from_secs_f64(text.parse().unwrap())
    }

    #[test]
    fn what_may_be_repeated_as_it_is_is_what_the_protos_say_changes_nothing() {
        let requests: BTreeSet<String> = reads().into_iter().map(|(_, _, it)| it).collect();
        assert_eq!(READS.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>(), requests);
    }

    #[test]
    fn the_service_config_names_every_read_and_nothing_else() {
        let config = config();
        let [reads_config] = config["methodConfig"].as_array().unwrap().as_slice() else {
            panic!("there is one policy");
        };
        let named = reads_config["name"].as_array().unwrap();
        let named: Vec<String> = named.iter().map(Value::to_string).collect();
        let reads = reads().into_iter();
        let expected: BTreeSet<String> = reads
            .map(|(service, method, _)| json!({"service": service, "method": method}).to_string())
            .collect();
        assert_eq!(named.len(), expected.len(), "gRPC refuses a name that is there twice");
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    /// gRFC A6 lets a client vary a pause by a fifth. It knows nothing of our `RetryInfo`.
    #[test]
    fn the_service_config_repeats_after_unavailable_alone_and_no_sooner_than_it_may() {
        let config = config();
        let (reads, throttling) = (&config["methodConfig"][0], &config["retryThrottling"]);
        let policy = &reads["retryPolicy"];
        assert_eq!(policy["retryableStatusCodes"], json!(["UNAVAILABLE"]));
        let first = seconds(&policy["initialBackoff"]);
        assert!(first.mul_f64(0.8) >= RETRY, "{first:?}");
        assert!(seconds(&policy["maxBackoff"]) >= first);
        assert!(policy["backoffMultiplier"].as_f64().unwrap() > 1.0);
        // Clients take more than five for five.
        assert!((2..=5).contains(&policy["maxAttempts"].as_u64().unwrap()));
        assert!(seconds(&reads["timeout"]) > first);
        assert!((1..=1000).contains(&throttling["maxTokens"].as_u64().unwrap()));
        assert!(throttling["tokenRatio"].as_f64().unwrap() > 0.0);
    }
}
