//! Tests the feed: order, duplicates, gaps, missing history and what a reconnect shows.

use super::*;

fn caught_up(entry: &Entry) -> Option<bool> {
    match entry {
        Entry::Message { caught_up, .. } => Some(*caught_up),
        Entry::Away { .. } | Entry::Missed { .. } => None,
    }
}

#[test]
fn what_came_before_the_first_connection_is_ordinary() {
    let mut bench = Bench::new();
    bench.signal(Signal::Opened);
    bench.frame(Frame::Cursor { cursor: id(12) });
    bench.message(message(14, 10));
    bench.frame(Frame::Cursor { cursor: id(14) });
    assert_eq!(caught_up(&bench.feed[0]), Some(false));
    assert!(matches!(bench.link, Some(Link::Live { .. })));
}

#[test]
fn a_reconnect_tells_how_long_and_what_came() {
    let mut bench = Bench::live();
    bench.message(message(13, 10));
    bench.signal(Signal::Closed);
    bench.event(Event::Online(false));
    bench.pass(4_000);
    bench.event(Event::Online(true));
    bench.signal(Signal::Opened);
    bench.frame(Frame::Cursor { cursor: id(13) });
    bench.message(message(14, 13));
    bench.message(message(15, 14));
    bench.frame(Frame::Cursor { cursor: id(15) });
    bench.message(message(16, 15));
    assert!(matches!(bench.feed[1], Entry::Away { seconds: 4, .. }));
    let marks: Vec<bool> = bench.feed.iter().filter_map(caught_up).collect();
    assert_eq!(marks, [false, true, true, false]);
    let told = Link::CaughtUp { transport: Transport::WebSocket, messages: 2, partly: false };
    assert_eq!(bench.link, Some(told));
    bench.pass(3_999);
    assert_eq!(bench.link, Some(told));
    bench.pass(1);
    assert!(matches!(bench.link, Some(Link::Live { .. })));
}

#[test]
fn a_short_break_is_not_told() {
    let mut bench = Bench::live();
    bench.signal(Signal::Closed);
    bench.pass(900);
    bench.establish(12);
    assert!(bench.feed.is_empty());
    assert!(matches!(bench.link, Some(Link::Live { .. })));
}

#[test]
fn duplicates_are_dropped() {
    let mut bench = Bench::live();
    bench.message(message(10, 9));
    bench.message(message(13, 10));
    bench.message(message(13, 10));
    assert_eq!(bench.ids(), [13]);
    assert_eq!(bench.machine.reader.duplicates(), 2);
}

#[test]
fn lost_history_is_shown_once_and_reading_goes_on_after_it() {
    let mut bench = Bench::live();
    bench.signal(Signal::Closed);
    bench.pass(1_500);
    bench.frame(Frame::Cursor { cursor: id(12) });
    bench.frame(missed(12, 80));
    bench.frame(missed(12, 80));
    bench.message(message(81, 77));
    bench.frame(Frame::Cursor { cursor: id(81) });
    assert_eq!(bench.feed.iter().filter(|entry| matches!(entry, Entry::Missed { .. })).count(), 1);
    assert_eq!(bench.ids(), [81]);
    assert!(matches!(bench.link, Some(Link::CaughtUp { partly: true, .. })));
}

#[test]
fn a_store_set_back_is_read_from_its_end() {
    let mut bench = Bench::live();
    bench.frame(missed(12, 5));
    bench.message(message(6, 5));
    assert_eq!(bench.ids(), [6]);
}

#[test]
fn a_gap_is_asked_for_once_more_and_closed() {
    let mut bench = Bench::live();
    bench.frame(Frame::Cursor { cursor: id(30) });
    bench.message(message(31, 20));
    assert!(bench.feed.is_empty());
    assert!(bench.open[0].2.ends_with(&format!("after={}", id(10))), "from the last message, not the heartbeat");
    bench.frame(Frame::Cursor { cursor: id(10) });
    bench.message(message(20, 10));
    bench.message(message(31, 20));
    assert_eq!(bench.ids(), [20, 31]);
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Warn(_))));
}

#[test]
fn a_gap_that_stays_is_passed_with_a_warning() {
    let mut bench = Bench::live();
    bench.message(message(31, 20));
    bench.frame(Frame::Cursor { cursor: id(10) });
    let effects = bench.message(message(31, 20));
    assert_eq!(bench.ids(), [31]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Warn(_))));
    assert_eq!(bench.open.len(), 1);
}

#[test]
fn other_channels_are_none_of_ours() {
    let mut bench = Bench::live();
    bench.message(Message { channel: "other".parse().unwrap(), ..message(13, 0) });
    assert!(bench.feed.is_empty());
}
