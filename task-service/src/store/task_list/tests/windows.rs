//! A filter that few tasks pass: what a page looks at, and that nothing is passed over.

use e2e::on_every_engine;
use shared::database::Engine;

use super::{super::WINDOW, super::list, Data};
use crate::{
    pages::Page,
    tasks::{Priority, Status, TaskFilter, TaskOrder},
    text::TitlePart,
};

on_every_engine!(
    Data:
    a_rare_task_is_found_a_window_at_a_time,
    titles_whose_key_was_made_by_another_version_are_passed_by_once,
);

/// Every page of a list: how many tasks each has, and what they are called.
async fn walk<DB: Engine>(data: &Data<DB>, filter: &TaskFilter, size: usize) -> Vec<Vec<String>> {
    let (mut pages, mut page) = (Vec::new(), Page { size, after: None });
    loop {
        let rows = list(&data.database, data.owner, filter, &page).await.unwrap();
        pages.push(rows.rows.into_iter().map(|task| task.title.into()).collect());
        assert!(pages.len() < 100, "the walk comes to no end");
        page.after = rows.next;
        if page.after.is_none() {
            return pages;
        }
    }
}

async fn a_rare_task_is_found_a_window_at_a_time<DB: Engine>(data: Data<DB>) {
    let count = 5 * WINDOW + 1;
    data.fill(count.try_into().unwrap(), &[]).await;
    for order in [TaskOrder::CreateTime, TaskOrder::Title, TaskOrder::Priority] {
        for descending in [false, true] {
            let all = TaskFilter { order, descending, show_deleted: true, ..Default::default() };
            let none = TaskFilter { priorities: vec![Priority::Urgent], ..all.clone() };
            assert_eq!(walk(&data, &none, 50).await, [(); 6].map(|()| Vec::<String>::new()));

            let part = TitlePart::parse("TITLE 4321").unwrap();
            let two = TaskFilter { title_contains: part, ..all.clone() };
            let pages = walk(&data, &two, 50).await;
            assert_eq!(pages.concat(), ["Title 4321"; 2]);
            assert_eq!(pages.len(), 6);

            // Pages that are full before their window ends.
            let third = TaskFilter { statuses: vec![Status::Completed], ..all.clone() };
            let pages = walk(&data, &third, 500).await;
            assert_eq!(pages.concat().len(), count.div_ceil(3));
            assert!((7..=12).contains(&pages.len()), "{}", pages.len());
        }
    }
    // What has an index of its own needs no windows.
    let all = TaskFilter { show_deleted: true, ..TaskFilter::default() };
    assert_eq!(walk(&data, &all, count).await.len(), 1);
}

async fn titles_whose_key_was_made_by_another_version_are_passed_by_once<DB: Engine>(
    data: Data<DB>,
) {
    data.fill(10, &[]).await;
    data.write("update tasks set title_key = 'another ' || (9 - revision)").await;
    let order = TaskOrder::Title;
    let filter = TaskFilter { order, show_deleted: true, ..TaskFilter::default() };
    let turned: Vec<_> = (0..10).rev().map(|number| vec![format!("Title {number}")]).collect();
    assert_eq!(walk(&data, &filter, 1).await, turned);
}
