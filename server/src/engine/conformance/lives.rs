//! Tests of what survives a restart, a crash and a restored copy: messages, keys, cursors, floors and epochs.

use super::{Subject, draft, name, texts};
use crate::{
    engine::{Draft, Resolved, Retention},
    limits::KEY_WINDOW,
};
use app::wire::{MissedReason, headers::Expected};
use std::time::Duration;

pub(super) async fn messages_keys_and_cursors_outlive_a_restart(on: Subject) {
    let first = on.append(draft("a", "x", Some("k"))).await;
    let on = on.restart().await;
    assert!(on.append(draft("a", "x", Some("k"))).await.duplicate);
    let second = on.append(draft("a", "y", None)).await;
    assert!(second.id.offset > first.id.offset);
    assert_ne!(second.id.epoch, first.id.epoch);
    let slice = on.read("a", 0, 10).await;
    assert_eq!(slice.messages[0].message.id, first.id, "an id keeps the epoch in which it was assigned");
    assert_eq!(slice.messages[1].message.prev, Some(first.id));
    assert_eq!(on.engine.lineage().resolve(first.id, second.id.offset), Resolved::At(first.id.offset));
}

pub(super) async fn a_crash_loses_nothing_acknowledged(on: Subject) {
    let mut acknowledged = Vec::new();
    let mut on = on;
    for life in 0..4 {
        for n in 0..25 {
            let text = format!("{life}:{n}");
            on.append(draft("a", &text, Some(&text))).await;
            acknowledged.push(text);
        }
        on = on.crash();
        assert_eq!(on.all("a").await, acknowledged);
        assert!(on.append(draft("a", &acknowledged[0], Some(&acknowledged[0]))).await.duplicate);
    }
}

pub(super) async fn offsets_are_not_reused_after_trimming_and_restart(on: Subject) {
    let on = on.keeping(Retention { messages: 0, ..Retention::default() }).await;
    let last = on.say("a", "x").await;
    assert_eq!(on.trim().await, 1);
    let on = on.restart().await;
    assert!(on.say("a", "y").await > last);
}

pub(super) async fn floors_outlive_a_restart(on: Subject) {
    let on = on.keeping(Retention { messages: 1, ..Retention::default() }).await;
    let floor = on.say("a", "x").await;
    on.say("a", "y").await;
    on.trim().await;
    let on = on.restart().await;
    assert_eq!(on.read("a", 0, 10).await.floor, floor);
}

pub(super) async fn time_between_two_lives_does_not_age_a_key(on: Subject) {
    on.append(draft("a", "x", Some("k"))).await;
    on.hands.pass(KEY_WINDOW / 2);
    on.append(draft("a", "y", Some("half way"))).await;
    let on = on.restart().await;
    on.hands.set_wall_by(86_400);
    assert!(on.append(draft("a", "x", Some("k"))).await.duplicate, "a day later");
    on.hands.pass(KEY_WINDOW / 2 + Duration::from_secs(1));
    assert!(!on.append(draft("a", "x", Some("k"))).await.duplicate, "ten minutes of running are over");
    assert!(on.append(draft("a", "y", Some("half way"))).await.duplicate, "the second key is younger than ten minutes");
}

pub(super) async fn what_is_too_much_is_dropped_after_a_restart_too(on: Subject) {
    for n in 0..10 {
        on.say("a", &n.to_string()).await;
    }
    let on = on.restart_keeping(Retention { messages: 4, ..Retention::default() }).await;
    assert_eq!(on.trim().await, 6);
    assert_eq!(on.all("a").await, ["6", "7", "8", "9"]);
}

pub(super) async fn ids_keep_the_life_they_were_made_in(on: Subject) {
    let mut on = on;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(on.append(draft("a", &n.to_string(), None)).await.id);
        on = on.restart().await;
    }
    let read: Vec<_> = on.read("a", 0, 10).await.messages.iter().map(|stored| stored.message.id).collect();
    assert_eq!(read, ids);
    let head = ids[4].offset;
    for id in ids {
        assert_eq!(on.engine.lineage().resolve(id, head), Resolved::At(id.offset));
    }
}

pub(super) async fn lives_without_messages_confuse_nobody(on: Subject) {
    let first = on.append(draft("a", "x", None)).await.id;
    let mut on = on;
    let mut cursors = Vec::new();
    for _ in 0..3 {
        on = on.restart().await;
        cursors.push(on.engine.lineage().cursor(first.offset));
    }
    on.say("a", "y").await;
    for cursor in cursors {
        assert_eq!(on.engine.lineage().resolve(cursor, first.offset + 1), Resolved::At(first.offset));
    }
    assert_eq!(texts(&on.read("a", first.offset, 10).await), ["y"]);
}

pub(super) async fn readers_of_what_a_restored_copy_lost_are_told(on: Subject) {
    let kept = on.append(draft("a", "kept", None)).await.id;
    let copy = on.copied();
    let lost = on.append(draft("a", "lost", None)).await.id;
    let on = on.restart().await;
    let lost_later = on.append(draft("a", "lost in a later life", None)).await.id;
    copy.say("a", "new").await;
    let resolve = |id| copy.engine.lineage().resolve(id, 100);
    assert_eq!(resolve(lost), Resolved::Missed { reason: MissedReason::Lost, resume: kept.offset });
    assert_eq!(resolve(lost_later), Resolved::Missed { reason: MissedReason::UnknownCursor, resume: 0 });
}

pub(super) async fn readers_of_what_it_kept_continue(on: Subject) {
    let kept = on.append(draft("a", "kept", None)).await.id;
    let copy = on.copied();
    on.say("a", "lost").await;
    assert_eq!(copy.engine.lineage().resolve(kept, 100), Resolved::At(kept.offset));
    copy.say("a", "new").await;
    assert_eq!(texts(&copy.read("a", kept.offset, 10).await), ["new"]);
}

pub(super) async fn expectations_outlive_a_restart(on: Subject) {
    let last = on.append(draft("a", "x", None)).await.id;
    let on = on.restart().await;
    on.append(Box::new(Draft { expected: Some(Expected::Last(last)), ..*draft("a", "y", None) })).await;
    assert_eq!(on.engine.channels(0, 1).await.unwrap()[0].message.channel, name("a"));
}
