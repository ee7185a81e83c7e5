//! A verifier with a clock that stands still, the keys that it trusts, and JSON to tamper with.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use shared::{
    clock::{Clock, Time},
    testing::{Forge, expected, named},
    trust::{Claims, Head, News, Revocation, Verifier},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::{Uuid, uuid};

pub(crate) const AUDIENCE: &str = "task-service";
/// The time at which every test begins, in seconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000;
/// Ids with letters in them, so that their case can be wrong.
pub(crate) const ANN: Uuid = uuid!("0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001");
pub(crate) const SESSION: Uuid = uuid!("0190aaaa-bbbb-7ccc-8ddd-eeeeffff0002");

/// A verifier that has just heard of two keys.
pub(crate) struct Scene {
    pub(crate) clock: Clock,
    pub(crate) verifier: Arc<Verifier>,
    /// The key that signs.
    pub(crate) forge: Forge,
    /// Another key that the verifier trusts.
    pub(crate) other: Forge,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self::untrusting();
        scene.verifier.learn(&scene.news());
        scene
    }

    /// The same before any key is known.
    pub(crate) fn untrusting() -> Self {
        let clock = Clock::manual(Time::from_seconds(NOW));
        let verifier = Arc::new(Verifier::new(expected(AUDIENCE), clock.clone()));
        Self { clock, verifier, forge: Forge::new(), other: Forge::new() }
    }

    /// What the issuer says first: both keys, and nothing revoked.
    pub(crate) fn news(&self) -> News {
        named(vec![self.forge.public(), self.other.public()])
    }

    /// The issuer revokes this.
    pub(crate) fn revoke(&self, id: Uuid) {
        self.verifier.learn(&News { revocations: vec![revocation(id)], ..news(1) });
    }

    pub(crate) fn claims(&self) -> Claims {
        let claims = self.forge.claims(ANN, AUDIENCE, Time::from_seconds(NOW));
        Claims { sid: SESSION.to_string(), ..claims }
    }

    /// A good token, another one each time.
    pub(crate) fn token(&self) -> String {
        self.forge.sign(&self.claims())
    }

    pub(crate) fn header(&self) -> Object {
        Object::parse(&self.forge.header())
    }

    pub(crate) fn payload(&self) -> Object {
        Object::parse(&serde_json::to_string(&self.claims()).unwrap())
    }

    /// What a token says that stands for a service with this scope.
    pub(crate) fn service_claims(&self, scope: &str) -> Claims {
        let name = "task-service".to_owned();
        let scope = Some(scope.to_owned());
        Claims { sub: name.clone(), client_id: name, scope, ..self.claims() }
    }

    /// A token of this header and a good payload.
    pub(crate) fn with_header(&self, header: impl AsRef<[u8]>) -> String {
        self.forge.sign_raw(header, self.payload().text())
    }

    /// A token of a good header and this payload.
    pub(crate) fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        self.forge.sign_raw(self.forge.header(), payload)
    }
}

/// A message that says nothing but how far it goes.
pub(crate) fn news(sequence: i64) -> News {
    News { head: Some(Head { epoch: Uuid::nil(), sequence }), ..News::default() }
}

/// The end of this, until every token of a [`Scene`] has expired.
pub(crate) fn revocation(id: Uuid) -> Revocation {
    Revocation { id, expire_time: Time::from_seconds(NOW + 3600) }
}

/// A JSON object whose members can be set to any text.
#[derive(Clone)]
pub(crate) struct Object(BTreeMap<String, String>);

impl Object {
    fn parse(json: &str) -> Self {
        let members: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap();
        Self(members.into_iter().map(|(name, value)| (name, value.to_string())).collect())
    }

    pub(crate) fn with(mut self, name: &str, json: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), json.to_string());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The JSON, with this put before the first member.
    pub(crate) fn text_after(&self, first: &str) -> String {
        let members: Vec<String> =
            self.0.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{first}{}}}", members.join(","))
    }

    pub(crate) fn text(&self) -> String {
        self.text_after("")
    }
}

/// What the future gives. It is ready at once or very soon, or else the test fails and does not hang.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes soon")
}

/// What a program can read of an error: its code, and the reason of its `ErrorInfo`.
pub(crate) fn told(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().expect("every error carries an ErrorInfo");
    assert_eq!(info.domain, "taskmanager");
    (status.code(), info.reason)
}
