//! What both services are made of, and what any other service needs to trust their tokens.
//!
//! Read in this order: [`trust`] verifies access tokens offline and is the only maker of a
//! [`trust::Caller`], and [`erasure`] has a service forget who is deleted; [`database`] is the one way to
//! SQLite and PostgreSQL, and [`once`] has what may be asked for again done once; [`server`] is the shell
//! that both services run in, and [`metrics`] are what it counts; [`client`] is for those who call them. The
//! rest is small: [`pb`] are the wire types,
//! [`status`], [`fields`] and [`mask`] say what is wrong with a call, [`mod@env`] reads settings,
//! [`clock`] is the time and [`ids`] follow it.

pub mod trust;
pub mod erasure;
pub mod database;
pub mod once;
pub mod server;
pub mod metrics;
pub mod client;
pub mod telemetry;
pub mod pb;
pub mod status;
pub mod fields;
pub mod mask;
pub mod env;
pub mod clock;
pub mod ids;
mod backoff;
#[cfg(feature = "testing")]
pub mod testing;
