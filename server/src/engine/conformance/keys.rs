//! Tests of idempotency keys: duplicates, conflicts and the ten minutes after which a key is forgotten.

use super::{Subject, draft};
use crate::{
    engine::{AppendError, Draft},
    limits::KEY_WINDOW,
};
use app::wire::Body;
use std::time::Duration;

pub(super) async fn same_key_same_body_is_a_duplicate(on: Subject) {
    let first = on.append(draft("a", "x", Some("k"))).await;
    let again = on.append(draft("a", "x", Some("k"))).await;
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.id, first.time), (again.id, again.time));
    assert_eq!(on.all("a").await.len(), 1);
    assert_eq!(on.journal.offsets().len(), 1);
}

pub(super) async fn same_key_other_body_is_a_conflict(on: Subject) {
    on.append(draft("a", "x", Some("k"))).await;
    assert_eq!(on.engine.append(draft("a", "y", Some("k"))).await, Err(AppendError::KeyConflict));
    assert!(on.append(draft("a", "x", Some("k"))).await.duplicate, "a conflict does not take the key over");
    assert_eq!(on.all("a").await.len(), 1);
}

pub(super) async fn text_and_json_differ_under_one_key(on: Subject) {
    on.append(draft("a", "1", Some("k"))).await;
    let json = Box::new(Draft { body: Body::Json("1".into()), ..*draft("a", "", Some("k")) });
    assert_eq!(on.engine.append(json).await, Err(AppendError::KeyConflict));
}

pub(super) async fn keys_are_per_channel(on: Subject) {
    on.append(draft("a", "x", Some("k"))).await;
    assert!(!on.append(draft("b", "y", Some("k"))).await.duplicate);
}

pub(super) async fn a_message_carries_its_key(on: Subject) {
    on.append(draft("a", "x", Some("k"))).await;
    assert_eq!(on.read("a", 0, 1).await.messages[0].message.key.as_deref(), Some("k"));
    assert_eq!(on.journal.all()[0].message.key.as_deref(), Some("k"));
}

pub(super) async fn a_key_holds_for_ten_minutes(on: Subject) {
    on.append(draft("a", "x", Some("k"))).await;
    on.hands.pass(KEY_WINDOW - Duration::from_secs(1));
    assert!(on.append(draft("a", "x", Some("k"))).await.duplicate);
}

pub(super) async fn and_is_forgotten_then(on: Subject) {
    let first = on.append(draft("a", "x", Some("k"))).await;
    on.hands.pass(KEY_WINDOW + Duration::from_secs(1));
    let second = on.append(draft("a", "y", Some("k"))).await;
    assert!(!second.duplicate && second.id.offset > first.id.offset);
}

pub(super) async fn a_duplicate_does_not_renew_it(on: Subject) {
    on.append(draft("a", "x", Some("k"))).await;
    on.hands.pass(KEY_WINDOW - Duration::from_secs(1));
    on.append(draft("a", "x", Some("k"))).await;
    on.hands.pass(Duration::from_secs(2));
    assert!(!on.append(draft("a", "x", Some("k"))).await.duplicate);
}

pub(super) async fn the_wall_clock_does_not_move_it(on: Subject) {
    let first = on.append(draft("a", "x", Some("k"))).await;
    on.hands.set_wall_by(86_400);
    let again = on.append(draft("a", "x", Some("k"))).await;
    assert!(again.duplicate, "set forward by a day");
    assert_eq!(again.time, first.time, "a duplicate returns the time of the first answer");
    on.hands.set_wall_by(-30 * 86_400);
    assert!(on.append(draft("a", "x", Some("k"))).await.duplicate, "set back by a month");
    on.hands.pass(KEY_WINDOW + Duration::from_secs(1));
    assert!(!on.append(draft("a", "x", Some("k"))).await.duplicate, "the key expires after ten minutes of steady time");
}

pub(super) async fn of_many_at_once_one_is_stored(on: Subject) {
    let all = (0..30).map(|_| on.engine.append(draft("a", "x", Some("k"))));
    let answers: Vec<_> = futures::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1);
    assert!(answers.iter().all(|answer| answer.id == answers[0].id));
    assert_eq!(on.all("a").await.len(), 1);
}
