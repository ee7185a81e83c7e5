//! The outside of a token: three parts, a header without surprises, a signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;

use super::{PublicKey, Reason, claims::Members, verifier::MAX_TOKEN_SIZE};

/// The `typ` of an access token (RFC 9068, section 2.1): it keeps other JWTs of the same issuer
/// from being taken for one.
pub const TYPE: &str = "at+jwt";

/// A token taken apart, nothing of it verified but its shape.
pub(super) struct Token<'t> {
    /// The id of the key that is said to have signed it.
    pub(super) kid: String,
    /// What was signed: header and payload as they were sent.
    signed: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Token<'t> {
    pub(super) fn parse(token: &'t str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN_SIZE {
            return Err(Reason::Oversize);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Reason::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Reason::Malformed)?;
        if [header, payload, signature].iter().any(|part| part.is_empty() || part.contains('.')) {
            return Err(Reason::Malformed);
        }
        Ok(Self { kid: key_id(header)?, signed, payload, signature })
    }

    /// The payload, if the key has signed it.
    pub(super) fn verified_payload(&self, key: &PublicKey) -> Result<Vec<u8>, Reason> {
        let (key, message) = (key.decoding_key(), self.signed.as_bytes());
        match jsonwebtoken::crypto::verify(self.signature, message, key, Algorithm::EdDSA) {
            Ok(true) => decode(self.payload).ok_or(Reason::ClaimsEncoding),
            Ok(false) | Err(_) => Err(Reason::Signature),
        }
    }
}

/// Reads the header, which must be exactly what the issuer writes: `alg`, `typ` and `kid`.
fn key_id(header: &str) -> Result<String, Reason> {
    let bytes = decode(header).ok_or(Reason::HeaderEncoding)?;
    let header: Members = serde_json::from_slice(&bytes).map_err(|_| Reason::HeaderJson)?;
    if header.0.contains_key("crit") {
        return Err(Reason::Critical);
    }
    if header.0.get("alg").and_then(|alg| alg.as_str()) != Some("EdDSA") {
        return Err(Reason::Algorithm);
    }
    if header.0.get("typ").and_then(|typ| typ.as_str()) != Some(TYPE) {
        return Err(Reason::Type);
    }
    if header.0.keys().any(|name| !["alg", "typ", "kid"].contains(&name.as_str())) {
        return Err(Reason::HeaderMember);
    }
    header.text("kid").map_err(|_| Reason::KeyId)
}

/// Base64url without padding, and nothing that merely resembles it.
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
