//! Tests of reading: completeness, limits, the newest offsets, the list of channels and counting.

use super::{Subject, draft, name, texts};
use crate::engine::{Offset, Query, Stored};
use std::sync::Arc;

pub(super) async fn it_is_complete_and_bounded(on: Subject) {
    for n in 0..10 {
        on.say("a", &n.to_string()).await;
        on.say("b", "other").await;
    }
    let first = on.read("a", 0, 4).await;
    assert_eq!((texts(&first), first.more), (["0", "1", "2", "3"].map(String::from).to_vec(), true));
    let rest = on.read("a", first.messages[3].offset(), 100).await;
    assert_eq!((texts(&rest), rest.more), (["4", "5", "6", "7", "8", "9"].map(String::from).to_vec(), false));
    assert_eq!(rest.messages[0].message.prev, Some(first.messages[3].message.id));
    let exact = on.read("a", first.messages[3].offset(), 6).await;
    assert_eq!((exact.messages.len(), exact.more), (6, false));
}

pub(super) async fn bytes_bound_it_but_one_message_always_comes(on: Subject) {
    for _ in 0..3 {
        on.say("a", &"x".repeat(1000)).await;
    }
    let query = Query { channel: name("a"), after: 0, up_to: 100, limit: 10, bytes: 1 };
    let slice = on.engine.read(query).await.unwrap();
    assert_eq!((slice.messages.len(), slice.more), (1, true));
}

pub(super) async fn an_unknown_channel_is_empty(on: Subject) {
    let slice = on.read("nobody", 0, 10).await;
    assert_eq!((slice.messages.len(), slice.more, slice.floor), (0, false, 0));
    assert!(on.engine.offsets(name("nobody"), u64::MAX, 10).await.unwrap().is_empty());
    assert_eq!(on.engine.count(name("nobody"), 0, u64::MAX, 10).await.unwrap(), 0);
}

pub(super) async fn it_ends_where_it_is_told(on: Subject) {
    let mut offsets = Vec::new();
    for n in 0..5 {
        offsets.push(on.say("a", &n.to_string()).await);
    }
    let query = Query { channel: name("a"), after: offsets[0], up_to: offsets[2], limit: 10, bytes: 1 << 20 };
    let slice = on.engine.read(query).await.unwrap();
    assert_eq!((texts(&slice), slice.more), (["1", "2"].map(String::from).to_vec(), false));
}

pub(super) async fn past_the_end_is_nothing(on: Subject) {
    let last = on.say("a", "x").await;
    for after in [last, last + 1, i64::MAX as u64] {
        let slice = on.read("a", after, 10).await;
        assert_eq!((slice.messages.len(), slice.more), (0, false));
    }
    let backwards = Query { channel: name("a"), after: last, up_to: 0, limit: 10, bytes: 1 << 20 };
    assert!(on.engine.read(backwards).await.unwrap().messages.is_empty());
}

pub(super) async fn what_is_acknowledged_can_be_read(on: Subject) {
    for n in 0..50 {
        let offset = on.say("a", &n.to_string()).await;
        let slice = on.read("a", offset - 1, 1).await;
        assert_eq!(texts(&slice), [n.to_string()]);
    }
}

pub(super) async fn while_others_append_there_is_no_hole(on: Subject) {
    let engine = Arc::clone(&on.engine);
    let writer = tokio::spawn(async move {
        for n in 0..300 {
            engine.append(draft(["a", "b"][n % 2], &n.to_string(), None)).await.unwrap();
        }
    });
    let (mut after, mut prev, mut seen) = (0, None, 0);
    while seen < 150 {
        for stored in on.read("a", after, 7).await.messages {
            assert_eq!(stored.message.prev, prev);
            prev = Some(stored.message.id);
            after = stored.offset();
            seen += 1;
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

pub(super) async fn newest_offsets(on: Subject) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(on.say("a", "x").await);
        on.say("b", "x").await;
    }
    let offsets = |up_to, limit| on.engine.offsets(name("a"), up_to, limit);
    assert_eq!(offsets(u64::MAX, 2).await.unwrap(), all[3..]);
    assert_eq!(offsets(all[2], 2).await.unwrap(), all[1..3]);
    assert_eq!(offsets(all[0] - 1, 2).await.unwrap(), Vec::<Offset>::new());
    assert_eq!(offsets(u64::MAX, 0).await.unwrap(), Vec::<Offset>::new());
}

fn names(found: &[Arc<Stored>]) -> Vec<String> {
    found.iter().map(|stored| stored.message.channel.to_string()).collect()
}

pub(super) async fn channels_come_newest_first(on: Subject) {
    on.say("a", "1").await;
    let b = on.say("b", "1").await;
    on.say("a", "2").await;
    let all = on.engine.channels(0, 10).await.unwrap();
    assert_eq!(names(&all), ["a", "b"]);
    assert_eq!(all[0].message.body.as_bytes(), b"2", "each channel comes with its last message");
    assert_eq!(names(&on.engine.channels(b, 10).await.unwrap()), ["a"]);
}

pub(super) async fn channels_are_bounded(on: Subject) {
    for n in 0..5 {
        on.say(&format!("c{n}"), "x").await;
    }
    assert_eq!(names(&on.engine.channels(0, 2).await.unwrap()), ["c4", "c3"]);
    assert!(on.engine.channels(0, 0).await.unwrap().is_empty());
}

pub(super) async fn counting_is_bounded(on: Subject) {
    let mut offsets = Vec::new();
    for _ in 0..10 {
        offsets.push(on.say("a", "x").await);
        on.say("b", "x").await;
    }
    let count = |after, up_to, most| on.engine.count(name("a"), after, up_to, most);
    assert_eq!(count(0, u64::MAX, 100).await.unwrap(), 10);
    assert_eq!(count(0, u64::MAX, 4).await.unwrap(), 4);
    assert_eq!(count(offsets[2], offsets[5], 100).await.unwrap(), 3);
}
