//! Test support: real servers on port 0, real databases, real channels, clients with an identity.
//!
//! [`AuthServer`] and [`TaskServer`] start the services as their programs do. A [`Person`] speaks to
//! both as one user; [`refused`] takes a refusal apart. [`on_every_engine!`] runs a test on each
//! database engine; [`postgres`] starts servers for that, and for tests that do them harm. [`program`]
//! runs the programs themselves, and [`load`] ends them while they are busy. A [`Chance`] chooses what
//! a test does, the same in each run, and a [`lane`] is a client whose writes rest on each other.
//! [`rows`] shows what a database holds, and [`leaving`] has users delete their accounts while programs are
//! killed.
//! Everything here panics when a test can not be set up: use it in tests and nowhere else.
#![expect(clippy::expect_used, reason = "a test that can not be set up shall fail at once")]
#![expect(clippy::panic, reason = "the same")]
#![expect(clippy::missing_panics_doc, reason = "everything here panics, as said above")]

pub mod postgres;
pub mod program;
pub mod load;
pub mod lane;
pub mod leaving;
pub mod rows;
mod chance;
mod engine;
mod operator;
mod person;
mod refused;
mod server;
mod until;
pub mod wire;
pub mod tls;

pub use chance::Chance;
pub use engine::{Engine, Place};
pub use operator::{SERVICE_SECRET, add_service, operate};
pub use person::{As, Identity, PASSWORD, Person};
pub use refused::{Refused, refused};
pub use server::{AuthServer, TaskServer, clock};
pub use until::{PATIENCE, until};
