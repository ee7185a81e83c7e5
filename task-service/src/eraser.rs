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
/// How long that may take, until it is on the disk: the writes of others wait for it. Where the quickest batch
/// takes more than half of it, it may take twice as long as that one.
const GOAL: Duration = Duration::from_millis(8);
/// How many times as long others then have for themselves.
const PAUSE: u32 = 3;

impl<DB: Engine> Eraser for Vault<DB> {
    type Error = Error;

    async fn cursor(&self) -> Result<Option<Head>, Error> {
        self.erasure_cursor().await
    }

    async fn erase(&self, erasure: &Erasure) -> Result<Counts, Error> {
        let (owner, fence_time) = (erasure.user_id, erasure.last_token_time());
        let (mut next, mut most) = (Some(Uuid::nil()), *BATCH.start());
        let mut quickest = Duration::MAX;
        while let Some(after) = next {
            let began = Instant::now();
            let erased = self.erase_some(Batch { owner, fence_time, after, most }).await?;
            let took = began.elapsed();
            sleep(took * PAUSE).await;
            quickest = quickest.min(took);
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

/// How many rows go next, after so many have taken so long, and the quickest batch so long.
fn after_batch(rows: usize, took: Duration, quickest: Duration) -> usize {
    let goal = GOAL.max(quickest * 2);
    let rows = if took > goal {
        rows / 2
    } else if took < goal / 2 {
        rows * 2
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
        assert_eq!([quick, right, slow].map(|took| after_batch(64, took, quick)), [128, 64, 32]);
        assert_eq!(after_batch(*BATCH.end(), quick, quick), *BATCH.end());
        assert_eq!(after_batch(*BATCH.start(), slow, quick), *BATCH.start());
    }

    #[test]
    fn where_the_disk_is_slow_they_do_not_shrink_to_the_least() {
        let flush = GOAL * 3;
        let after = |percent| after_batch(64, flush * percent / 100, flush);
        assert_eq!([99, 150, 210].map(after), [128, 64, 32]);
    }
}
