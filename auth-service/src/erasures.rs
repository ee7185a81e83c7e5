//! Users who have been deleted, and how far that has come in each service.

use std::collections::BTreeMap;

use shared::{clock::Time, fields::Violations};
use uuid::Uuid;

/// The name by which auth-service itself has a part in every erasure. No service is registered by it.
pub const OWN_PART: &str = "auth-service";

/// How many kinds of things a service may count, and how long the name of one may be.
const MOST_KINDS: usize = 32;
const MOST_KIND: usize = 64;

/// The deletion of a user everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What it is asked for by. Nobody can guess it.
    pub id: Uuid,
    /// The id that the user had.
    pub user_id: Uuid,
    /// When the account was deleted.
    pub delete_time: Time,
    /// The parts of the services, in the order of their names.
    pub parts: Vec<Part>,
}

/// The part of one service in an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The name of the service.
    pub service: String,
    /// Since when nobody waits for it any more.
    pub settle_time: Option<Time>,
    /// What it has confirmed.
    pub confirmation: Option<Confirmation>,
}

/// That a service holds nothing of a user any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// When it said so.
    pub time: Time,
    /// How much it has deleted.
    pub counts: Counts,
}

/// How much a service has deleted, by kind.
pub type Counts = BTreeMap<String, i64>;

impl Erasure {
    /// When it was complete; nothing while a service is waited for.
    #[must_use]
    pub fn complete_time(&self) -> Option<Time> {
        let mut times = self.parts.iter().map(|part| part.settle_time);
        times.try_fold(self.delete_time, |last, time| Some(last.max(time?)))
    }

    /// The services that are waited for.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let missing = self.parts.iter().filter(|part| part.settle_time.is_none());
        missing.map(|part| part.service.as_str())
    }
}

/// What a service says that it has deleted; nothing if that breaks a rule.
pub fn parse_counts(counts: Counts, bad: &mut Violations) -> Option<Counts> {
    const FIELD: &str = "deleted_counts";
    if counts.len() > MOST_KINDS {
        bad.add(FIELD, format_args!("must be at most {MOST_KINDS}"));
        return None;
    }
    if !counts.keys().all(|kind| is_kind(kind)) {
        bad.add(FIELD, "must be named by 1 to 64 lower-case ASCII letters, digits and \"_\"");
        return None;
    }
    if counts.values().any(|count| *count < 0) {
        bad.add(FIELD, "must not be negative");
        return None;
    }
    Some(counts)
}

fn is_kind(kind: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    (1..=MOST_KIND).contains(&kind.len()) && kind.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(service: &str, settle_time: Option<i64>) -> Part {
        let settle_time = settle_time.map(Time::from_seconds);
        Part { service: service.to_owned(), settle_time, confirmation: None }
    }

    fn erasure(parts: Vec<Part>) -> Erasure {
        let delete_time = Time::from_seconds(1);
        Erasure { id: Uuid::nil(), user_id: Uuid::nil(), delete_time, parts }
    }

    #[test]
    fn it_is_complete_when_the_last_part_is_settled() {
        let pending = erasure(vec![part("a", Some(5)), part("b", None), part("c", None)]);
        assert_eq!(pending.complete_time(), None);
        assert_eq!(pending.missing().collect::<Vec<_>>(), ["b", "c"]);
        let complete = erasure(vec![part("a", Some(5)), part("b", Some(9)), part("c", Some(7))]);
        assert_eq!(complete.complete_time(), Some(Time::from_seconds(9)));
        assert_eq!(complete.missing().count(), 0);
    }

    #[test]
    fn counts_are_few_named_plainly_and_not_negative() {
        let parse = |counts: &[(&str, i64)]| {
            let counts = counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
            parse_counts(counts, &mut Violations::new())
        };
        let longest = "k".repeat(MOST_KIND);
        for good in [&[][..], &[("tasks", 0), ("tasks_2", i64::MAX)], &[(longest.as_str(), 1)]] {
            assert_eq!(parse(good).unwrap().len(), good.len());
        }
        let longer = "k".repeat(MOST_KIND + 1);
        for bad in ["", "Tasks", "two words", "größe", "a-b", longer.as_str()] {
            assert_eq!(parse(&[(bad, 1)]), None, "{bad:?}");
        }
        assert_eq!(parse(&[("tasks", -1)]), None);
        let kinds: Vec<String> = (0..=MOST_KINDS).map(|kind| format!("k{kind}")).collect();
        let kinds: Vec<(&str, i64)> = kinds.iter().map(|kind| (kind.as_str(), 1)).collect();
        assert!(parse(&kinds[..MOST_KINDS]).is_some() && parse(&kinds).is_none());
    }
}
