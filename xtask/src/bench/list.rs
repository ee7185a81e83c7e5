//! A page of a list, from its beginning and from far down.

use e2e::Engine;
use serde_json::json;
use shared::pb::task::{ListTasksRequest, task_service_client::TaskServiceClient};

use super::{
    Amounts,
    calls::{LIST_TASKS, Same},
    cores::SERVER,
    promise::Promise,
    rounds::{Variant, ratio, rounds},
    stage::{Person, Server, Stage},
};
use crate::{
    Failure,
    call::{told, with},
    figures::Finding,
    fill::fill,
    scene::name,
};

/// How many tasks the owner has beyond those that come before what is far down.
const MORE: usize = 10_000;
/// How many tasks a page has, and how many the pages that lead down there.
const PAGE: i32 = 50;
const STRIDE: i32 = 1_000;
/// What lists are ordered by.
const ORDERS: [&str; 2] = ["create_time", "title"];
const FLAT: Promise = Promise::most(1.1, "<= 1.1 x the first page");

pub(super) async fn measure(stage: &Stage, amounts: &Amounts) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for engine in stage.engines() {
        let person = stage.person().await?;
        let place = stage.databases.place(engine, "task").await;
        fill(&place, person.id, amounts.depth + MORE, &[]).await?;
        let service = stage.service(SERVER, &place, &[]).await?;
        for order in ORDERS {
            findings.extend(ordered(&service, engine, order, &person, amounts).await?);
        }
    }
    Ok(findings)
}

async fn ordered(
    service: &Server,
    engine: Engine,
    order: &str,
    person: &Person,
    amounts: &Amounts,
) -> Result<Vec<Finding>, Failure> {
    let tokens = [String::new(), far_down(service, order, person, amounts.depth).await?];
    let mut variants = Vec::new();
    for (page_token, depth) in tokens.into_iter().zip([0, amounts.depth]) {
        let page = request(order, PAGE, page_token);
        let people = [person.clone()];
        let crew = service.crew(1, LIST_TASKS, &people, |_| Same::new(&page)).await?;
        let name = format!("ListTasks by {order}, {}, from {depth}", name(engine));
        variants.push(Variant::new(name, service.process, crew));
    }
    rounds(&mut variants, amounts).await?;
    let [first, far] = &variants[..] else { return Err("there are two variants".into()) };
    let times = ratio(far, first, |sample| 1.0 / sample.rate);
    let raw = json!({ "ratio": times.json(), "rounds": far.json() });
    let shown = format!("{}", first.middle());
    Ok(vec![
        Promise::NOTHING.finding(&first.name, times.median, shown, first.json()),
        FLAT.finding(&far.name, times.median, format!("{times}; {}", far.middle()), raw),
    ])
}

/// The token of the page that begins there.
async fn far_down(
    service: &Server,
    order: &str,
    person: &Person,
    depth: usize,
) -> Result<String, Failure> {
    let mut tasks = TaskServiceClient::new(service.channel());
    let (mut seen, mut token) = (0, String::new());
    while seen < depth {
        let page = with(&person.token, request(order, STRIDE, token));
        let page = tasks.list_tasks(page).await.map_err(|status| told(&status))?.into_inner();
        seen += page.tasks.len();
        token = page.next_page_token;
        if token.is_empty() {
            return Err("the list ends too soon".into());
        }
    }
    Ok(token)
}

fn request(order: &str, page_size: i32, page_token: String) -> ListTasksRequest {
    ListTasksRequest { page_size, page_token, order_by: order.to_owned(), ..Default::default() }
}
