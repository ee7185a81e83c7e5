//! Refresh tokens in SQL: used once, and what becomes of a second time.

use std::time::Duration;

use shared::{
    clock::Time,
    database::{Corrupt, Engine, Statement, get},
};
use sqlx::Error;
use uuid::Uuid;

use super::{
    SqlStore, StoredToken,
    operation::{Act, Transaction},
    sessions::{self, Which},
    users,
};
use crate::{
    error::{Error as Failure, Refusal},
    revocations::Cause,
    sessions::{Lives, Session, TokenHash},
};

/// How long after its use a refresh token gives the same answer again.
const WINDOW: Duration = Duration::from_mins(1);
/// How many used refresh tokens of a session are known. What is older is unknown, not reused. They go
/// with their session, in one write.
const KNOWN: i64 = 100;

/// Where a refresh token belongs.
#[derive(Debug, Clone)]
pub struct TokenPlace {
    /// Whose it is.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// What the session's tokens are good for.
    pub audiences: Vec<String>,
    /// What its successor is made from, beside itself.
    pub nonce: [u8; 32],
}

/// The use of a refresh token.
#[derive(Debug)]
pub struct Refresh {
    /// The user that it belongs to.
    pub user_id: Uuid,
    /// The token that was presented.
    pub presented: TokenHash,
    /// Its successor, as each secret key that is in use makes it, the one in force first.
    pub successors: Vec<TokenHash>,
    /// What the successor's own successor is made from.
    pub nonce: [u8; 32],
    /// How long things last.
    pub lives: Lives,
}

/// What has been refreshed.
#[derive(Debug)]
pub struct Refreshed {
    /// The session as it is now.
    pub session: Session,
    /// Which of the successors is the next refresh token.
    pub successor: usize,
}

impl<DB: Engine> SqlStore<DB> {
    /// Where this refresh token belongs, if its session is there.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn place_of(&self, token: TokenHash) -> Result<Option<TokenPlace>, Failure> {
        let statement = Statement::new(
            "select s.user_id, s.id, s.audiences, t.nonce
             from refresh_tokens t join sessions s on s.id = t.session_id
             where t.hash = $1",
        );
        let rows = self.database.read(statement.bind(token.0.to_vec())).await?;
        Ok(rows.first().map(place::<DB>).transpose()?)
    }

    /// Uses a refresh token: the one conditional write that makes its successor, or finds it made.
    ///
    /// # Errors
    /// [`Refusal::RefreshUnknown`], [`Refusal::RefreshExpired`], [`Refusal::RefreshReused`], which
    /// ends the session, or when the database is away.
    pub async fn refresh(&self, refresh: Refresh) -> Result<Refreshed, Failure> {
        Ok(self.submit(refresh).await??)
    }
}

/// A refresh token's row, with its session.
struct Found {
    session: Session,
    generation: i64,
    /// When it was used, if it was.
    use_time: Option<Time>,
}

impl<DB: Engine> Act<DB> for Refresh {
    type Answer = Result<Refreshed, Refusal>;

    fn user_id(&self) -> Option<Uuid> {
        Some(self.user_id)
    }

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Self::Answer, Error> {
        users::lock(at, self.user_id).await?;
        let Some(found) = find(at, self.presented).await? else {
            return Ok(Err(Refusal::RefreshUnknown));
        };
        if found.session.is_over(at.now) {
            return Ok(Err(Refusal::RefreshExpired));
        }
        let successor = match found.use_time {
            None => {
                self.rotate(at, &found).await?;
                0
            }
            Some(used) => match self.again(at, &found, used).await? {
                Ok(successor) => successor,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        let session = self.lives.used(found.session, at.now);
        use_session(at, &session).await?;
        Ok(Ok(Refreshed { session, successor }))
    }
}

impl Refresh {
    /// Uses the token for the first time.
    async fn rotate<DB: Engine>(
        &self,
        at: &mut Transaction<'_, DB>,
        found: &Found,
    ) -> Result<(), Error> {
        let update = "update refresh_tokens set use_time = $2 where hash = $1 and use_time = 0";
        let statement = Statement::new(update).bind(self.presented.0.to_vec());
        at.all(statement.bind(at.now.micros())).await?;
        let hash = *self.successors.first().ok_or(Error::RowNotFound)?;
        let next = StoredToken { hash, nonce: self.nonce };
        sessions::insert_token(at, found.session.id, found.generation + 1, &next).await?;
        let delete = "delete from refresh_tokens where session_id = $1 and generation < $2";
        let statement = Statement::new(delete).bind(found.session.id);
        at.all(statement.bind(found.generation - KNOWN)).await?;
        Ok(())
    }

    /// The token comes a second time. A client that has lost the answer, or a second tab, gets the
    /// successor once more, as long as nobody has used that; whoever else it is ends the session.
    async fn again<DB: Engine>(
        &self,
        at: &mut Transaction<'_, DB>,
        found: &Found,
        used: Time,
    ) -> Result<Result<usize, Refusal>, Error> {
        let select = "select hash from refresh_tokens
                      where session_id = $1 and generation = $2 and use_time = 0";
        let statement = Statement::new(select).bind(found.session.id);
        let rows = at.all(statement.bind(found.generation + 1)).await?;
        let unused: Option<Vec<u8>> =
            rows.first().map(|row| get::<DB, _>(row, "hash")).transpose()?;
        match unused {
            Some(hash) if at.now.since(used) <= WINDOW => {
                let place = self.successors.iter().position(|successor| successor.0 == *hash);
                // Made under a secret key that is not known any more: it can not be made again.
                Ok(place.ok_or(Refusal::RefreshUnknown))
            }
            _ => {
                let which = Which::One(found.session.id);
                sessions::end(at, self.user_id, which, Cause::RefreshReuse).await?;
                Ok(Err(Refusal::RefreshReused))
            }
        }
    }
}

async fn find<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    token: TokenHash,
) -> Result<Option<Found>, Error> {
    let statement = Statement::new(
        "select s.id, s.user_id, s.client_label, s.audiences, s.create_time, s.last_use_time,
                s.idle_expire_time, s.expire_time, s.token_expire_time, t.generation, t.use_time
         from refresh_tokens t join sessions s on s.id = t.session_id
         where t.hash = $1",
    );
    let rows = at.all(statement.bind(token.0.to_vec())).await?;
    let found = |row| {
        let session = sessions::session::<DB>(row)?;
        let corrupt =
            || Corrupt { table: "refresh_tokens", column: "use_time", id: session.id.to_string() };
        let use_time = match get::<DB, i64>(row, "use_time")? {
            0 => None,
            micros => Some(Time::from_micros(micros).ok_or_else(corrupt)?),
        };
        Ok(Found { session, generation: get::<DB, _>(row, "generation")?, use_time })
    };
    rows.first().map(found).transpose()
}

async fn use_session<DB: Engine>(
    at: &mut Transaction<'_, DB>,
    session: &Session,
) -> Result<(), Error> {
    let update = "update sessions
                  set last_use_time = $2, idle_expire_time = $3, token_expire_time = $4
                  where id = $1";
    let statement = Statement::new(update)
        .bind(session.id)
        .bind(session.last_use_time.micros())
        .bind(session.idle_expire_time.micros())
        .bind(session.token_expire_time.micros());
    at.all(statement).await?;
    Ok(())
}

fn place<DB: Engine>(row: &DB::Row) -> Result<TokenPlace, Error> {
    let session_id: Uuid = get::<DB, _>(row, "id")?;
    let nonce: Vec<u8> = get::<DB, _>(row, "nonce")?;
    let corrupt =
        |_| Corrupt { table: "refresh_tokens", column: "nonce", id: session_id.to_string() };
    let nonce = nonce.try_into().map_err(corrupt)?;
    Ok(TokenPlace {
        user_id: get::<DB, _>(row, "user_id")?,
        session_id,
        audiences: sessions::audiences::<DB>(row)?,
        nonce,
    })
}
