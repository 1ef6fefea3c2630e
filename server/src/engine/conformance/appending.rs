//! Tests of appending: offsets, dispatch, bodies, concurrent publishers, closing, expected last messages, cursors.

use super::{Subject, draft, name, texts};
use crate::engine::{AppendError, Draft, Resolved};
use app::wire::{Body, Epoch, Id, MissedReason, headers::Expected};
use futures::FutureExt;
use std::{sync::Arc, time::Duration};

fn expecting(text: &str, expected: Expected) -> Box<Draft> {
    Box::new(Draft { expected: Some(expected), ..*draft("a", text, None) })
}

pub(super) async fn offsets_only_grow_over_all_channels(on: Subject) {
    let mut last = 0;
    for n in 0..20 {
        let offset = on.say(["a", "b", "온실"][n % 3], "x").await;
        assert!(offset > last);
        last = offset;
    }
}

pub(super) async fn the_tail_gets_everything_once_before_the_answer(on: Subject) {
    for n in 0..10 {
        let offset = on.say("a", &n.to_string()).await;
        assert_eq!(on.journal.offsets().last(), Some(&offset), "dispatched before it is acknowledged");
    }
    let offsets = on.journal.offsets();
    assert!(offsets.is_sorted_by(|a, b| a < b));
    assert_eq!(offsets.len(), 10);
}

pub(super) async fn prev_is_the_channels_message_before(on: Subject) {
    on.say("a", "1").await;
    on.say("b", "1").await;
    on.say("a", "2").await;
    let slice = on.read("a", 0, 10).await;
    assert_eq!(slice.messages[0].message.prev, None);
    assert_eq!(slice.messages[1].message.prev, Some(slice.messages[0].message.id));
}

pub(super) async fn every_body_comes_back_as_it_was(on: Subject) {
    let bodies = [
        Body::Text("줄\r\n\0끝".into()),
        Body::Json("{ \"a\" : [1.00] }".into()),
        Body::Binary(vec![0, 255]),
        Body::Text(String::new()),
    ];
    for body in &bodies {
        on.append(Box::new(Draft { body: body.clone(), ..*draft("a", "", None) })).await;
    }
    let slice = on.read("a", 0, 10).await;
    assert!(slice.messages.iter().map(|stored| &stored.message.body).eq(&bodies));
    let dispatched: Vec<_> = on.journal.all().iter().map(|stored| stored.frame().clone()).collect();
    let read: Vec<_> = slice.messages.iter().map(|stored| stored.frame().clone()).collect();
    assert_eq!(dispatched, read, "the same bytes live and from the store");
}

pub(super) async fn many_publishers_at_once_lose_nothing(on: Subject) {
    let publishers = (0..16).map(|publisher| {
        let engine = Arc::clone(&on.engine);
        tokio::spawn(async move {
            for n in 0..50 {
                engine.append(draft("a", &format!("{publisher}:{n}"), None)).await.unwrap();
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let slice = on.read("a", 0, 1000).await;
    assert_eq!(slice.messages.len(), 800);
    assert_eq!(on.journal.offsets(), slice.messages.iter().map(|stored| stored.offset()).collect::<Vec<_>>());
    let all = texts(&slice);
    for publisher in 0..16 {
        let prefix = format!("{publisher}:");
        let own: Vec<_> = all.iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
        assert_eq!(own, (0..50).map(|n| n.to_string()).collect::<Vec<_>>(), "each publisher's own order is kept");
    }
}

pub(super) async fn a_publisher_that_gives_up_breaks_nothing(on: Subject) {
    for n in 0..20 {
        // The future is polled once and dropped, so the message may or may not be stored.
        drop(on.engine.append(draft("a", &format!("given up {n}"), None)).now_or_never());
        on.say("a", &n.to_string()).await;
    }
    let stored = on.read("a", 0, 100).await;
    assert_eq!(on.journal.offsets(), stored.messages.iter().map(|stored| stored.offset()).collect::<Vec<_>>());
    assert_eq!(texts(&stored).iter().filter(|text| !text.starts_with("given up")).count(), 20);
}

pub(super) async fn a_closed_engine_takes_nothing(on: Subject) {
    on.engine.close().await;
    assert_eq!(on.engine.append(draft("a", "x", None)).await, Err(AppendError::Closed));
}

pub(super) async fn closing_twice_is_harmless(on: Subject) {
    on.say("a", "x").await;
    on.engine.close().await;
    on.engine.close().await;
    assert_eq!(on.all("a").await, ["x"], "reading still works after a close");
}

pub(super) async fn what_was_queued_before_the_close_is_stored(on: Subject) {
    let queued = (0..50).map(|n| on.engine.append(draft("a", &n.to_string(), None)));
    let (answers, ()) = tokio::join!(futures::future::join_all(queued), on.engine.close());
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(on.all("a").await.len(), stored);
    assert_eq!(stored, 50);
}

pub(super) async fn the_expected_last_message_lets_it_in(on: Subject) {
    let first = on.append(draft("a", "1", None)).await.id;
    on.say("b", "not counted").await;
    let second = on.append(expecting("2", Expected::Last(first))).await.id;
    on.append(expecting("3", Expected::Last(second))).await;
    assert_eq!(on.all("a").await, ["1", "2", "3"]);
}

pub(super) async fn another_last_message_keeps_it_out(on: Subject) {
    let first = on.append(draft("a", "1", None)).await.id;
    let second = on.append(draft("a", "2", None)).await.id;
    let refused = on.engine.append(expecting("3", Expected::Last(first))).await;
    assert_eq!(refused, Err(AppendError::NotLast(Some(second))));
    let elsewhere = Id { epoch: Epoch::from_random(1), offset: second.offset };
    let refused = on.engine.append(expecting("3", Expected::Last(elsewhere))).await;
    assert_eq!(refused, Err(AppendError::NotLast(Some(second))));
    assert_eq!(on.all("a").await, ["1", "2"]);
}

pub(super) async fn nothing_can_be_expected_of_an_empty_channel(on: Subject) {
    let elsewhere = on.append(draft("b", "1", None)).await.id;
    for expected in [Expected::Last(elsewhere), Expected::Any] {
        assert_eq!(on.engine.append(expecting("x", expected)).await, Err(AppendError::NotLast(None)));
    }
}

pub(super) async fn any_message_can_be_expected(on: Subject) {
    on.say("a", "1").await;
    on.append(expecting("2", Expected::Any)).await;
    assert_eq!(on.all("a").await, ["1", "2"]);
}

pub(super) async fn of_many_that_expect_the_same_one_wins(on: Subject) {
    let first = on.append(draft("a", "first", None)).await.id;
    let all = (0..20).map(|n| on.engine.append(expecting(&n.to_string(), Expected::Last(first))));
    let answers = futures::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(on.all("a").await.len(), 2);
}

pub(super) async fn a_retry_is_not_held_to_its_expectation(on: Subject) {
    let first = on.append(draft("a", "1", None)).await.id;
    let draft = Box::new(Draft { key: Some("k".into()), ..*expecting("2", Expected::Last(first)) });
    let stored = on.append(draft.clone()).await;
    let again = on.append(draft).await;
    assert!(again.duplicate);
    assert_eq!(stored.id, again.id);
}

pub(super) async fn a_refused_message_leaves_no_trace(on: Subject) {
    let _ = on.engine.append(expecting("x", Expected::Any)).await;
    let keyed = Box::new(Draft { key: Some("k".into()), ..*expecting("x", Expected::Any) });
    let _ = on.engine.append(keyed).await;
    assert!(on.journal.offsets().is_empty());
    assert!(on.engine.channels(0, 10).await.unwrap().is_empty());
    assert!(!on.append(draft("a", "y", Some("k"))).await.duplicate, "a refused message does not use up its key");
}

pub(super) async fn times_are_the_wall_clocks(on: Subject) {
    let first = on.append(draft("a", "x", None)).await;
    assert_eq!(first.time, on.hands.wall());
    on.hands.set_wall_by(-3600);
    let second = on.append(draft("a", "x", None)).await;
    assert_eq!(second.time, on.hands.wall());
    assert!(second.time < first.time && second.id.offset > first.id.offset, "offsets, not times, order messages");
    on.hands.pass(Duration::from_secs(1));
    assert_eq!(on.engine.channels(0, 1).await.unwrap()[0].message.id, second.id);
    assert_eq!(on.read("a", 0, 2).await.messages[1].message.channel, name("a"));
}

pub(super) async fn cursors_of_this_life_continue(on: Subject) {
    let id = on.append(draft("a", "x", None)).await.id;
    assert_eq!(on.engine.lineage().resolve(id, id.offset), Resolved::At(id.offset));
    let ahead = Id { offset: id.offset + 1, ..id };
    let lost = Resolved::Missed { reason: MissedReason::Lost, resume: id.offset };
    assert_eq!(on.engine.lineage().resolve(ahead, id.offset), lost);
}

pub(super) async fn cursors_of_elsewhere_do_not(on: Subject) {
    let id = on.append(draft("a", "x", None)).await.id;
    let foreign = Id { epoch: Epoch::from_random(7), offset: 1 };
    let unknown = Resolved::Missed { reason: MissedReason::UnknownCursor, resume: 0 };
    assert_eq!(on.engine.lineage().resolve(foreign, id.offset), unknown);
}
