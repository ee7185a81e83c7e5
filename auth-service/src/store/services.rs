//! Services in SQL.

use shared::{
    clock::Time,
    database::{Corrupt, Engine, Statement, get},
    trust::MAX_TOKEN_LIFE,
};
use sqlx::Error;

use super::{
    SqlStore, erasures,
    operation::{Act, Transaction},
};
use crate::{
    error::{Error as Failure, Refusal},
    revocations::Cause,
    services::{SecretHash, Service},
};

impl<DB: Engine> SqlStore<DB> {
    /// Every service, in the order of their names.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn services(&self) -> Result<Vec<Service>, Failure> {
        let select =
            "select name, id, secret_hash, scopes, create_time from services order by name";
        let rows = self.database.read(Statement::new(select)).await?;
        Ok(rows.iter().map(service::<DB>).collect::<Result<_, _>>()?)
    }

    /// The service of this name.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn service(&self, name: String) -> Result<Option<Service>, Failure> {
        let select = "select name, id, secret_hash, scopes, create_time from services
                      where name = $1";
        let rows = self.database.read(Statement::new(select).bind(name)).await?;
        Ok(rows.first().map(service::<DB>).transpose()?)
    }

    /// Registers a service; the answer is whether it is new. One that is there with the same secret has
    /// these scopes from now on.
    ///
    /// # Errors
    /// [`Refusal::ServiceExists`], or when the database is away.
    pub async fn add_service(&self, service: Service) -> Result<bool, Failure> {
        Ok(self.submit(Add { service }).await??)
    }

    /// Removes a service. Its tokens end, and erasures wait for it no more.
    ///
    /// # Errors
    /// [`Refusal::ServiceNotFound`], or when the database is away.
    pub async fn remove_service(&self, name: String) -> Result<(), Failure> {
        Ok(self.submit(Remove { name }).await??)
    }
}

struct Add {
    service: Service,
}

impl<DB: Engine> Act<DB> for Add {
    type Answer = Result<bool, Refusal>;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Self::Answer, Error> {
        let new = &self.service;
        let insert = "insert into services (name, id, secret_hash, scopes, create_time)
                      values ($1, $2, $3, $4, $5) on conflict do nothing returning id";
        let statement = Statement::new(insert)
            .bind(new.name.clone())
            .bind(new.id)
            .bind(new.secret_hash.0.to_vec())
            .bind(new.scopes.join(" "))
            .bind(new.create_time.micros());
        if !at.all(statement).await?.is_empty() {
            if new.must_confirm() {
                at.change.ask();
            }
            return Ok(Ok(true));
        }
        let select = "select name, id, secret_hash, scopes, create_time from services
                      where name = $1";
        let rows = at.all(Statement::new(select).bind(new.name.clone())).await?;
        let old = rows.first().map(service::<DB>).transpose()?;
        let Some(old) = old.filter(|old| old.secret_hash == new.secret_hash) else {
            return Ok(Err(Refusal::ServiceExists));
        };
        if old.scopes != new.scopes {
            let update = "update services set scopes = $2 where name = $1";
            let statement = Statement::new(update).bind(new.name.clone());
            at.all(statement.bind(new.scopes.join(" "))).await?;
        }
        match (old.must_confirm(), new.must_confirm()) {
            (false, true) => at.change.ask(),
            (true, false) => {
                erasures::settle_parts(at, old.name.clone()).await?;
                at.change.ask_no_more(old.name);
            }
            (false, false) | (true, true) => {}
        }
        Ok(Ok(false))
    }
}

struct Remove {
    name: String,
}

impl<DB: Engine> Act<DB> for Remove {
    type Answer = Result<(), Refusal>;

    async fn run(&self, at: &mut Transaction<'_, DB>) -> Result<Self::Answer, Error> {
        let delete = "delete from services where name = $1 returning id";
        let rows = at.all(Statement::new(delete).bind(self.name.clone())).await?;
        let Some(row) = rows.first() else { return Ok(Err(Refusal::ServiceNotFound)) };
        // Its tokens are not written down: the last one may have been issued now, for as long as any.
        let expire_time = at.now.plus(MAX_TOKEN_LIFE);
        at.revoke(get::<DB, _>(row, "id")?, Cause::ServiceRemove, expire_time);
        // At once, for those that there are: what confirms them must not wait for the head meanwhile.
        erasures::settle_parts(at, self.name.clone()).await?;
        at.change.ask_no_more(self.name.clone());
        Ok(Ok(()))
    }
}

fn service<DB: Engine>(row: &DB::Row) -> Result<Service, Error> {
    let name: String = get::<DB, _>(row, "name")?;
    let corrupt = |column| Corrupt { table: "services", column, id: name.clone() };
    let secret_hash: Vec<u8> = get::<DB, _>(row, "secret_hash")?;
    let secret_hash = secret_hash.try_into().map_err(|_| corrupt("secret_hash"))?;
    let create_time = Time::from_micros(get::<DB, _>(row, "create_time")?);
    let scopes: String = get::<DB, _>(row, "scopes")?;
    Ok(Service {
        id: get::<DB, _>(row, "id")?,
        secret_hash: SecretHash(secret_hash),
        scopes: scopes.split(' ').map(str::to_owned).collect(),
        create_time: create_time.ok_or_else(|| corrupt("create_time"))?,
        name,
    })
}
