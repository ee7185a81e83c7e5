//! The public half of a signing key.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use uuid::Uuid;

use crate::pb::auth::SigningKey;

/// An Ed25519 public key, named by its RFC 7638 thumbprint.
#[derive(Debug, Clone)]
pub struct PublicKey {
    kid: String,
    id: Uuid,
    bytes: [u8; 32],
    decoding: DecodingKey,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(bytes);
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let thumbprint = digest(&SHA256, members.as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        Self {
            id: half(thumbprint.as_ref()).unwrap_or_default(),
            kid,
            bytes,
            decoding: DecodingKey::from_ed_der(&bytes),
        }
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What a revocation names it by: the first half of its thumbprint.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The key itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The key itself in base64url, as the `x` of a JSON Web Key.
    #[must_use]
    pub fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes)
    }

    pub(super) fn decoding_key(&self) -> &DecodingKey {
        &self.decoding
    }
}

impl TryFrom<&SigningKey> for PublicKey {
    type Error = KeyFault;

    fn try_from(jwk: &SigningKey) -> Result<Self, KeyFault> {
        if (jwk.kty.as_str(), jwk.crv.as_str(), jwk.alg.as_str(), jwk.r#use.as_str())
            != ("OKP", "Ed25519", "EdDSA", "sig")
        {
            return Err(KeyFault::Kind);
        }
        let bytes = URL_SAFE_NO_PAD.decode(&jwk.x).map_err(|_| KeyFault::Bytes)?;
        let key = Self::new(bytes.try_into().map_err(|_| KeyFault::Bytes)?);
        if key.kid == jwk.kid { Ok(key) } else { Err(KeyFault::Thumbprint) }
    }
}

/// What a revocation names the key of this `kid` by.
pub(super) fn id(kid: &str) -> Option<Uuid> {
    half(&URL_SAFE_NO_PAD.decode(kid).ok()?)
}

fn half(thumbprint: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(thumbprint.get(..16)?).ok()
}

/// Why a published key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// It is for something else.
    #[error("not an Ed25519 signing key")]
    Kind,
    /// Its bytes are not those of such a key.
    #[error("not 32 bytes in base64url")]
    Bytes,
    /// Its name is not made from its bytes.
    #[error("the kid is not the key's thumbprint")]
    Thumbprint,
}
