//! The wire types, the client stubs and the server traits, generated from `proto/`.

/// Every message and service of both packages, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `taskmanager.auth.v1`: accounts, tokens and signing keys.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "generated"
)]
pub mod auth {
    tonic::include_proto!("taskmanager.auth.v1");
}

/// `taskmanager.task.v1`: projects and tasks.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "generated"
)]
pub mod task {
    tonic::include_proto!("taskmanager.task.v1");
}
