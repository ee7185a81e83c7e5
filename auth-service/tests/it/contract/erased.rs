//! What the tables hold of a user who has been deleted, and of everybody else.

use std::collections::{BTreeMap, BTreeSet};

use auth_service::{
    services::Service,
    sessions::{ClientLabel, RefreshToken, Session},
    users::UserChange,
};
use shared::{
    database::Engine,
    erasure::CONFIRM_SCOPE,
    pb::auth::{RegisterRequest, RevokeSessionRequest, UpdateCurrentUserRequest, User as WireUser},
    trust::Caller,
};
use uuid::Uuid;

use super::{
    LIVES, Scene, email, hash, image_url, on_every_engine, once, refresh, stored, successors,
    username,
};

on_every_engine!(
    Scene:
    nothing_is_left_but_that_there_was_a_user,
    what_others_have_is_as_it_was,
    who_comes_later_with_the_same_names_is_somebody_else,
);

/// What is in each table: its rows as text, bytes in hexadecimal digits.
pub(super) type Dump = BTreeMap<String, BTreeSet<String>>;

impl<DB: Engine> Scene<DB> {
    pub(super) async fn dump(&self) -> Dump {
        let tables = match self.engine() {
            e2e::Engine::Sqlite => "select name as it from sqlite_schema where type = 'table'",
            e2e::Engine::Postgres => {
                "select table_name::text as it from information_schema.tables
                 where table_schema = 'public'"
            }
        };
        let mut dump = Dump::new();
        for table in self.column::<String>(tables).await {
            let rows = match self.engine() {
                e2e::Engine::Sqlite => {
                    let columns = format!("select name as it from pragma_table_info('{table}')");
                    let columns = self.column::<String>(columns).await;
                    let quoted: Vec<_> =
                        columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
                    format!("select {} as it from \"{table}\"", quoted.join(" || ',' || "))
                }
                e2e::Engine::Postgres => {
                    format!("select row_to_json(r)::text as it from \"{table}\" r")
                }
            };
            let rows = self.column::<String>(rows).await.into_iter();
            dump.insert(table, rows.map(|row| row.to_lowercase()).collect());
        }
        assert!(dump.len() >= 11, "{:?}", dump.keys());
        dump
    }

    /// A session with a label, and its refresh token, which has been used.
    async fn labelled(&self, id: Uuid, label: &str) -> Caller {
        let label = ClientLabel::parse(label.to_owned()).unwrap();
        let session: Session = LIVES.begin(id, label, vec!["auth-service".to_owned()], &self.clock);
        let (caller, token) =
            (self.forge.caller_in(id, session.id), RefreshToken::random().unwrap());
        self.store.open_session(session, stored(&token), 0).await.unwrap();
        refresh(&self.store, &[successors("one")], &token).await.unwrap();
        caller
    }

    /// Somebody who has everything that a user can have, and whatever names them.
    async fn wealthy(&self, name: &str) -> Wealthy {
        let user = self.user(name, &format!("{name}@first.example"));
        let owner = Uuid::new_v4();
        let registration = once(owner, 1, RegisterRequest::default());
        self.store
            .register(user.clone(), hash(&format!("$hash of {name}")), registration)
            .await
            .unwrap();
        let caller = self.labelled(user.id, &format!("Phone of {name}")).await;
        let other = self.labelled(user.id, &format!("Laptop of {name}")).await;
        let change = |place: u128, change| {
            let user = Some(WireUser { username: place.to_string(), ..WireUser::default() });
            let request = UpdateCurrentUserRequest { user, ..Default::default() };
            let once = once(user_id(&caller), place, request);
            self.store.update_user(&caller, change, Some(0), once)
        };
        let rename =
            UserChange { username: Some(username(&format!("{name}2"))), ..Default::default() };
        change(1, rename).await.unwrap();
        let picture = image_url(&format!("https://example.org/{name}.png"));
        change(2, UserChange { image_url: Some(picture), ..Default::default() }).await.unwrap();
        let address = email(&format!("{name}@Second.example"));
        change(3, UserChange { email: Some(address), ..Default::default() }).await.unwrap();
        let request =
            RevokeSessionRequest { id: other.session_id().to_string(), ..Default::default() };
        let once = once(user.id, 4, request);
        self.store.revoke_session(&caller, other.session_id(), once).await.unwrap();
        let sessions = [caller.session_id(), other.session_id()];
        Wealthy { id: user.id, registration: owner, caller, sessions }
    }
}

struct Wealthy {
    id: Uuid,
    /// Whose the registration is, as long as it is known again.
    registration: Uuid,
    caller: Caller,
    sessions: [Uuid; 2],
}

fn user_id(caller: &Caller) -> Uuid {
    caller.user_id()
}

/// The tables that say anything of this.
fn holding(dump: &Dump, text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let holds = |rows: &BTreeSet<String>| rows.iter().any(|row| row.contains(&text));
    dump.iter().filter(|(_, rows)| holds(rows)).map(|(table, _)| table.clone()).collect()
}

/// The same of an id, in either spelling.
pub(super) fn holding_id(dump: &Dump, id: Uuid) -> Vec<String> {
    let mut tables = holding(dump, &id.simple().to_string());
    tables.extend(holding(dump, &id.to_string()));
    tables.sort();
    tables.dedup();
    tables
}

async fn register_tasks<DB: Engine>(scene: &Scene<DB>) {
    let secret = "a secret that nobody can ever guess".to_owned().into();
    let scopes = vec![CONFIRM_SCOPE.to_owned()];
    let service = Service::new("tasks".to_owned(), &secret, scopes, scene.clock.now()).unwrap();
    scene.store.add_service(service).await.unwrap();
}

async fn nothing_is_left_but_that_there_was_a_user<DB: Engine>(scene: Scene<DB>) {
    register_tasks(&scene).await;
    let ann = scene.wealthy("Zuleika").await;
    let before = scene.dump().await;
    assert_eq!(
        holding(&before, "zuleika"),
        ["answers", "sessions", "user_names", "users"],
        "what is looked for is found where it is"
    );
    let erasure_id = Uuid::new_v4();
    scene.store.delete_user(&ann.caller, 0, erasure_id).await.unwrap();
    let after = scene.dump().await;
    assert_eq!(holding(&after, "zuleika"), [""; 0]);
    // The answer to the registration has no name in it, keeps a repeated request from opening the account
    // anew, and is gone in a day.
    let tombstone = ["answers", "erasure_confirmations", "erasure_feed", "erasures"];
    assert_eq!(holding_id(&after, ann.id), tombstone);
    assert_eq!(holding_id(&after, ann.registration), ["answers"]);
    assert_eq!(after["answers"].len(), 1);
    for session in ann.sessions {
        assert_eq!(holding_id(&after, session), ["revocations"], "until its tokens have expired");
    }
    assert_eq!(holding_id(&after, erasure_id), ["erasures"]);
    for (table, count) in [
        ("erasures", 1),
        ("erasure_feed", 1),
        ("erasure_confirmations", 2),
        ("users", 0),
        ("user_names", 0),
        ("sessions", 0),
        ("refresh_tokens", 0),
    ] {
        assert_eq!(after[table].len(), count, "{table}");
    }
    let causes = scene.revoked().await.into_iter().map(|(id, cause, _)| (id, cause));
    let causes: Vec<_> = causes.collect();
    let [phone, laptop] = ann.sessions;
    assert_eq!(causes, [(laptop, "SESSION".to_owned()), (phone, "USER_DELETE".to_owned())]);
}

async fn what_others_have_is_as_it_was<DB: Engine>(scene: Scene<DB>) {
    register_tasks(&scene).await;
    let (ann, bob) = (scene.wealthy("Zuleika").await, scene.wealthy("Bartholomew").await);
    let eve = scene.wealthy("Evangeline").await;
    scene.store.delete_user(&eve.caller, 0, Uuid::new_v4()).await.unwrap();
    let before = scene.dump().await;
    scene.store.delete_user(&ann.caller, 0, Uuid::new_v4()).await.unwrap();
    let after = scene.dump().await;
    assert_eq!(holding_id(&after, bob.id), holding_id(&before, bob.id));
    assert_eq!(holding(&after, "bartholomew"), holding(&before, "bartholomew"));
    let hers = [ann.id, ann.sessions[0], ann.sessions[1]].map(|id| id.simple().to_string());
    for (table, rows) in &before {
        let gone: Vec<_> = rows.difference(&after[table]).collect();
        let come = after[table].difference(rows).count();
        match table.as_str() {
            // Two changes: the session that ends, and the deletion.
            "trust_head" => assert_eq!((gone.len(), come), (1, 1)),
            "erasures" | "erasure_feed" => assert_eq!((gone.len(), come), (0, 1), "{table}"),
            "erasure_confirmations" => assert_eq!((gone.len(), come), (0, 2), "{table}"),
            "revocations" => assert_eq!((gone.len(), come), (0, 1)),
            _ => {
                assert_eq!(come, 0, "{table}");
                for row in gone {
                    let row = row.replace('-', "");
                    assert!(hers.iter().any(|id| row.contains(id.as_str())), "{table}: {row}");
                }
            }
        }
    }
    assert_eq!(scene.store.account(&bob.caller).await.unwrap().user.id, bob.id);
}

async fn who_comes_later_with_the_same_names_is_somebody_else<DB: Engine>(scene: Scene<DB>) {
    let ann = scene.wealthy("Zuleika").await;
    let sessions = scene.store.sessions(&ann.caller, scene.clock.now()).await.unwrap();
    scene.store.delete_user(&ann.caller, 0, Uuid::new_v4()).await.unwrap();
    let other = scene.wealthy("Zuleika").await;
    assert_ne!(other.id, ann.id);
    assert_eq!(scene.named("zuleika2").await.unwrap().id, other.id);
    assert_eq!(sessions.len(), 1);
    assert_eq!(scene.store.sessions(&ann.caller, scene.clock.now()).await.unwrap(), []);
    let mut users = scene.store.users(Uuid::nil(), 10).await.unwrap();
    assert_eq!((users.len(), users.pop().unwrap().0.user.id), (1, other.id));
}
