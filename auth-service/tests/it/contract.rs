//! What the store promises, on every engine: one suite, run on SQLite and on PostgreSQL.

mod accounts;
mod changes;
mod groups;
mod guesses;
mod keys;
mod passwords;
mod sessions;
mod ended_sessions;
mod refresh;
mod refresh_model;
mod revocations;
mod sequence;
mod services;
mod revoked_keys;
mod repeats;
mod repeated_registrations;
mod erasures;
mod erased;
mod erasure_races;
mod wiped;
mod migrations;

pub(crate) use e2e::on_every_engine;

use std::{borrow::Cow, sync::Arc, time::Duration};

use auth_service::{
    error::{Error, Refusal},
    passwords::PasswordHash,
    sessions::{ClientLabel, Lives, RefreshToken, Session, Successors},
    store::{MIGRATIONS, Refresh, Refreshed, SqlStore, StoredToken},
    users::{Email, ImageUrl, User, Username},
};
use e2e::Place;
use shared::{
    clock::{Clock, Time},
    database::{Database, Engine, Settings, Sql, Statement, get},
    fields::Violations,
    ids::new_id,
    once::{Digests, Once, Repeatable},
    testing::Forge,
    trust::Caller,
};
use uuid::Uuid;

/// How long sessions and tokens last here.
pub(crate) const LIVES: Lives = Lives {
    token: Duration::from_mins(15),
    idle: Duration::from_hours(24),
    session: Duration::from_hours(72),
};

/// A store with an empty database.
pub(crate) struct Scene<DB: Engine> {
    pub(crate) store: Arc<SqlStore<DB>>,
    pub(crate) clock: Clock,
    settings: Settings,
    forge: Forge,
    place: Place,
}

impl<DB: Engine> Scene<DB> {
    pub(crate) async fn open(place: Place) -> Self {
        let settings = Settings::new("test", &place.url).unwrap();
        let clock = Clock::manual(Time::from_seconds(1_700_000_000));
        let store = Arc::new(SqlStore::open(&settings, clock.clone()).await.unwrap());
        Self { store, clock, settings, forge: Forge::new(), place }
    }

    /// Another process on the same database.
    pub(crate) async fn second_store(&self) -> SqlStore<DB> {
        SqlStore::open(&self.settings, self.clock.clone()).await.unwrap()
    }

    /// A user who has no account yet.
    pub(crate) fn user(&self, name: &str, email: &str) -> User {
        let now = self.clock.now();
        User {
            id: new_id(now),
            username: username(name),
            email: self::email(email),
            image_url: ImageUrl::default(),
            create_time: now,
            update_time: now,
        }
    }

    /// Opens an account of this name; its stored password is the name too.
    pub(crate) async fn register(&self, name: &str) -> (User, Caller) {
        let user = self.account(name).await;
        let caller = self.log_in(&user).await;
        (user, caller)
    }

    /// The same, without a session.
    pub(crate) async fn account(&self, name: &str) -> User {
        let user = self.user(name, &format!("{name}@example.com"));
        self.store.register(user.clone(), hash(name), None).await.unwrap();
        user
    }

    /// Opens a session of this user, whose password has never been changed.
    pub(crate) async fn log_in(&self, user: &User) -> Caller {
        self.log_in_with_token(user).await.0
    }

    /// The same, with its first refresh token.
    pub(crate) async fn log_in_with_token(&self, user: &User) -> (Caller, RefreshToken) {
        let (session, token) = (self.session(user), RefreshToken::random().unwrap());
        let caller = self.forge.caller_in(user.id, session.id);
        self.store.open_session(session, stored(&token), 0).await.unwrap();
        (caller, token)
    }

    /// A session that is not open yet.
    pub(crate) fn session(&self, user: &User) -> Session {
        let audiences = vec!["auth-service".to_owned()];
        LIVES.begin(user.id, ClientLabel::default(), audiences, &self.clock)
    }

    /// Somebody in a session that is not there.
    pub(crate) fn caller(&self, user: &User) -> Caller {
        self.forge.caller(user.id)
    }

    /// Who logs in by this key.
    pub(crate) async fn named(&self, key: &str) -> Option<User> {
        self.store.find_by_name(key.to_owned()).await.unwrap().map(|account| account.user)
    }

    /// Moves the clock, and says what it shows then.
    pub(crate) fn later(&self) -> Time {
        self.clock.advance(Duration::from_secs(1));
        self.clock.now()
    }

    /// What the database is on.
    pub(crate) fn engine(&self) -> e2e::Engine {
        self.place.engine
    }

    /// The database without the store.
    pub(crate) async fn database(&self) -> Database<DB> {
        Database::open(&self.settings, &MIGRATIONS).await.unwrap()
    }

    /// Runs a statement that no store would.
    pub(crate) async fn by_hand(&self, sql: impl Into<Cow<'static, str>>) -> Vec<DB::Row> {
        let mut connection = self.database().await.connect_writer().await.unwrap();
        Statement::<DB>::new(sql).all(&mut connection).await.unwrap()
    }

    /// The column `it` of what a statement gives.
    pub(crate) async fn column<T>(&self, sql: impl Into<Cow<'static, str>>) -> Vec<T>
    where
        DB: Sql<T>,
    {
        let rows = self.by_hand(sql).await;
        rows.iter().map(|row| get::<DB, T>(row, "it").unwrap()).collect()
    }

    /// What has been revoked and why, in order: an id, a cause, when its last token ends.
    pub(crate) async fn revoked(&self) -> Vec<(Uuid, String, Time)> {
        let rows =
            self.by_hand("select id, cause, expire_time from revocations order by sequence").await;
        let revoked = |row| {
            let time = Time::from_micros(get::<DB, _>(row, "expire_time").unwrap()).unwrap();
            (get::<DB, _>(row, "id").unwrap(), get::<DB, _>(row, "cause").unwrap(), time)
        };
        rows.iter().map(revoked).collect()
    }

    /// How many changes there have been.
    pub(crate) async fn head(&self) -> i64 {
        self.store.trust().await.unwrap().0.head.sequence
    }
}

/// What makes the successors of refresh tokens here.
pub(crate) fn successors(secret: &str) -> Successors {
    Successors::new(&secret.to_owned().into()).unwrap()
}

/// A refresh token that has been handed out.
pub(crate) fn stored(token: &RefreshToken) -> StoredToken {
    StoredToken { hash: token.hash(), nonce: [1; 32] }
}

/// Uses a refresh token as the RPC does: what has become of the session, and the next token.
pub(crate) async fn refresh<DB: Engine>(
    store: &SqlStore<DB>,
    keys: &[Successors],
    token: &RefreshToken,
) -> Result<(Refreshed, RefreshToken), Error> {
    let place = store.place_of(token.hash()).await?.ok_or(Refusal::RefreshUnknown)?;
    let mut next: Vec<_> = keys.iter().map(|key| key.of(token, &place.nonce)).collect();
    let refresh = Refresh {
        user_id: place.user_id,
        presented: token.hash(),
        successors: next.iter().map(RefreshToken::hash).collect(),
        nonce: Uuid::new_v4().as_bytes().repeat(2).try_into().unwrap(),
        lives: LIVES,
    };
    let refreshed = store.refresh(refresh).await?;
    let next = next.swap_remove(refreshed.successor);
    Ok((refreshed, next))
}

pub(crate) fn username(text: &str) -> Username {
    Username::parse(text.to_owned()).unwrap()
}

pub(crate) fn email(text: &str) -> Email {
    Email::parse(text.to_owned()).unwrap()
}

pub(crate) fn image_url(text: &str) -> ImageUrl {
    ImageUrl::parse(text.to_owned()).unwrap()
}

/// To the store a hash is a text like any other.
pub(crate) fn hash(text: &str) -> PasswordHash {
    PasswordHash(text.to_owned())
}

/// What this request is known again by when it is sent with this id.
pub(crate) fn once<M: Repeatable>(owner: Uuid, id: u128, mut request: M) -> Option<Once> {
    *request.request_id_mut() = Uuid::from_u128(id).to_string();
    let digests = Digests::new(b"a key that is for tests and nothing else");
    digests.once(owner, &request, &mut Violations::new()).unwrap()
}

/// The refusal that an answer must be.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> Refusal {
    match answer {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}
