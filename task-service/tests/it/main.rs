//! The tests of this service: the store on every engine, and the RPCs over real channels.

mod contract;
mod api;
