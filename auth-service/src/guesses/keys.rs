//! What buckets are known by: keys that tell nobody whose they are.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use secrecy::SecretString;
use uuid::Uuid;

use super::{Attempt, Bucket, Limits, Success};
use crate::{keys::KeyFault, network::Network, secret_key::derive};

/// What the derived key is for.
const PURPOSE: &[u8] = b"taskmanager auth-service: keys of guess limits, v1";

/// Whose password it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// That of this user, by whichever name.
    User(Uuid),
    /// Nobody's: the key of a name that no user has.
    Nobody(&'a str),
}

/// Makes attempts: it knows the limits, and the keys that the buckets have.
pub struct Guesses {
    limits: Limits,
    key: Key,
}

/// What a key stands for. The numbers are in the database, inside of the keys.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Pair = 1,
    Account = 2,
    Network = 3,
    Known = 4,
    Register = 5,
    Success = 6,
}

impl Guesses {
    /// These limits, with keys that are derived from this secret.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn new(secret: &SecretString, limits: Limits) -> Result<Self, KeyFault> {
        let key = derive(secret, PURPOSE).map_err(|_| KeyFault::Library)?;
        Ok(Self { limits, key: Key::new(HMAC_SHA256, key.as_ref()) })
    }

    /// A password that is tried.
    #[must_use]
    pub fn password(&self, whose: Whose<'_>, network: Network) -> Attempt {
        let (account, network) = (whose.bytes(), network.bytes());
        let Limits { pair, account: of_account, network: of_network, login, .. } = self.limits;
        let bucket = |purpose, parts, rate| Bucket { key: self.name(purpose, parts), rate };
        Attempt {
            strict: bucket(Purpose::Pair, [&account, &network], pair),
            loose: vec![
                bucket(Purpose::Account, [&account, &[]], of_account),
                bucket(Purpose::Network, [&[], &network], of_network),
            ],
            success: Some(Success {
                known: self.name(Purpose::Known, [&account, &network]),
                bucket: bucket(Purpose::Success, [&account, &[]], login),
            }),
        }
    }

    /// An account that is opened.
    #[must_use]
    pub fn registration(&self, network: Network) -> Attempt {
        let key = self.name(Purpose::Register, [&[], &network.bytes()]);
        Attempt { strict: Bucket { key, rate: self.limits.register }, loose: vec![], success: None }
    }

    /// What a bucket is known by. Each part follows its length, so no two say the same.
    fn name(&self, purpose: Purpose, parts: [&[u8]; 2]) -> Uuid {
        let mut text = vec![purpose as u8];
        for part in parts {
            text.extend(part.len().to_be_bytes());
            text.extend(part);
        }
        let mut bytes = [0; 16];
        for (byte, signed) in bytes.iter_mut().zip(sign(&self.key, &text).as_ref()) {
            *byte = *signed;
        }
        Uuid::from_bytes(bytes)
    }
}

impl fmt::Debug for Guesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guesses").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Whose<'_> {
    /// Different bytes for different accounts.
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::User(id) => [b"user:", id.as_bytes().as_slice()].concat(),
            Self::Nobody(name) => [b"name:", name.as_bytes()].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::{super::Rate, *};

    fn guesses(secret: &str) -> Guesses {
        let rate = Rate::new(1, Duration::from_secs(1));
        let limits =
            Limits { pair: rate, account: rate, network: rate, login: rate, register: rate };
        Guesses::new(&secret.to_owned().into(), limits).unwrap()
    }

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn no_two_buckets_have_the_same_key() {
        let mut keys = Vec::new();
        let id = Uuid::from_u128(0x6161_6161);
        for secret in ["one", "two"] {
            let guesses = guesses(secret);
            for address in ["97.98.99.100", "97.98.99.101", "6162:6364::", "6162:6365::"] {
                let network = network(address);
                for account in [Whose::User(id), Whose::Nobody("ann"), Whose::Nobody("anna")] {
                    let attempt = guesses.password(account, network);
                    keys.extend([attempt.strict.key, attempt.success.unwrap().known]);
                }
                keys.push(guesses.registration(network).strict.key);
            }
        }
        let different: HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    #[test]
    fn an_account_is_one_from_everywhere_and_a_network_for_everybody() {
        let guesses = guesses("one");
        let loose = |account, address| {
            let attempt = guesses.password(account, network(address));
            let [account, network] = attempt.loose[..] else { panic!("two loose buckets") };
            ([account.key, attempt.success.unwrap().bucket.key], network.key)
        };
        let (ann, bob) = (Whose::User(Uuid::from_u128(1)), Whose::Nobody("bob"));
        let (ann_here, here) = loose(ann, "192.0.2.1");
        let (ann_elsewhere, there) = loose(ann, "192.0.2.2");
        let (bob_here, here_too) = loose(bob, "192.0.2.1");
        assert_eq!((ann_here, here), (ann_elsewhere, here_too));
        assert!(ann_here.iter().all(|key| !bob_here.contains(key)) && here != there);
    }
}
