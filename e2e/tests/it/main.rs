//! The tests that need both services.

#[cfg(test)]
mod every_rpc;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod trust;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod cut_off;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod client;
#[cfg(test)]
mod session;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod contention;
#[cfg(test)]
mod once;
#[cfg(test)]
mod slow_commit;
#[cfg(test)]
mod watchers;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod database_tls;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod reflection;
