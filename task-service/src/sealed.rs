//! What clients carry for the service and give back: page tokens and cursors.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// How many bytes prove what a token carries.
const TAG: usize = 32;

/// Makes tokens and knows its own.
///
/// A token is some bytes and an HMAC-SHA256 of them, of whom they were given to, and of what they asked
/// for: it opens in no other context, and none can be made up.
#[derive(Debug, Clone)]
pub struct SealKey(hmac::Key);

impl SealKey {
    /// The length of the key's bytes.
    pub const SIZE: usize = 32;

    /// The key of these random bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The token of these bytes in a context, as the RPC, the owner, the filter and the order.
    #[must_use]
    pub fn seal(&self, context: &str, bytes: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &message(bytes, context));
        URL_SAFE_NO_PAD.encode([tag.as_ref(), bytes].concat())
    }

    /// The bytes of a token that was made in this context.
    #[must_use]
    pub fn open(&self, context: &str, token: &str) -> Option<Vec<u8>> {
        let (tag, bytes) = parts(token)?;
        hmac::verify(&self.0, &message(&bytes, context), &tag).ok()?;
        Some(bytes)
    }
}

/// The bytes that a token carries, whoever has made it.
#[must_use]
pub fn unproved(token: &str) -> Option<Vec<u8>> {
    parts(token).map(|(_, bytes)| bytes)
}

fn parts(token: &str) -> Option<([u8; TAG], Vec<u8>)> {
    let token = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (tag, bytes) = token.split_first_chunk()?;
    Some((*tag, bytes.to_vec()))
}

/// The length of the bytes comes first, so nothing can move between them and the context.
fn message(bytes: &[u8], context: &str) -> Vec<u8> {
    [&bytes.len().to_be_bytes(), bytes, context.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_where_it_was_made_and_nowhere_else() {
        let key = SealKey::new(&[1; SealKey::SIZE]);
        for bytes in ["", "a", "12345678", "straße"].map(str::as_bytes) {
            let token = key.seal("context", bytes);
            assert_eq!(key.open("context", &token).as_deref(), Some(bytes));
            assert_eq!(unproved(&token).as_deref(), Some(bytes));
            assert_eq!(key.open("another", &token), None);
            assert_eq!(SealKey::new(&[2; 32]).open("context", &token), None);
            for at in 0..token.len() {
                let mut forged = token.clone().into_bytes();
                forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
                let forged = String::from_utf8(forged).unwrap();
                assert_eq!(key.open("context", &forged), None, "character {at}");
                assert_eq!(key.open("context", &token[..at]), None);
            }
        }
    }

    #[test]
    fn nothing_moves_between_the_bytes_and_the_context() {
        let key = SealKey::new(&[1; SealKey::SIZE]);
        let token = URL_SAFE_NO_PAD.decode(key.seal("tail", b"key")).unwrap();
        let moved = |bytes: &[u8]| URL_SAFE_NO_PAD.encode([&token[..TAG], bytes].concat());
        assert!(key.open("tail", &moved(b"key")).is_some());
        assert_eq!(key.open("ytail", &moved(b"ke")), None);
        assert_eq!(key.open("ail", &moved(b"keyt")), None);
    }
}
