//! The answers to writes that may be asked for again, in SQL.

use serde::{Serialize, de::DeserializeOwned};
use shared::{
    database::{Answers, Engine, Statement},
    once::{Once, Reused},
};
use sqlx::Error;

use super::{
    SqlStore,
    operation::{Act, Transaction},
};
use crate::error::Error as Failure;

impl<DB: Engine> SqlStore<DB> {
    /// Forgets answers that have been kept for long enough, `most` at the most; the answer is how many.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sweep_answers(&self, most: i64) -> Result<usize, Failure> {
        self.submit(Sweep { most }).await
    }
}

impl<DB: Engine> Transaction<'_, DB> {
    /// The answer that was given to this before, if it may be asked again and was. What orders the
    /// writes of its owner must be locked.
    pub(super) async fn find<T: DeserializeOwned>(
        &mut self,
        once: Option<&Once>,
    ) -> Result<Option<Result<T, Reused>>, Error> {
        match once {
            Some(once) => Answers::load::<DB>(self.connection, [once]).await?.find(once),
            None => Ok(None),
        }
    }

    /// Keeps the answer to what has been done, for whoever asks for it again.
    pub(super) async fn keep(
        &mut self,
        once: Option<&Once>,
        answer: &(impl Serialize + Sync),
    ) -> Result<(), Error> {
        let Some(once) = once else { return Ok(()) };
        let mut answers = Answers::default();
        answers.keep(once, answer)?;
        answers.store::<DB>(self.connection, self.now).await
    }
}

struct Sweep {
    most: i64,
}

impl<DB: Engine> Act<DB> for Sweep {
    type Answer = usize;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<usize, Error> {
        let delete = "delete from answers where (owner_id, method, request_id) in
                          (select owner_id, method, request_id from answers
                           where expire_time <= $1 order by expire_time limit $2)
                      returning request_id";
        let statement = Statement::new(delete).bind(at.now.micros()).bind(self.most);
        Ok(at.all(statement).await?.len())
    }
}
