//! The version of a resource as clients see it (AIP-154).

use std::{fmt, str::FromStr};

use crate::error::Refusal;

/// The revision that a resource had when it was read. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etag(i64);

impl Etag {
    /// The etag of a resource of this revision.
    #[must_use]
    pub fn of(revision: i64) -> Self {
        Self(revision)
    }

    /// Whether a resource of this revision is still the one that the caller has seen, if the caller
    /// says which one that is.
    ///
    /// # Errors
    /// [`Refusal::EtagMismatch`] when it is not.
    pub fn check(seen: Option<Self>, revision: i64) -> Result<(), Refusal> {
        match seen {
            Some(etag) if etag.0 != revision => Err(Refusal::EtagMismatch),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Etag {
    type Err = EtagFault;

    fn from_str(text: &str) -> Result<Self, EtagFault> {
        let etag = i64::from_str_radix(text, 16).map(Self).map_err(|_| EtagFault)?;
        if etag.to_string() == text { Ok(etag) } else { Err(EtagFault) }
    }
}

/// A text that is the etag of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an etag as it was received")]
pub struct EtagFault;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_comes_back_as_it_was_given() {
        let etag = Etag::of(42);
        assert_eq!(etag.to_string().parse(), Ok(etag));
        for wrong in ["", "2a", "000000000000002A", "+00000000000002a", "W/\"x\"", "é"] {
            assert_eq!(wrong.parse::<Etag>(), Err(EtagFault), "{wrong}");
        }
    }
}
