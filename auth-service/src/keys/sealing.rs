//! How a signing key is made, and how its secret half is kept at rest.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use jsonwebtoken::EncodingKey;
use secrecy::{SecretString, zeroize::Zeroizing};
use shared::{clock::Time, trust::PublicKey};

use super::{Key, SealedKey, SigningKey};
use crate::secret_key::{Secrets, derive};

/// What the derived key is for: the same secret serves other purposes by other labels.
const PURPOSE: &[u8] = b"taskmanager auth-service: signing keys at rest, v1";
const SEED_SIZE: usize = 32;

/// Seals and opens the secret halves of signing keys, with AES-256-GCM under a key that is derived
/// from `AUTH_SECRET_KEY`. A sealed seed is bound to its key's id.
pub struct Sealer {
    key: RandomizedNonceKey,
    /// What keys were sealed with before, until they are sealed anew.
    previous: Option<RandomizedNonceKey>,
}

/// Why a signing key can not be made or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// It was sealed with another secret, or the row is damaged.
    #[error(
        "the signing key {0} was sealed with another AUTH_SECRET_KEY (or key file); AUTH_SECRET_KEY_PREVIOUS may name it"
    )]
    Sealed(String),
    /// The seed is not that of the public key.
    #[error("the two halves of the signing key {0} do not belong together")]
    Halves(String),
    /// The cryptographic library fails.
    #[error("the cryptographic library fails")]
    Library,
}

impl Sealer {
    /// A sealer that derives its keys from these secrets.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn new(secrets: &Secrets) -> Result<Self, KeyFault> {
        let previous = secrets.previous.as_ref().map(derived).transpose()?;
        Ok(Self { key: derived(&secrets.current)?, previous })
    }

    /// Makes a key that takes this place in the order and signs from this time on.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn make(
        &self,
        seq: i64,
        create_time: Time,
        activate_time: Time,
    ) -> Result<SealedKey, KeyFault> {
        let mut seed = Zeroizing::new([0; SEED_SIZE]);
        rand::fill(seed.as_mut()).map_err(|_| KeyFault::Library)?;
        let public = PublicKey::new(public_half(&key_pair(seed.as_ref())?)?);
        let sealed_seed = self.seal(public.kid(), seed.as_ref())?;
        Ok(SealedKey { key: Key { seq, public, create_time, activate_time }, sealed_seed })
    }

    /// Opens a key, so that it can sign.
    ///
    /// # Errors
    /// When it was sealed with another secret, or is damaged.
    pub fn open(&self, sealed: &SealedKey) -> Result<SigningKey, KeyFault> {
        let kid = sealed.key.public.kid();
        let seed = self.seed(sealed)?;
        let pair = key_pair(&seed)?;
        if public_half(&pair)? != *sealed.key.public.bytes() {
            return Err(KeyFault::Halves(kid.to_owned()));
        }
        // The JWT library reads version 1 alone.
        let document = pair.to_pkcs8v1().map_err(|_| KeyFault::Library)?;
        let secret = EncodingKey::from_ed_der(document.as_ref());
        Ok(SigningKey { key: sealed.key.clone(), secret })
    }

    /// Seals a key anew, with the secret that is in force.
    ///
    /// # Errors
    /// When it was sealed with neither secret, or is damaged.
    pub fn reseal(&self, sealed: &SealedKey) -> Result<Vec<u8>, KeyFault> {
        self.seal(sealed.key.public.kid(), &self.seed(sealed)?)
    }

    fn seed(&self, sealed: &SealedKey) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        let kid = sealed.key.public.kid();
        let mut keys = [Some(&self.key), self.previous.as_ref()].into_iter().flatten();
        let seed = keys.find_map(|key| unseal(key, kid, &sealed.sealed_seed));
        seed.ok_or_else(|| KeyFault::Sealed(kid.to_owned()))
    }

    /// The nonce, the encrypted seed and the tag, one after another.
    fn seal(&self, kid: &str, seed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut text = seed.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(kid), &mut text);
        let nonce = nonce.map_err(|_| KeyFault::Library)?;
        Ok([nonce.as_ref().as_slice(), &text].concat())
    }
}

fn derived(secret: &SecretString) -> Result<RandomizedNonceKey, KeyFault> {
    let key = derive(secret, PURPOSE).map_err(|_| KeyFault::Library)?;
    RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| KeyFault::Library)
}

fn unseal(key: &RandomizedNonceKey, kid: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = key.open_in_place(nonce, Aad::from(kid), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

fn key_pair(seed: &[u8]) -> Result<Ed25519KeyPair, KeyFault> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyFault::Library)
}

fn public_half(pair: &Ed25519KeyPair) -> Result<[u8; 32], KeyFault> {
    pair.public_key().as_ref().try_into().map_err(|_| KeyFault::Library)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&Secrets::only(secret)).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_with_its_own_secret_alone() {
        let now = Time::from_seconds(1);
        let sealed = sealer("one").make(1, now, now).unwrap();
        assert_eq!(sealed.sealed_seed.len(), NONCE_LEN + SEED_SIZE + 16);
        assert_eq!(sealer("one").open(&sealed).unwrap().key, sealed.key);

        let kid = sealed.key.public.kid().to_owned();
        let fault = sealer("two").open(&sealed).unwrap_err();
        assert_eq!(fault, KeyFault::Sealed(kid));
        assert!(fault.to_string().contains("AUTH_SECRET_KEY"));
    }

    #[test]
    fn a_key_opens_with_the_previous_secret_until_it_is_sealed_anew() {
        let now = Time::from_seconds(1);
        let sealed = sealer("old").make(1, now, now).unwrap();
        let previous = Some("old".to_owned().into());
        let both = Sealer::new(&Secrets { previous, ..Secrets::only("new") }).unwrap();
        assert_eq!(both.open(&sealed).unwrap().key, sealed.key);
        assert!(sealer("new").open(&sealed).is_err());

        let anew = SealedKey { sealed_seed: both.reseal(&sealed).unwrap(), ..sealed };
        assert_eq!(sealer("new").open(&anew).unwrap().key, anew.key);
        assert!(sealer("old").open(&anew).is_err());
    }

    #[test]
    fn a_damaged_or_swapped_key_does_not_open() {
        let (sealer, now) = (sealer("one"), Time::from_seconds(1));
        let key = sealer.make(1, now, now).unwrap();
        let other = sealer.make(2, now, now).unwrap();
        let swapped = SealedKey { sealed_seed: other.sealed_seed, ..key.clone() };
        let cut = SealedKey { sealed_seed: vec![0; 5], ..key.clone() };
        let mut flipped = key;
        flipped.sealed_seed[20] ^= 1;
        for bad in [swapped, cut, flipped] {
            assert!(matches!(sealer.open(&bad), Err(KeyFault::Sealed(_))));
        }
    }
}
