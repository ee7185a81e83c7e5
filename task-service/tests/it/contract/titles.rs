//! Lists by title: the order and the search, the same on every engine.

use shared::database::Engine;
use task_service::{
    tasks::{Task, TaskFilter, TaskOrder},
    text::Title,
};

use super::{
    Scene,
    lists::{part, walk},
    new_task, on_every_engine, title,
};

on_every_engine!(
    Scene:
    titles_are_ordered_by_their_folded_code_points,
    a_part_of_a_title_is_found_whatever_its_case,
    every_character_of_a_part_stands_for_itself,
);

async fn titles_are_ordered_by_their_folded_code_points<DB: Engine>(scene: Scene<DB>) {
    // An order by language, or by the letters as they are written, would be another one.
    let ordered = [
        "!", "10", "9", "A", "ab", "Aß", "ASSB", "b", "C", "Z", "_", "ae", "ä", "Ö", "ø", "σ",
        "日", "🦀",
    ];
    let mut ordered = ordered.map(title);
    ordered.sort_by_key(Title::key);
    for number in 0..ordered.len() {
        let mut new = new_task("t");
        new.title = ordered[(number * 7 + 3) % ordered.len()].clone();
        scene.task(&scene.ann, new).await;
    }
    for size in [1, 4, 100] {
        let mut filter = TaskFilter { order: TaskOrder::Title, ..TaskFilter::default() };
        let titles = |tasks: Vec<Task>| tasks.into_iter().map(|it| it.title).collect::<Vec<_>>();
        assert_eq!(titles(walk(&scene, &scene.ann, &filter, size).await), ordered);
        filter.descending = true;
        let mut turned = titles(walk(&scene, &scene.ann, &filter, size).await);
        turned.reverse();
        assert_eq!(turned, ordered);
    }
    let keys = ordered.map(|title| title.key());
    assert_eq!(
        keys,
        [
            "!", "10", "9", "_", "a", "ab", "ae", "ass", "assb", "b", "c", "z", "ä", "ö", "ø", "σ",
            "日", "🦀"
        ]
    );
}

/// The titles that contain a part, in the order in which they were made.
async fn with_part<DB: Engine>(scene: &Scene<DB>, text: &str) -> Vec<String> {
    let filter = TaskFilter { title_contains: part(text), ..TaskFilter::default() };
    let tasks = walk(scene, &scene.ann, &filter, 2).await;
    tasks.into_iter().map(|task| task.title.into()).collect()
}

async fn a_part_of_a_title_is_found_whatever_its_case<DB: Engine>(scene: Scene<DB>) {
    for text in ["Straße", "STRASSE", "ΟΔΟΣ", "οδός", "Οδος", "Ähre", "K\u{212a}k"] {
        scene.later();
        scene.task(&scene.ann, new_task(text)).await;
    }
    for (text, expected) in [
        ("straße", vec!["Straße", "STRASSE"]),
        ("RASS", vec!["Straße", "STRASSE"]),
        ("οδοσ", vec!["ΟΔΟΣ", "Οδος"]),
        ("ΔΟς", vec!["ΟΔΟΣ", "Οδος"]),
        ("ÄHRE", vec!["Ähre"]),
        ("ahre", vec![]),
        ("kkk", vec!["K\u{212a}k"]),
        ("e", vec!["Straße", "STRASSE", "Ähre"]),
        ("nowhere", vec![]),
    ] {
        assert_eq!(with_part(&scene, text).await, expected, "{text}");
    }
}

async fn every_character_of_a_part_stands_for_itself<DB: Engine>(scene: Scene<DB>) {
    for text in
        ["100%", "1000", "a_b", "aXb", r"a\b", r"a\%b", "a%b", "'; drop table tasks; --", "a  b"]
    {
        scene.later();
        scene.task(&scene.ann, new_task(text)).await;
    }
    for (text, expected) in [
        ("%", vec!["100%", r"a\%b", "a%b"]),
        ("0%", vec!["100%"]),
        ("_", vec!["a_b"]),
        ("A_B", vec!["a_b"]),
        (r"\", vec![r"a\b", r"a\%b"]),
        (r"\%", vec![r"a\%b"]),
        (r"\_", vec![]),
        ("a%b", vec!["a%b"]),
        ("'", vec!["'; drop table tasks; --"]),
        ("  ", vec!["a  b"]),
    ] {
        assert_eq!(with_part(&scene, text).await, expected, "{text}");
    }
}
