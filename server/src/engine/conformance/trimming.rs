//! Tests of trimming: limits by number, bytes and age, floors, and what outlives a trimmed message.

use super::{Subject, draft, name};
use crate::{
    engine::{Draft, Retention},
    limits::{ROW_BYTES, TRIM_SLICE},
};
use app::wire::headers::Expected;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn fill(on: &Subject, channel: &str, count: usize) {
    for n in 0..count {
        on.say(channel, &n.to_string()).await;
    }
}

pub(super) async fn within_the_bounds_nothing_goes(on: Subject) {
    let on = on.keeping(Retention { messages: 10, age: Some(HOUR), ..Retention::default() }).await;
    fill(&on, "a", 10).await;
    fill(&on, "b", 10).await;
    on.hands.pass(HOUR - Duration::from_secs(1));
    assert_eq!(on.trim().await, 0);
    assert_eq!((on.all("a").await.len(), on.all("b").await.len()), (10, 10));
}

pub(super) async fn by_number_the_newest_stay(on: Subject) {
    let on = on.keeping(Retention { messages: 3, ..Retention::default() }).await;
    fill(&on, "a", 10).await;
    assert_eq!(on.trim().await, 7);
    assert_eq!(on.all("a").await, ["7", "8", "9"]);
    on.say("a", "10").await;
    assert_eq!(on.trim().await, 1);
    assert_eq!(on.all("a").await, ["8", "9", "10"]);
}

pub(super) async fn by_bytes_the_newest_stay(on: Subject) {
    let on = on.keeping(Retention { bytes: 3 * (100 + ROW_BYTES), ..Retention::default() }).await;
    for n in 0..8 {
        on.say("a", &format!("{n:0100}")).await;
    }
    assert_eq!(on.trim().await, 5);
    assert_eq!(on.all("a").await.len(), 3);
}

pub(super) async fn by_age_the_newest_stay(on: Subject) {
    let on = on.keeping(Retention { age: Some(HOUR), ..Retention::default() }).await;
    fill(&on, "a", 5).await;
    on.hands.pass(HOUR / 2);
    on.say("a", "half an hour later").await;
    on.hands.pass(HOUR / 2 + Duration::from_secs(1));
    assert_eq!(on.trim().await, 5);
    assert_eq!(on.all("a").await, ["half an hour later"]);
}

pub(super) async fn in_all_the_oldest_go_whatever_their_channel(on: Subject) {
    let on = on.keeping(Retention { total_bytes: 4 * (1 + ROW_BYTES), ..Retention::default() }).await;
    for n in 0..10 {
        on.say(["a", "b"][n % 2], &n.to_string()).await;
    }
    assert_eq!(on.trim().await, 6);
    assert_eq!((on.all("a").await, on.all("b").await), (vec!["6".into(), "8".into()], vec!["7".into(), "9".into()]));
}

pub(super) async fn a_channel_may_have_a_shorter_age(on: Subject) {
    let on = on.keeping(Retention { shorter: vec![(name("a"), HOUR)], ..Retention::default() }).await;
    fill(&on, "a", 3).await;
    fill(&on, "b", 3).await;
    on.hands.pass(HOUR + Duration::from_secs(1));
    assert_eq!(on.trim().await, 3);
    assert_eq!((on.all("a").await.len(), on.all("b").await.len()), (0, 3));
}

pub(super) async fn a_loud_channel_does_not_push_out_a_quiet_one(on: Subject) {
    let on = on.keeping(Retention { messages: 5, ..Retention::default() }).await;
    on.say("quiet", "x").await;
    fill(&on, "loud", 50).await;
    on.trim().await;
    assert_eq!((on.all("quiet").await.len(), on.all("loud").await.len()), (1, 5));
}

pub(super) async fn the_floor_is_the_last_that_went(on: Subject) {
    let on = on.keeping(Retention { messages: 2, ..Retention::default() }).await;
    fill(&on, "a", 4).await;
    fill(&on, "b", 1).await;
    let before = on.read("a", 0, 10).await;
    assert_eq!(before.floor, 0);
    on.trim().await;
    let after = on.read("a", 0, 10).await;
    assert_eq!(after.floor, before.messages[1].offset());
    assert_eq!(after.floor_time, Some(before.messages[1].message.time));
    assert_eq!(on.read("b", 0, 10).await.floor, 0, "the floor moves only in its own channel");
    assert_eq!((on.journal.floor("a"), on.journal.floor("b")), (Some(after.floor), None), "the dispatcher knows it");
}

pub(super) async fn prev_and_the_last_message_outlive_it(on: Subject) {
    let on = on.keeping(Retention { age: Some(HOUR), ..Retention::default() }).await;
    let last = on.append(draft("a", "x", None)).await.id;
    on.hands.pass(HOUR * 2);
    assert_eq!(on.trim().await, 1);
    let next = Box::new(Draft { expected: Some(Expected::Last(last)), ..*draft("a", "y", None) });
    on.append(next).await;
    assert_eq!(on.read("a", 0, 1).await.messages[0].message.prev, Some(last));
}

pub(super) async fn offsets_are_not_given_out_again(on: Subject) {
    let on = on.keeping(Retention { messages: 0, ..Retention::default() }).await;
    let last = on.say("a", "x").await;
    on.trim().await;
    assert!(on.say("a", "y").await > last);
}

pub(super) async fn slices_are_bounded_and_appends_go_on_between_them(on: Subject) {
    let on = on.keeping(Retention { messages: 1, ..Retention::default() }).await;
    let all = TRIM_SLICE * 2 + 10;
    futures::future::join_all((0..all).map(|_| on.engine.append(draft("a", "x", None)))).await;
    let mut gone = 0;
    loop {
        let slice = on.engine.trim().await.unwrap();
        assert!(slice <= TRIM_SLICE as u64);
        if slice == 0 {
            break;
        }
        gone += slice;
        on.say(&format!("b{gone}"), "in between").await;
    }
    assert!(gone >= all as u64 - 1);
    assert_eq!(on.all("a").await.len(), 1);
}

pub(super) async fn the_wall_clock_trims_nothing(on: Subject) {
    let on = on.keeping(Retention { age: Some(HOUR), ..Retention::default() }).await;
    on.say("a", "x").await;
    on.hands.set_wall_by(365 * 86_400);
    assert_eq!(on.trim().await, 0, "setting the wall clock forward by a year trims nothing");
    on.hands.set_wall_by(-2 * 365 * 86_400);
    assert_eq!(on.trim().await, 0);
    assert_eq!(on.all("a").await, ["x"]);
}

pub(super) async fn a_channel_without_messages_is_not_listed(on: Subject) {
    let on = on.keeping(Retention { shorter: vec![(name("a"), HOUR)], ..Retention::default() }).await;
    on.say("a", "x").await;
    on.hands.pass(HOUR * 2);
    on.say("b", "y").await;
    on.trim().await;
    let listed: Vec<_> = on.engine.channels(0, 10).await.unwrap().iter().map(|s| s.message.channel.clone()).collect();
    assert_eq!(listed, [name("b")]);
}

pub(super) async fn a_key_outlives_its_message(on: Subject) {
    let on = on.keeping(Retention { messages: 0, ..Retention::default() }).await;
    let first = on.append(draft("a", "x", Some("k"))).await;
    assert_eq!(on.trim().await, 1);
    let again = on.append(draft("a", "x", Some("k"))).await;
    assert!(again.duplicate);
    assert_eq!(again.id, first.id);
}
