//! Something fails on the way, on either side: whoever is to be erased is told of again.

use super::{notes::What, *};
use crate::log::Log;

const SILENCE: Duration = Duration::from_secs(30);
/// The longest first pause, and the shortest after the third failure in a row.
const FIRST: Duration = Duration::from_millis(150);
const THIRD: Duration = Duration::from_millis(300);
/// The shortest pause after a refusal.
const REFUSED: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn a_confirmation_that_is_lost_is_made_again() {
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    pair.erases(ANN, 3).await;
    for lost in [None, Some(Status::unavailable("away")), Some(Status::not_found("not yet"))] {
        let confirmed = pair.confirmed().await;
        if let Some(status) = lost {
            confirmed.answer.send(Err(status)).unwrap();
        }
    }
    let confirmed = pair.confirmed().await;
    assert!(pair.steps.try_recv().is_err(), "nothing is erased twice, and nothing was kept");
    confirmed.answer.send(Ok(())).unwrap();
    assert_eq!(pair.step().await, Step::Kept(head(3)));
}

#[tokio::test]
async fn what_can_not_be_erased_now_is_tried_again_with_pauses() {
    let log = Log::default();
    let _listening = log.listen();
    let mut pair = Pair::start().await;
    pair.notes.break_down(Some(What::Erase));
    let mut opened = Vec::new();
    for _ in 0..4 {
        let stream = pair.watched().await;
        assert_eq!(stream.cursor, None);
        stream.send(told(ANN, 3));
        assert_eq!(pair.step().await, Step::Failed(What::Erase));
        opened.push(stream.at);
    }
    assert!(opened[1] - opened[0] >= FIRST / 2, "{opened:?}");
    assert!(opened[3] - opened[2] >= THIRD, "{opened:?}");
    assert!(pair.confirmed.try_recv().is_err());
    let said = log.text();
    assert_eq!((log.count("WARN"), log.count("the disk is full")), (1, 1), "{said}");
    assert!(said.contains("users who are deleted are not erased here"), "{said}");

    pair.notes.break_down(None);
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    pair.does(ANN, 3).await;
    stream.send(told(BOB, 4));
    pair.erases(BOB, 4).await;
    assert_eq!(log.count("heard of again"), 1, "{}", log.text());
}

#[tokio::test]
async fn what_can_not_be_purged_is_not_confirmed() {
    let mut pair = Pair::start().await;
    pair.notes.break_down(Some(What::Purge));
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    assert_eq!(pair.step().await, Step::Erased(erasure(ANN, 3)));
    assert_eq!(pair.step().await, Step::Failed(What::Purge));
    pair.notes.break_down(None);
    let stream = pair.watched().await;
    assert_eq!(stream.cursor, None);
    assert!(pair.confirmed.try_recv().is_err());
    stream.send(told(ANN, 3));
    pair.does(ANN, 3).await;
}

#[tokio::test]
async fn who_was_erased_is_confirmed_although_the_next_can_not_be() {
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    let mut malformed = told(BOB, 4);
    malformed.cursor = None;
    stream.send(malformed);
    pair.does(ANN, 3).await;
    assert_eq!(pair.watched().await.cursor, Some(head(3)));
}

#[tokio::test]
async fn what_can_not_be_kept_is_done_again() {
    let mut pair = Pair::start().await;
    pair.notes.break_down(Some(What::Keep));
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    pair.erases(ANN, 3).await;
    pair.confirmed().await.answer.send(Ok(())).unwrap();
    assert_eq!(pair.step().await, Step::Failed(What::Keep));
    pair.notes.break_down(None);
    let stream = pair.watched().await;
    assert_eq!(stream.cursor, None);
    stream.send(told(ANN, 3));
    pair.does(ANN, 3).await;
}

#[tokio::test]
async fn a_cursor_that_can_not_be_read_is_not_taken_for_the_beginning() {
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    stream.send(told(ANN, 3));
    pair.does(ANN, 3).await;
    pair.notes.break_down(Some(What::ReadCursor));
    drop(stream);
    for _ in 0..2 {
        assert_eq!(pair.step().await, Step::Failed(What::ReadCursor));
    }
    assert!(pair.watched.try_recv().is_err());
    pair.notes.break_down(None);
    assert_eq!(pair.watched().await.cursor, Some(head(3)));
}

#[tokio::test]
async fn a_token_that_ends_is_replaced() {
    let mut pair = Pair::start().await;
    let first = pair.watched().await;
    soon(pair.asked.recv()).await.unwrap();
    let mut authorization = first.authorization.clone();
    first.end(Status::unauthenticated("expired"));
    let second = pair.watched().await;
    soon(pair.asked.recv()).await.unwrap();
    assert_ne!(second.authorization, authorization);

    // It may end while somebody is being erased, too.
    authorization.clone_from(&second.authorization);
    second.send(told(ANN, 3));
    pair.erases(ANN, 3).await;
    let confirmed = pair.confirmed().await;
    confirmed.answer.send(Err(Status::unauthenticated("expired"))).unwrap();
    soon(pair.asked.recv()).await.unwrap();
    let confirmed = pair.confirmed().await;
    assert_ne!(confirmed.authorization, authorization);
    confirmed.answer.send(Ok(())).unwrap();
    assert_eq!(pair.step().await, Step::Kept(head(3)));
}

#[tokio::test]
async fn without_the_scope_the_operator_is_told_and_a_new_token_is_tried_later() {
    let log = Log::default();
    let _listening = log.listen();
    let mut pair = Pair::start().await;
    let first = pair.watched().await;
    soon(pair.asked.recv()).await.unwrap();
    let (began, authorization) = (first.at, first.authorization.clone());
    first.end(Status::permission_denied("the token has not the scope erasure.confirm"));
    let second = pair.watched().await;
    soon(pair.asked.recv()).await.unwrap();
    assert!(second.at - began >= REFUSED, "it hardly helps to try again");
    assert_ne!(second.authorization, authorization);
    let said = log.text();
    assert_eq!((log.count("ERROR"), log.count("erasure.confirm")), (1, 1), "{said}");
    second.send(told(ANN, 3));
    pair.does(ANN, 3).await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_opened_anew() {
    let mut pair = Pair::start().await;
    let stream = pair.watched().await;
    stream.send(told(ANN, 1));
    pair.does(ANN, 1).await;
    for sequence in 2..4 {
        pass(SILENCE.mul_f64(0.9)).await;
        stream.send(told(ANN, sequence));
        pair.does(ANN, sequence).await;
    }
    assert!(pair.watched.try_recv().is_err());
    pass(SILENCE).await;
    assert_eq!(pair.watched().await.cursor, Some(head(3)));
    drop(stream);
}

/// Lets so much time pass at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_malformed_message_is_not_taken_for_anybody() {
    type Edit = fn(&mut WatchErasuresResponse);
    let edits: [Edit; 7] = [
        |message| message.cursor = None,
        |message| message.cursor.as_mut().unwrap().sequence = -1,
        |message| message.cursor.as_mut().unwrap().epoch = "x".to_owned(),
        |message| message.deleted_user.as_mut().unwrap().user_id.clear(),
        |message| message.deleted_user.as_mut().unwrap().user_id.push('x'),
        |message| message.deleted_user.as_mut().unwrap().delete_time = None,
        |message| {
            let seconds = i64::MAX;
            let time = prost_types::Timestamp { seconds, nanos: 0 };
            message.deleted_user.as_mut().unwrap().delete_time = Some(time);
        },
    ];
    let log = Log::default();
    let _listening = log.listen();
    let mut pair = Pair::start().await;
    for edit in edits {
        let stream = pair.watched().await;
        let mut message = told(ANN, 3);
        edit(&mut message);
        stream.send(message);
    }
    let stream = pair.watched().await;
    assert_eq!(stream.cursor, None);
    assert!(pair.steps.try_recv().is_err() && pair.confirmed.try_recv().is_err());
    let said = log.text();
    assert_eq!((log.count("WARN"), log.count("a message is malformed")), (1, 1), "{said}");
    stream.send(told(ANN, 3));
    pair.does(ANN, 3).await;
}
