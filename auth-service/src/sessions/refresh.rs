//! Refresh tokens: opaque, good once, and never kept as they are.

use std::fmt;

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac::{self, HMAC_SHA256},
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{SecretString, zeroize::Zeroizing};

use crate::{keys::KeyFault, secret_key::derive};

/// What the derived key is for: the same secret serves other purposes by other labels.
const PURPOSE: &[u8] = b"taskmanager auth-service: successors of refresh tokens, v1";
const SIZE: usize = 32;

/// A refresh token: 256 bits that nobody can guess.
#[derive(Clone)]
pub struct RefreshToken(Zeroizing<[u8; SIZE]>);

/// What a refresh token is kept as: its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; SIZE]);

/// Makes the successor of a refresh token, the same one each time: so a client that has lost the
/// answer gets it again, although it is not kept either.
pub struct Successors(hmac::Key);

impl RefreshToken {
    /// A new token.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> Result<Self, KeyFault> {
        Ok(Self(Zeroizing::new(nonce()?)))
    }

    /// A token as a client presents it; `None` when it can not be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// The token as it is sent.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_slice())
    }

    /// What it is kept as.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        let mut hash = [0; SIZE];
        hash.copy_from_slice(digest(&SHA256, self.0.as_slice()).as_ref());
        TokenHash(hash)
    }
}

impl Successors {
    /// Successors under a key that is derived from this secret.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn new(secret: &SecretString) -> Result<Self, KeyFault> {
        let key = derive(secret, PURPOSE).map_err(|_| KeyFault::Library)?;
        Ok(Self(hmac::Key::new(HMAC_SHA256, key.as_ref())))
    }

    /// The successor of this token, whose row has this nonce.
    #[must_use]
    pub fn of(&self, token: &RefreshToken, nonce: &[u8]) -> RefreshToken {
        let mut context = hmac::Context::with_key(&self.0);
        // The token is last and of one length, so no two pairs look alike.
        context.update(nonce);
        context.update(token.0.as_slice());
        let mut bytes = Zeroizing::new([0; SIZE]);
        bytes.copy_from_slice(context.sign().as_ref());
        RefreshToken(bytes)
    }
}

/// 256 random bits.
///
/// # Errors
/// When the system gives none.
pub(crate) fn nonce() -> Result<[u8; SIZE], KeyFault> {
    let mut bytes = [0; SIZE];
    rand::fill(&mut bytes).map_err(|_| KeyFault::Library)?;
    Ok(bytes)
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

impl fmt::Debug for Successors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Successors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn successors(secret: &str) -> Successors {
        Successors::new(&secret.to_owned().into()).unwrap()
    }

    #[test]
    fn a_token_comes_back_from_its_text_and_nothing_else_does() {
        let token = RefreshToken::random().unwrap();
        let text = token.text();
        assert_eq!(RefreshToken::parse(&text).unwrap().hash(), token.hash());
        for bad in [String::new(), format!("{text}="), format!("{text}A"), text[1..].to_owned()] {
            assert!(RefreshToken::parse(&bad).is_none(), "{bad}");
        }
        assert!(!format!("{token:?}").contains(&text));
    }

    #[test]
    fn a_successor_is_always_the_same_and_nobody_elses() {
        let (one, other) = (RefreshToken::random().unwrap(), RefreshToken::random().unwrap());
        let made = successors("one").of(&one, &[1; 32]).hash();
        assert_eq!(successors("one").of(&one, &[1; 32]).hash(), made);
        for different in [
            successors("two").of(&one, &[1; 32]),
            successors("one").of(&one, &[2; 32]),
            successors("one").of(&other, &[1; 32]),
            one,
        ] {
            assert_ne!(different.hash(), made);
        }
    }
}
