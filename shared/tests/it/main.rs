//! What other services lean on: which tokens are refused and how that looks from outside, how what
//! the issuer says is learnt and kept, how writes reach the database, what a server bears, and when a
//! client calls again.

#[cfg(test)]
mod log;
#[cfg(test)]
mod support;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod bad_tokens;
#[cfg(test)]
mod bearer;
#[cfg(test)]
mod client;
#[cfg(test)]
mod door;
#[cfg(test)]
mod follow_erasures;
#[cfg(test)]
mod follow_trust;
#[cfg(test)]
mod read_door;
#[cfg(test)]
mod revoked;
#[cfg(test)]
mod server;
#[cfg(test)]
mod verifier;
