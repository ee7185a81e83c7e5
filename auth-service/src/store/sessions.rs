//! Sessions in SQL, and the refresh tokens that belong to them.

mod rows;
mod revoke;

use shared::{
    clock::Time,
    database::{Engine, Statement, get},
    trust::Caller,
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    SqlStore,
    operation::{Act, Transaction},
    users,
};
use crate::{
    error::{Error as Failure, Refusal},
    revocations::Cause,
    sessions::{MOST_SESSIONS, Session, TokenHash},
};
use rows::{forget_tokens, insert, time};

pub(super) use rows::{audiences, insert_token, session};

/// A refresh token that has been handed out, without the token.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// Its SHA-256.
    pub hash: TokenHash,
    /// What its successor is made from, beside itself.
    pub nonce: [u8; 32],
}

/// Which sessions of a user are to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    One(Uuid),
    AllBut(Uuid),
    All,
}

impl<DB: Engine> SqlStore<DB> {
    /// Opens a session with its first refresh token, if the password is still the one that was
    /// checked and the user may still log in.
    ///
    /// # Errors
    /// [`Refusal::PasswordChanged`], [`Refusal::UserDisabled`], or when the database is away.
    pub async fn open_session(
        &self,
        session: Session,
        first: StoredToken,
        password_version: i64,
    ) -> Result<(), Failure> {
        Ok(self.submit(Open { session, first, password_version }).await??)
    }

    /// The caller's sessions that have not ended, the oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sessions(&self, caller: &Caller, now: Time) -> Result<Vec<Session>, Failure> {
        let statement = Statement::new(
            "select id, user_id, client_label, audiences, create_time, last_use_time,
                    idle_expire_time, expire_time, token_expire_time
             from sessions where user_id = $1 and idle_expire_time > $2 order by id",
        );
        let statement = statement.bind(caller.user_id()).bind(now.micros());
        let rows = self.database.read(statement).await?;
        Ok(rows.iter().map(session::<DB>).collect::<Result<_, _>>()?)
    }

    /// Ends every session of the caller but the one of the call; the answer is how many.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`], or when the database is away.
    pub async fn revoke_other_sessions(&self, caller: &Caller) -> Result<usize, Failure> {
        let end = End::by(caller, Which::AllBut(caller.session_id()), Cause::OtherSessions);
        Ok(self.submit(end).await??)
    }

    /// Ends the session that this refresh token belongs to, if there is one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn log_out(&self, token: TokenHash) -> Result<(), Failure> {
        if let Some(place) = self.place_of(token).await? {
            let (user_id, which) = (place.user_id, Which::One(place.session_id));
            let end = End { user_id, by: None, which, cause: Cause::Logout };
            self.submit(end).await??;
        }
        Ok(())
    }

    /// Deletes sessions that have ended by themselves, `most` at the most; the answer is how many.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sweep_sessions(&self, most: i64) -> Result<usize, Failure> {
        self.submit(Sweep { most }).await
    }
}

struct Open {
    session: Session,
    first: StoredToken,
    password_version: i64,
}

impl<DB: Engine> Act<DB> for Open {
    type Answer = Result<(), Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.session.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<(), Refusal>, Error> {
        let user_id = self.session.user_id;
        match users::lock(at, user_id).await? {
            Some(account) if account.password_version != self.password_version => {
                return Ok(Err(Refusal::PasswordChanged));
            }
            Some(account) if account.is_disabled => return Ok(Err(Refusal::UserDisabled)),
            Some(_) => {}
            None => return Ok(Err(Refusal::InvalidCredentials)),
        }
        make_room(at, user_id).await?;
        insert(at, &self.session).await?;
        insert_token(at, self.session.id, 0, &self.first).await?;
        Ok(Ok(()))
    }
}

/// Ends what has ended by itself, and then the oldest sessions, until there is room for one more.
async fn make_room<DB: Engine>(at: &mut Transaction<'_, DB>, user_id: Uuid) -> Result<(), Error> {
    let select = "select id, idle_expire_time from sessions where user_id = $1 order by id";
    let rows = at.all(Statement::new(select).bind(user_id)).await?;
    let mut excess = (rows.len() + 1).saturating_sub(MOST_SESSIONS);
    let now = at.now.micros();
    let over = |row: &&DB::Row| get::<DB, i64>(row, "idle_expire_time").is_ok_and(|it| it <= now);
    let (over, rest): (Vec<_>, Vec<_>) = rows.iter().partition(over);
    for row in over.into_iter().chain(rest) {
        if excess == 0 {
            break;
        }
        excess -= 1;
        let which = Which::One(get::<DB, _>(row, "id")?);
        end(at, user_id, which, Cause::TooManySessions).await?;
    }
    Ok(())
}

struct End {
    user_id: Uuid,
    /// The session that the call is made in, which must not have ended.
    by: Option<Uuid>,
    which: Which,
    cause: Cause,
}

impl End {
    fn by(caller: &Caller, which: Which, cause: Cause) -> Self {
        Self { user_id: caller.user_id(), by: Some(caller.session_id()), which, cause }
    }
}

impl<DB: Engine> Act<DB> for End {
    type Answer = Result<usize, Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Result<usize, Refusal>, Error> {
        users::lock(at, self.user_id).await?;
        if let Some(by) = self.by
            && !is_open(at, self.user_id, by).await?
        {
            return Ok(Err(Refusal::SessionEnded));
        }
        end(at, self.user_id, self.which, self.cause).await.map(Ok)
    }
}

struct Sweep {
    most: i64,
}

impl<DB: Engine> Act<DB> for Sweep {
    type Answer = usize;

    /// Nothing is revoked: a session outlives its access tokens.
    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<usize, Error> {
        // Asked twice: one that has been used while this waited for its row is not over.
        let delete = "delete from sessions where idle_expire_time <= $1 and id in
                          (select id from sessions where idle_expire_time <= $1
                           order by idle_expire_time, id limit $2)
                      returning id";
        let statement = Statement::new(delete).bind(at.now.micros()).bind(self.most);
        let rows = at.all(statement).await?;
        for row in &rows {
            forget_tokens(at, get::<DB, _>(row, "id")?).await?;
        }
        Ok(rows.len())
    }
}

/// Ends sessions of a user whose row is locked. The answer is how many there were that had not ended
/// by themselves.
pub(super) async fn end<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    user_id: Uuid,
    which: Which,
    cause: Cause,
) -> Result<usize, Error> {
    let (condition, id) = match which {
        Which::One(id) => ("id = $2", id),
        Which::AllBut(id) => ("id <> $2", id),
        Which::All => ("id <> $2", Uuid::nil()),
    };
    let mut delete = Statement::new("delete from sessions where user_id = $1 and ");
    delete.push(condition).push(" returning id, idle_expire_time, token_expire_time");
    let rows = at.all(delete.bind(user_id).bind(id)).await?;
    let mut count = 0;
    for row in &rows {
        let id: Uuid = get::<DB, _>(row, "id")?;
        let token_expire_time = time::<DB>(row, "token_expire_time", id)?;
        at.revoke(id, cause, token_expire_time);
        forget_tokens(at, id).await?;
        count += usize::from(time::<DB>(row, "idle_expire_time", id)? > at.now);
    }
    Ok(count)
}

/// Whether this session of the user has not ended.
pub(super) async fn is_open<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    user_id: Uuid,
    id: Uuid,
) -> Result<bool, Error> {
    let select = "select id from sessions where user_id = $1 and id = $2";
    Ok(!at.all(Statement::new(select).bind(user_id).bind(id)).await?.is_empty())
}
