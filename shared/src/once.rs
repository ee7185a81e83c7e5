//! Writes that are done once, however often they are asked for (AIP-155).
//!
//! A client makes a `request_id` for each thing that it wants done, and sends it again when it has
//! lost the answer. A [`Repeatable`] request becomes a [`Once`]: who asks, by which id, and a digest of
//! what for. The transaction that does the write keeps its answer under that, in
//! [`Answers`](crate::database::Answers), and gives it again to whoever asks the same.

use std::{fmt, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use prost::Message;
use uuid::Uuid;

use crate::{
    fields::Violations,
    ids::{IdFault, parse_id},
    pb::{
        auth::{RegisterRequest, RevokeSessionRequest, UpdateCurrentUserRequest},
        task::{
            CreateProjectRequest, CreateTaskRequest, DeleteProjectRequest, DeleteTaskRequest,
            UndeleteTaskRequest, UpdateProjectRequest, UpdateTaskRequest,
        },
    },
};

/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_hours(24);

/// A request that may be repeated safely when it has a `request_id`.
pub trait Repeatable: Message + Clone + Default {
    /// The RPC that it is the request of.
    const RPC: &'static str;

    /// Its `request_id`; empty without one.
    fn request_id_mut(&mut self) -> &mut String;

    /// Empties what must not even be kept as a digest.
    fn forget_secrets(&mut self) {}
}

/// A write that is done once: who asks for it, by which id, and a digest of what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Once {
    pub(crate) owner: Uuid,
    pub(crate) rpc: &'static str,
    pub(crate) request_id: Uuid,
    pub(crate) digest: String,
}

/// Knows requests again, without keeping them.
#[derive(Clone)]
pub struct Digests(hmac::Key);

impl Digests {
    /// Digests under the key of these random bytes.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What the request asks for, once, on behalf of this owner; `Some(None)` if it has no
    /// `request_id`, nothing if that is malformed.
    pub fn once<M: Repeatable>(
        &self,
        owner: Uuid,
        request: &M,
        bad: &mut Violations,
    ) -> Option<Option<Once>> {
        let mut request = request.clone();
        let id = std::mem::take(request.request_id_mut());
        if id.is_empty() {
            return Some(None);
        }
        let id = parse_id(&id).ok().filter(|id| !id.is_nil()).ok_or(IdFault);
        let request_id = bad.check("request_id", id)?;
        request.forget_secrets();
        let asked = [M::RPC.as_bytes(), b"\0", &request.encode_to_vec()].concat();
        let digest = STANDARD_NO_PAD.encode(hmac::sign(&self.0, &asked));
        Some(Some(Once { owner, rpc: M::RPC, request_id, digest }))
    }
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digests")
    }
}

/// A request in a `request_id` that was used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request_id was used for another request")]
pub struct Reused;

macro_rules! repeatable {
    ($($request:ident, $rpc:literal $(, $secret:ident)?;)+) => {
        $(impl Repeatable for $request {
            const RPC: &'static str = $rpc;

            fn request_id_mut(&mut self) -> &mut String {
                &mut self.request_id
            }

            $(fn forget_secrets(&mut self) {
                self.$secret.clear();
            })?
        })+
    };
}

repeatable! {
    RegisterRequest, "Register", password;
    UpdateCurrentUserRequest, "UpdateCurrentUser", current_password;
    RevokeSessionRequest, "RevokeSession";
    CreateProjectRequest, "CreateProject";
    UpdateProjectRequest, "UpdateProject";
    DeleteProjectRequest, "DeleteProject";
    CreateTaskRequest, "CreateTask";
    UpdateTaskRequest, "UpdateTask";
    DeleteTaskRequest, "DeleteTask";
    UndeleteTaskRequest, "UndeleteTask";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::task::Task;

    #[expect(clippy::option_option, reason = "malformed and left out are two things")]
    fn once<M: Repeatable>(digests: &Digests, request: &M) -> Option<Option<Once>> {
        digests.once(Uuid::from_u128(7), request, &mut Violations::new())
    }

    fn create(title: &str, request_id: &str) -> CreateTaskRequest {
        let task = Some(Task { title: title.to_owned(), ..Task::default() });
        CreateTaskRequest { task, request_id: request_id.to_owned() }
    }

    const ID: &str = "0b9b7a46-5c1e-4c5e-9d0c-0a9f6f6a2b11";

    #[test]
    fn the_same_request_has_the_same_digest_and_no_other_has_it() {
        let digests = Digests::new(&[1; 32]);
        let digest = |request: &CreateTaskRequest| once(&digests, request).unwrap().unwrap().digest;
        assert_eq!(digest(&create("a", ID)), digest(&create("a", ID)));
        assert_ne!(digest(&create("a", ID)), digest(&create("b", ID)));
        let upper = ID.to_uppercase();
        assert_eq!(
            digest(&create("a", ID)),
            digest(&create("a", &upper)),
            "the id is no part of it"
        );
        let other = once(&Digests::new(&[2; 32]), &create("a", ID)).unwrap().unwrap();
        assert_ne!(digest(&create("a", ID)), other.digest, "it takes the key");
        let (delete, undelete) = (
            DeleteTaskRequest { request_id: ID.to_owned(), ..Default::default() },
            UndeleteTaskRequest { request_id: ID.to_owned(), ..Default::default() },
        );
        assert_ne!(once(&digests, &delete).unwrap(), once(&digests, &undelete).unwrap());
    }

    #[test]
    fn a_password_leaves_no_trace() {
        let digests = Digests::new(&[1; 32]);
        let register = |password: &str| RegisterRequest {
            username: "ann".to_owned(),
            password: password.to_owned(),
            request_id: ID.to_owned(),
            ..Default::default()
        };
        assert_eq!(once(&digests, &register("one")), once(&digests, &register("two")));
        let update = |password: &str| UpdateCurrentUserRequest {
            current_password: password.to_owned(),
            request_id: ID.to_owned(),
            ..Default::default()
        };
        assert_eq!(once(&digests, &update("one")), once(&digests, &update("two")));
    }

    #[test]
    fn an_id_is_a_uuid_or_left_out() {
        let digests = Digests::new(&[1; 32]);
        assert_eq!(once(&digests, &create("a", "")), Some(None));
        for wrong in ["x", "00000000-0000-0000-0000-000000000000", &ID[1..]] {
            assert_eq!(once(&digests, &create("a", wrong)), None, "{wrong}");
        }
    }
}
