//! Forgets users whose account is deleted, so slowly that nobody else has to wait for it.

use std::{ops::RangeInclusive, time::Duration};

use shared::{
    database::Engine,
    erasure::{Counts, Eraser, Erasure},
    trust::Head,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    error::Error,
    store::{Batch, Vault},
};

/// How many rows go in one transaction.
const BATCH: RangeInclusive<usize> = 8..=256;
/// How long that may take, with the copying of the log: the writes of others wait for the one, and for the disk while
/// it does the other.
const GOAL: Duration = Duration::from_millis(6);
/// How many times as long as the quickest commit it may take where the disk is slow: it flushes about so often.
const FLUSHES: u32 = 4;
/// How many times as long others then have for themselves.
const PAUSE: u32 = 2;

impl<DB: Engine> Eraser for Vault<DB> {
    type Error = Error;

    async fn cursor(&self) -> Result<Option<Head>, Error> {
        self.erasure_cursor().await
    }

    async fn erase(&self, erasure: &Erasure) -> Result<Counts, Error> {
        let (owner, fence_time) = (erasure.user_id, erasure.last_token_time());
        let (mut next, mut most) = (Some(Uuid::nil()), *BATCH.start());
        let (mut quickest, mut connection) = (Duration::MAX, None);
        while let Some(after) = next {
            let began = Instant::now();
            let erased = self.erase_some(Batch { owner, fence_time, after, most }).await?;
            quickest = quickest.min(began.elapsed());
            self.checkpoint_erased(&mut connection).await;
            let took = began.elapsed();
            sleep(took * PAUSE).await;
            (next, most) = (erased, after_batch(most, took, quickest));
        }
        let (projects, tasks) = self.erased(owner).await?;
        Ok(Counts::from([("projects", projects), ("tasks", tasks)]))
    }

    async fn purge(&self) -> Result<(), Error> {
        self.purge_erased().await
    }

    async fn confirmed(&self, erasure: &Erasure) -> Result<(), Error> {
        self.keep_erased(erasure.user_id, erasure.cursor).await
    }
}

/// How many rows go next, after so many have taken so long, and the quickest commit so long.
fn after_batch(rows: usize, took: Duration, quickest: Duration) -> usize {
    let goal = GOAL.max(quickest * FLUSHES);
    let rows = if took > goal {
        rows * 2 / 3
    } else if took < goal * 2 / 3 {
        rows * 3 / 2
    } else {
        rows
    };
    rows.clamp(*BATCH.start(), *BATCH.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fit_to_the_time_that_they_take() {
        let (quick, right, slow) = (GOAL / 4, GOAL * 3 / 4, GOAL * 3);
        assert_eq!([quick, right, slow].map(|took| after_batch(60, took, quick)), [90, 60, 40]);
        assert_eq!(after_batch(*BATCH.end(), quick, quick), *BATCH.end());
        assert_eq!(after_batch(*BATCH.start(), slow, quick), *BATCH.start());
    }

    #[test]
    fn where_the_disk_is_slow_they_do_not_shrink_to_the_least() {
        let commit = GOAL * 3;
        let after = |commits| after_batch(60, commit * commits, commit);
        assert_eq!([1, 2, 3, 4, 5].map(after), [90, 90, 60, 60, 40]);
    }
}
