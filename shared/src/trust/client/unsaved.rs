//! What has been heard of the issuer and is not in the store yet.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    clock::Time,
    trust::{Head, News, Snapshot},
};

/// How long at least between two saves, while there is news.
const NEWS: Duration = Duration::from_millis(250);
/// How long between two saves that only say that the issuer was heard of.
const HEARD: Duration = Duration::from_secs(10);
/// How long until the next save after one that failed.
const FAILED: Duration = Duration::from_secs(2);

/// What the next save has to say.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// What the store has after the last save. `None`: it is to be replaced, whatever it has.
    base: Option<Head>,
    /// How far the verifier is, and when the issuer was heard of last.
    head: Option<(Head, Time)>,
    /// What is new since `base`, if there is one.
    news: News,
    /// Something is new that no head has come with yet.
    is_gathering: bool,
    waiting: Waiting,
}

/// What waits to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiting {
    /// Nothing.
    Nothing,
    /// That the issuer was heard of again.
    Heard,
    /// Something new.
    News,
}

/// The parts of an [`Update`](crate::trust::Update).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) since: Option<Head>,
    pub(super) head: Head,
    pub(super) heard: Time,
    pub(super) news: News,
}

impl Unsaved {
    /// Nothing, after this was loaded.
    pub(super) fn since(loaded: Option<&Snapshot>) -> Self {
        Self {
            base: loaded.map(|snapshot| snapshot.head),
            head: loaded.map(|snapshot| (snapshot.head, snapshot.heard)),
            news: News::default(),
            is_gathering: false,
            waiting: Waiting::Nothing,
        }
    }

    /// Notes what has just been heard.
    pub(super) fn add(&mut self, news: &News, now: Time) {
        let leaves = |base: Head| news.head.is_some_and(|head| head.epoch != base.epoch);
        if news.is_snapshot || self.base.is_some_and(leaves) {
            self.replace();
        }
        if self.base.is_some() {
            self.news.revocations.extend_from_slice(&news.revocations);
            self.news.keys = news.keys.clone().or(self.news.keys.take());
            self.news.forgotten = self.news.forgotten.max(news.forgotten);
        }
        self.is_gathering |=
            news.is_snapshot || news.keys.is_some() || !news.revocations.is_empty();
        let Some(head) = news.head else { return };
        let is_new = self.is_gathering || self.head.is_none_or(|(known, _)| known != head);
        self.head = Some((head, now));
        self.is_gathering = false;
        self.waiting = self.waiting.max(if is_new { Waiting::News } else { Waiting::Heard });
    }

    /// Notes that the verifier has forgotten what had expired before this time. That can wait for
    /// whatever is saved next.
    pub(super) fn forgotten(&mut self, time: Option<Time>) {
        self.news.forgotten = self.news.forgotten.max(time);
    }

    /// What waits to be saved.
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Hands over what is to be saved now, and goes on as if it were.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let (head, time) = self.head?;
        self.waiting = Waiting::Nothing;
        let since = self.base.replace(head);
        Some(Batch { since, head, heard: time, news: std::mem::take(&mut self.news) })
    }

    /// What was handed over has not been saved, or nobody knows.
    pub(super) fn failed(&mut self) {
        self.replace();
        self.waiting = Waiting::News;
    }

    /// From here on everything is to be saved, so what is new need not be remembered.
    fn replace(&mut self) {
        self.base = None;
        self.news = News::default();
    }
}

/// When the next save is due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    last: Option<Instant>,
    has_failed: bool,
}

impl Schedule {
    /// When what waits is to be saved; `None` while nothing does.
    pub(super) fn due(&self, waiting: Waiting) -> Option<Instant> {
        let pause = match waiting {
            Waiting::Nothing => return None,
            Waiting::Heard | Waiting::News if self.has_failed => FAILED,
            Waiting::Heard => HEARD,
            Waiting::News => NEWS,
        };
        Some(self.last.map_or_else(Instant::now, |last| last + pause))
    }

    /// Notes how a save has ended; says whether that is another end than the last time.
    pub(super) fn ended(&mut self, failed: bool) -> bool {
        self.last = Some(Instant::now());
        std::mem::replace(&mut self.has_failed, failed) != failed
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::trust::Revocation;

    const EPOCH: Uuid = Uuid::from_u128(1);
    const NOW: Time = Time::MIN;

    fn head(sequence: i64) -> Head {
        Head { epoch: EPOCH, sequence }
    }

    fn revocation(id: u128) -> Revocation {
        Revocation { id: Uuid::from_u128(id), expire_time: Time::MAX }
    }

    fn delta(ids: &[u128], sequence: Option<i64>) -> News {
        News {
            head: sequence.map(head),
            revocations: ids.iter().copied().map(revocation).collect(),
            ..News::default()
        }
    }

    fn loaded() -> Unsaved {
        let news = News::default();
        Unsaved::since(Some(&Snapshot { head: head(1), heard: NOW, news }))
    }

    #[test]
    fn deltas_add_up_until_they_are_taken() {
        let mut unsaved = loaded();
        assert_eq!(unsaved.waiting(), Waiting::Nothing);
        unsaved.add(&delta(&[], Some(1)), NOW);
        assert_eq!(unsaved.waiting(), Waiting::Heard);
        unsaved.add(&delta(&[1, 2], None), NOW);
        assert_eq!(unsaved.waiting(), Waiting::Heard, "it may be half of something");
        unsaved.add(&delta(&[3], Some(4)), NOW);
        unsaved.add(&delta(&[], Some(4)), NOW);
        assert_eq!(unsaved.waiting(), Waiting::News);
        let batch = unsaved.take().unwrap();
        assert_eq!((batch.since, batch.head), (Some(head(1)), head(4)));
        assert_eq!(batch.news.revocations, [1, 2, 3].map(revocation));

        unsaved.add(&delta(&[5], Some(5)), NOW);
        let batch = unsaved.take().unwrap();
        assert_eq!((batch.since, batch.head), (Some(head(4)), head(5)));
        assert_eq!(batch.news.revocations, [revocation(5)]);
    }

    #[test]
    fn all_of_it_is_saved_first_after_a_failure_and_in_a_new_epoch_and_after_a_snapshot() {
        let mut unsaved = Unsaved::since(None);
        assert!(unsaved.take().is_none());
        unsaved.add(&delta(&[1], Some(1)), NOW);
        assert_eq!(unsaved.take().unwrap().since, None, "the first save");

        unsaved.failed();
        assert_eq!(unsaved.waiting(), Waiting::News);
        unsaved.add(&delta(&[2], Some(2)), NOW);
        assert_eq!(unsaved.take().unwrap().since, None, "after a failure");

        let other = Head { epoch: Uuid::from_u128(2), sequence: 0 };
        unsaved.add(&News { head: Some(other), ..News::default() }, NOW);
        assert_eq!(unsaved.take().unwrap().since, None, "in a new epoch");

        unsaved.add(&News { is_snapshot: true, ..delta(&[3], None) }, NOW);
        assert_eq!(unsaved.waiting(), Waiting::Nothing, "half a snapshot");
        unsaved.add(&News { is_snapshot: true, ..delta(&[4], Some(4)) }, NOW);
        assert_eq!(unsaved.take().unwrap().since, None, "after a snapshot");
        unsaved.add(&delta(&[5], Some(5)), NOW);
        assert_eq!(unsaved.take().unwrap().since, Some(head(4)));
    }

    #[test]
    fn a_snapshot_that_comes_during_a_save_outlives_it() {
        let mut unsaved = loaded();
        unsaved.add(&delta(&[1], Some(2)), NOW);
        unsaved.take().unwrap();
        unsaved.add(&News { is_snapshot: true, ..delta(&[2], Some(3)) }, NOW);
        assert_eq!(unsaved.take().unwrap().since, None);
    }

    #[test]
    fn what_was_forgotten_is_saved_with_the_next_news() {
        let mut unsaved = loaded();
        unsaved.forgotten(Some(NOW));
        assert_eq!(unsaved.waiting(), Waiting::Nothing);
        unsaved.add(&delta(&[], Some(1)), NOW);
        assert_eq!(unsaved.take().unwrap().news.forgotten, Some(NOW));
    }

    #[tokio::test(start_paused = true)]
    async fn saves_keep_their_distance() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        assert_eq!(schedule.due(Waiting::Nothing), None);
        assert_eq!(schedule.due(Waiting::Heard), Some(now));
        assert!(!schedule.ended(false));
        assert_eq!(schedule.due(Waiting::News), Some(now + NEWS));
        assert_eq!(schedule.due(Waiting::Heard), Some(now + HEARD));
        assert!(schedule.ended(true));
        assert!(!schedule.ended(true));
        assert_eq!(schedule.due(Waiting::News), Some(now + FAILED));
        assert!(schedule.ended(false));
    }
}
