//! The tests of this service: the store on every engine, the RPCs over real channels, the program.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod api;
#[cfg(test)]
mod program;
#[cfg(test)]
mod cancelled;
#[cfg(test)]
mod under_load;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod repeated;
#[cfg(test)]
mod erased;
