//! What a token says.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Serialize,
    de::{Deserializer, Error, MapAccess, Visitor},
};
use serde_json::Value;

use super::Reason;

/// The most audiences that a token may name.
const MAX_AUDIENCES: usize = 16;

/// The claims of an access token, after RFC 9068. Nothing in it is personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it stands for: the user's id.
    pub sub: String,
    /// The services that accept it.
    pub aud: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// Before when it is not good, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its own id.
    pub jti: String,
    /// The session that it was issued in.
    pub sid: String,
    /// The client that asked for it.
    pub client_id: String,
    /// What it allows beyond the user's own data, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl Claims {
    /// Reads the payload of a token: each claim must have its type, and none may be there twice.
    /// Claims that are not named here are passed over, as RFC 7519 asks.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Reason> {
        let claims: Members = serde_json::from_slice(payload).map_err(|_| Reason::ClaimsJson)?;
        Ok(Self {
            iss: claims.text("iss")?,
            sub: claims.text("sub")?,
            aud: claims.audiences()?,
            exp: claims.seconds("exp")?.ok_or(Reason::ClaimMissing("exp"))?,
            iat: claims.seconds("iat")?.ok_or(Reason::ClaimMissing("iat"))?,
            nbf: claims.seconds("nbf")?,
            jti: claims.text("jti")?,
            sid: claims.text("sid")?,
            client_id: claims.text("client_id")?,
            scope: claims.0.contains_key("scope").then(|| claims.text("scope")).transpose()?,
        })
    }
}

/// The members of a JSON object, each one there once.
pub(super) struct Members(pub(super) BTreeMap<String, Value>);

impl Members {
    /// A string that is not empty.
    pub(super) fn text(&self, name: &'static str) -> Result<String, Reason> {
        match self.0.get(name) {
            None => Err(Reason::ClaimMissing(name)),
            Some(Value::String(text)) if text.is_empty() => Err(Reason::ClaimValue(name)),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(Reason::ClaimType(name)),
        }
    }

    /// A whole number of seconds.
    fn seconds(&self, name: &'static str) -> Result<Option<i64>, Reason> {
        let value = self.0.get(name);
        value.map(|value| value.as_i64().ok_or(Reason::ClaimType(name))).transpose()
    }

    /// A list of 1 to [`MAX_AUDIENCES`] strings.
    fn audiences(&self) -> Result<Vec<String>, Reason> {
        let Value::Array(list) = self.0.get("aud").ok_or(Reason::ClaimMissing("aud"))? else {
            return Err(Reason::ClaimType("aud"));
        };
        if !(1..=MAX_AUDIENCES).contains(&list.len()) {
            return Err(Reason::ClaimValue("aud"));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        list.iter().map(|value| text(value).ok_or(Reason::ClaimType("aud"))).collect()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Once)
    }
}
