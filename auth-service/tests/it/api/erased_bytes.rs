//! What the files of a SQLite database hold of users whose erasure is complete: nothing that names them.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use e2e::{AuthServer, Engine, PASSWORD, Person};
use shared::pb::auth::{LoginRequest, RegisterRequest, User};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    account, credentials,
    erasing::{complete, deleted},
    me, register, start_without_limits, tokens,
    update_current_user::update,
};

/// Which of these texts the file or its log holds, in any case.
fn held(file: &Path, texts: &[String]) -> Vec<String> {
    let mut bytes = fs::read(file).unwrap();
    for beside in ["db-wal", "db-journal"] {
        bytes.extend(fs::read(file.with_extension(beside)).unwrap_or_default());
    }
    bytes.make_ascii_lowercase();
    let holds = |text: &&String| {
        let text = text.to_lowercase();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    };
    texts.iter().filter(holds).cloned().collect()
}

/// Somebody who has had other names, a picture and a labelled session; what names them now, and what has.
async fn somebody(server: &AuthServer, name: &str) -> (Person, [String; 4], [String; 3]) {
    let picture = |place| format!("https://{name}.example.org/{}/{place}.png", "p".repeat(1_500));
    let mut anonymous = server.anonymous();
    let request = RegisterRequest {
        image_url: picture(0),
        request_id: Uuid::new_v4().to_string(),
        ..account(&format!("{name}-first"))
    };
    register(&mut anonymous, request).await;
    let (login, label) = (format!("{name}-first"), format!("the phone of {name}-label"));
    let login = LoginRequest { client_label: label.clone(), ..credentials(&login, PASSWORD) };
    let token = tokens(&mut anonymous, login).await.access_token;
    let mut person = server.bearer(&token);
    for place in 1..3 {
        let user = User {
            username: format!("{name}-then{place}"),
            email: format!("{name}-mail{place}@Example.com"),
            image_url: picture(place),
            ..User::default()
        };
        let mut request = update(&user, &["username", "email", "image_url"], PASSWORD);
        request.request_id = Uuid::new_v4().to_string();
        person.users.update_current_user(request).await.unwrap();
    }
    let host = format!("{name}.example.org");
    let now = [label, format!("{name}-then2"), format!("{name}-mail2@example.com"), host];
    let before = ["first@example.com", "then1", "mail1@example.com"];
    let before = before.map(|text| format!("{name}-{text}"));
    (person, now, before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_complete_is_in_no_file_while_others_read_and_write() {
    let server = start_without_limits(Engine::Sqlite).await;
    let file = server.place.url.strip_prefix("sqlite://").unwrap().to_owned();
    let file = Path::new(&file);
    let stop = Arc::new(AtomicBool::new(false));
    let mut others = JoinSet::new();
    for name in ["others-one", "others-two"] {
        let (mut other, ..) = somebody(&server, name).await;
        let stop = Arc::clone(&stop);
        others.spawn(async move {
            for place in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                me(&mut other).await;
                let image_url = format!("https://others.example.org/{place}");
                let user = User { image_url, ..User::default() };
                other.users.update_current_user(update(&user, &["image_url"], "")).await.unwrap();
            }
        });
    }
    let mut gone = Vec::new();
    for name in ["zuleika", "bartholomew", "evangeline", "cunigunde"] {
        gone.push(somebody(&server, name).await);
    }
    for (_, now, _) in &gone {
        assert_eq!(held(file, now), now, "what is looked for is found where it is");
    }
    for (person, now, before) in &mut gone {
        let id = deleted(person).await.id;
        complete(&server, &id).await;
        assert_eq!((held(file, now), held(file, before)), (vec![], vec![]));
    }
    stop.store(true, Ordering::Relaxed);
    others.join_all().await;
    for (_, now, before) in &gone {
        let left = (held(file, now), held(file, before));
        assert_eq!(left, (vec![], vec![]), "and nothing brings it back");
    }
    assert!(!held(file, &["others-one".to_owned()]).is_empty());
}
