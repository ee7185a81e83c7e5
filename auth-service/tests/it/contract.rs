//! What the store promises, on every engine: one suite, run on SQLite and on PostgreSQL.

mod accounts;
mod changes;
mod groups;
mod guesses;
mod keys;
mod passwords;

pub(crate) use e2e::on_every_engine;

use std::{sync::Arc, time::Duration};

use auth_service::{
    error::{Error, Refusal},
    passwords::PasswordHash,
    sessions::{ClientLabel, Lives, RefreshToken, Session},
    store::{MIGRATIONS, SqlStore, StoredToken},
    users::{Email, ImageUrl, User, Username},
};
use e2e::Place;
use shared::{
    clock::{Clock, Time},
    database::{Database, Engine, Settings, Statement},
    ids::new_id,
    testing::Forge,
    trust::Caller,
};

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
    _place: Place,
}

impl<DB: Engine> Scene<DB> {
    pub(crate) async fn open(place: Place) -> Self {
        let settings = Settings::new("test", &place.url).unwrap();
        let clock = Clock::manual(Time::from_seconds(1_700_000_000));
        let store = Arc::new(SqlStore::open(&settings, clock.clone()).await.unwrap());
        Self { store, clock, settings, forge: Forge::new(), _place: place }
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
        let user = self.user(name, &format!("{name}@example.com"));
        self.store.register(user.clone(), hash(name)).await.unwrap();
        let caller = self.log_in(&user).await;
        (user, caller)
    }

    /// Opens a session of this user, whose password has never been changed.
    pub(crate) async fn log_in(&self, user: &User) -> Caller {
        let (session, first) = self.session(user);
        let caller = self.forge.caller_in(user.id, session.id);
        self.store.open_session(session, first, 0).await.unwrap();
        caller
    }

    /// A session that is not open yet, and its first refresh token.
    pub(crate) fn session(&self, user: &User) -> (Session, StoredToken) {
        let audiences = vec!["auth-service".to_owned()];
        let session = LIVES.begin(user.id, ClientLabel::default(), audiences, &self.clock);
        let first = StoredToken { hash: RefreshToken::random().unwrap().hash(), nonce: [1; 32] };
        (session, first)
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

    /// Runs a statement that no store would.
    pub(crate) async fn by_hand(&self, sql: &'static str) {
        let database = Database::<DB>::open(&self.settings, &MIGRATIONS).await.unwrap();
        let mut connection = database.connect_writer().await.unwrap();
        Statement::<DB>::new(sql).all(&mut connection).await.unwrap();
    }
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

/// The refusal that an answer must be.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> Refusal {
    match answer {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}
