//! The tests of this service: the store on every engine, and the RPCs over real channels.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod api;
