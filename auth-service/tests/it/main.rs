//! The tests of this service: the store on every engine, the RPCs over real channels, the program.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod api;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod program;
#[cfg(test)]
mod unusable;
#[cfg(test)]
mod access_log;
#[cfg(test)]
mod under_load;
#[cfg(test)]
mod erased;
