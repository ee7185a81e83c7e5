//! The sessions that `cargo up` prints and the README shows: they work when pasted as they stand. The last
//! call of the first is refused: the session of the token has ended. The second one deletes the account.

use std::net::SocketAddr;

const SESSION: &str = r#"grpcurl -plaintext -d '{"username": "ann", "email": "ann@example.com", "password": "a plain horse eats staples"}' \
  AUTH taskmanager.auth.v1.AuthService/Register

TOKENS=$(grpcurl -plaintext -d '{"login": "ann", "password": "a plain horse eats staples"}' \
  AUTH taskmanager.auth.v1.AuthService/Login)
token() { echo "$TOKENS" | sed -n 's/.*"'$1'": "\(.*\)".*/\1/p'; }
export TOKEN=$(token accessToken)

grpcurl -plaintext -expand-headers -H 'authorization: Bearer ${TOKEN}' \
  AUTH taskmanager.auth.v1.UserService/GetCurrentUser

grpcurl -plaintext -expand-headers -H 'authorization: Bearer ${TOKEN}' \
  -d '{"task": {"title": "Water the plants", "priority": "TASK_PRIORITY_HIGH", "dueTime": "2030-05-01T08:00:00Z"},
       "requestId": "5c8e2f0a-3b1d-4e6f-9a7c-d2b4c6e8f012"}' \
  TASK taskmanager.task.v1.TaskService/CreateTask

grpcurl -plaintext -expand-headers -H 'authorization: Bearer ${TOKEN}' \
  -d '{"orderBy": "due_time", "statuses": ["TASK_STATUS_TODO"]}' \
  TASK taskmanager.task.v1.TaskService/ListTasks

grpcurl -plaintext -expand-headers -H 'authorization: Bearer ${TOKEN}' \
  TASK taskmanager.task.v1.TaskService/WatchTasks

TOKENS=$(grpcurl -plaintext -d '{"refreshToken": "'$(token refreshToken)'"}' \
  AUTH taskmanager.auth.v1.AuthService/RefreshToken)
export TOKEN=$(token accessToken)

grpcurl -plaintext -expand-headers -H 'authorization: Bearer ${TOKEN}' \
  AUTH taskmanager.auth.v1.UserService/ListSessions

grpcurl -plaintext -d '{"refreshToken": "'$(token refreshToken)'"}' \
  AUTH taskmanager.auth.v1.AuthService/Logout

grpcurl -plaintext -expand-headers -H 'authorization: Bearer ${TOKEN}' \
  TASK taskmanager.task.v1.TaskService/ListTasks
"#;

const DELETION: &str = r#"TOKENS=$(grpcurl -plaintext -d '{"login": "ann", "password": "a plain horse eats staples"}' \
  AUTH taskmanager.auth.v1.AuthService/Login)
export TOKEN=$(echo "$TOKENS" | sed -n 's/.*"accessToken": "\(.*\)".*/\1/p')

DELETED=$(grpcurl -plaintext -expand-headers -H 'authorization: Bearer ${TOKEN}' \
  -d '{"currentPassword": "a plain horse eats staples"}' \
  AUTH taskmanager.auth.v1.UserService/DeleteCurrentUser)
ERASURE=$(echo "$DELETED" | sed -n 's/.*"id": "\(.*\)".*/\1/p')

grpcurl -plaintext -d '{"id": "'$ERASURE'"}' AUTH taskmanager.auth.v1.AuthService/GetErasure
"#;

/// The session for services at these addresses.
pub(crate) fn session(auth: SocketAddr, task: SocketAddr) -> String {
    at(SESSION, auth, task)
}

/// The one that deletes the account of the first.
pub(crate) fn deletion(auth: SocketAddr, task: SocketAddr) -> String {
    at(DELETION, auth, task)
}

fn at(session: &str, auth: SocketAddr, task: SocketAddr) -> String {
    session.replace("AUTH ", &format!("{auth} ")).replace("TASK ", &format!("{task} "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const README: &str = include_str!("../../README.md");

    #[test]
    fn the_readme_shows_the_sessions_that_are_printed() {
        let (auth, task) = (([127, 0, 0, 1], 50051).into(), ([127, 0, 0, 1], 50052).into());
        for session in [session(auth, task), deletion(auth, task)] {
            assert!(README.contains(&session), "{session}");
        }
    }

    #[test]
    fn every_file_that_the_readme_names_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let words = README.split('`').skip(1).step_by(2);
        let is_file = |word: &&str| {
            word.contains('/') && Path::new(word).extension().is_some_and(|it| it == "rs")
        };
        let files: Vec<_> = words.filter(is_file).collect();
        assert!(files.len() > 10);
        for file in files {
            let places = [root.join(file), root.join("task-service/src").join(file)];
            assert!(places.iter().any(|place| place.exists()), "{file}");
        }
    }
}
