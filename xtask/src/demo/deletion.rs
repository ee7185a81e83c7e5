//! The part of the story that is about the end of an account: it is gone at once, and what its user had
//! soon after.

use std::time::{Duration, Instant};

use shared::{
    client::{Client, Policy},
    pb::{
        auth::{
            DeleteCurrentUserRequest, ErasureConfirmation, ErasureState, GetErasureRequest,
            auth_service_client::AuthServiceClient, user_service_client::UserServiceClient,
        },
        task::{CreateTaskRequest, ListTasksRequest, Task, task_service_client::TaskServiceClient},
    },
};
use tokio::time::sleep;
use tonic::{Request, transport::Channel};
use uuid::Uuid;

use super::{Person, open, said, sessions::until_refused};
use crate::{Failure, call::PASSWORD};

/// How often it is asked whether an erasure is complete, and for how long.
const INTERVAL: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// Shows how somebody goes.
pub(super) async fn show(auth: &Channel, task: &Channel, eve: Person) -> Result<(), Failure> {
    println!();
    let mut tasks = TaskServiceClient::new(task.clone());
    let create = Task { title: "Pack".to_owned(), ..Task::default() };
    let create = CreateTaskRequest { task: Some(create), ..Default::default() };
    let created = eve.client.write(&tasks, TaskServiceClient::create_task, create).await?;
    let created = created.task.unwrap_or_default();
    said("CreateTask", "as eve", format!("task {}", created.id));

    let authorization = eve.session.authorization().await?;
    let mut delete = Request::new(DeleteCurrentUserRequest {
        current_password: PASSWORD.to_owned(),
        // Known beforehand, it can be asked for although the answer is lost.
        erasure_id: Uuid::new_v4().to_string(),
    });
    delete.metadata_mut().insert("authorization", authorization.clone());
    let mut users = UserServiceClient::new(auth.clone());
    let erasure = users.delete_current_user(delete).await?.into_inner().erasure.unwrap_or_default();
    let answer = format!("erasure {}: {:?}", erasure.id, erasure.state());
    said("DeleteCurrentUser", "as eve", answer);
    complete(auth, erasure.id).await?;

    let list = || {
        let mut list = Request::new(ListTasksRequest::default());
        list.metadata_mut().insert("authorization", authorization.clone());
        list
    };
    until_refused(&mut tasks, list).await?;
    said("ListTasks", "as eve, with her last access token", "refused: TOKEN_REVOKED");
    open(auth, "eve").await
}

/// Asks until an erasure is complete, and shows each answer that is new.
async fn complete(auth: &Channel, id: String) -> Result<(), Failure> {
    let (auth, nobody) =
        (AuthServiceClient::new(auth.clone()), Client::anonymous(Policy::default()));
    let (begun, mut shown) = (Instant::now(), String::new());
    loop {
        let get = GetErasureRequest { id: id.clone() };
        let erasure = nobody.read(&auth, AuthServiceClient::get_erasure, get).await?.erasure;
        let erasure = erasure.unwrap_or_default();
        let parts: Vec<_> = erasure.confirmations.iter().map(part).collect();
        let answer = format!("{:?}: {}", erasure.state(), parts.join("; "));
        if answer != shown {
            said("GetErasure", "as anybody who knows its id", &answer);
            shown = answer;
        }
        if erasure.state() == ErasureState::Complete {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the erasure is not complete after {PATIENCE:?}").into());
        }
        sleep(INTERVAL).await;
    }
}

/// What a service says that it has deleted.
fn part(part: &ErasureConfirmation) -> String {
    let mut counts: Vec<_> = part.deleted_counts.iter().collect();
    counts.sort_unstable();
    let counts: Vec<_> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let counts = if counts.is_empty() { "not yet".to_owned() } else { counts.join(", ") };
    format!("{} {counts}", part.service)
}
