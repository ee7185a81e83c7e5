//! Ids: made in the order of time, read in their hyphenated spelling.

use uuid::{Builder, Uuid};

use crate::clock::Time;

/// A new UUIDv7 (RFC 9562, section 5.7) that sorts by the microsecond of its making.
///
/// The 12 bits after the millisecond hold its fraction (section 6.2, method 3), so rows in the
/// order of their ids are in the order of their creation and need no index for it.
#[must_use]
pub fn new_id(now: Time) -> Uuid {
    let micros = u64::try_from(now.micros()).unwrap_or_default();
    let [.., high, low] = (micros % 1_000 * 4_096 / 1_000).to_be_bytes();
    let mut tail = [0; 10];
    tail.copy_from_slice(&Uuid::new_v4().as_bytes()[6..]);
    tail[0] = high;
    tail[1] = low;
    Builder::from_unix_timestamp_millis(micros / 1_000, &tail).into_uuid()
}

/// Reads an id in its hyphenated spelling.
///
/// # Errors
/// When it is anything else.
pub fn parse_id(text: &str) -> Result<Uuid, IdFault> {
    if text.len() == 36 { Uuid::try_parse(text).map_err(|_| IdFault) } else { Err(IdFault) }
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID, as 01234567-89ab-7def-8123-456789abcdef")]
pub struct IdFault;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_microsecond_of_their_making() {
        let times = [0, 1, 999, 1_000, 1_001, 1_763_700_000_123_456, 1_763_700_000_123_457];
        let ids = times.map(|micros| new_id(Time::from_micros(micros).unwrap()));
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert_ne!(new_id(Time::from_micros(0).unwrap()), new_id(Time::from_micros(0).unwrap()));
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = new_id(Time::from_micros(1).unwrap());
        assert_eq!(parse_id(&id.to_string()), Ok(id));
        let wrong = [
            String::new(),
            id.simple().to_string(),
            id.braced().to_string(),
            id.urn().to_string(),
            format!("{id} "),
            "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz".to_owned(),
        ];
        for text in wrong {
            assert_eq!(parse_id(&text), Err(IdFault), "{text}");
        }
    }
}
