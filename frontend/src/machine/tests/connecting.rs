//! Tests how carriers are opened, replaced and closed.

use super::*;

#[test]
fn it_begins_over_websocket_where_the_page_ends() {
    let bench = Bench::new();
    let (_, transport, path) = &bench.open[0];
    assert_eq!(*transport, Transport::WebSocket);
    assert_eq!(*path, format!("/live?channels=%EC%98%A8%EC%8B%A4&after={}", id(12)));
}

#[test]
fn a_refused_websocket_gives_way_to_sse_at_once() {
    let mut bench = Bench::new();
    bench.signal(Signal::Closed);
    let (_, transport, path) = bench.open.last().unwrap();
    assert_eq!(*transport, Transport::Sse);
    assert!(path.ends_with(&format!("&after={}&as=sse", id(12))));
    bench.establish(12);
    assert_eq!(bench.link, Some(Link::Live { transport: Transport::Sse, round_trip_ms: None }));
}

#[test]
fn upgraded_and_then_silent_is_not_open() {
    let mut bench = Bench::new();
    bench.signal(Signal::Opened);
    bench.pass(4_999);
    assert_eq!(bench.transport(), Transport::WebSocket);
    bench.pass(1);
    assert_eq!((bench.transport(), bench.open.len()), (Transport::Sse, 1));
}

#[test]
fn a_websocket_that_hangs_while_opening_gives_way() {
    let mut bench = Bench::new();
    bench.pass(10_000);
    assert_eq!(bench.transport(), Transport::Sse);
}

#[test]
fn what_a_carrier_given_up_says_is_ignored() {
    let mut bench = Bench::new();
    let old = bench.open[0].0;
    bench.signal(Signal::Closed);
    bench.establish(12);
    let open = bench.open.clone();
    for signal in [Signal::Frame(Frame::Message(Box::new(message(20, 10)))), Signal::Closed, Signal::Opened] {
        assert!(bench.event(Event::Carrier { generation: old, signal }).is_empty());
    }
    assert_eq!((bench.feed.len(), bench.open), (0, open));
}

#[test]
fn silence_ends_a_carrier() {
    let mut bench = Bench::live();
    bench.pass(39_999);
    assert_eq!(bench.open.len(), 1);
    bench.pass(1);
    assert!(bench.open.is_empty());
    bench.pass(1_100);
    assert_eq!(bench.transport(), Transport::WebSocket);
}

#[test]
fn it_resumes_after_the_last_message() {
    let mut bench = Bench::live();
    bench.message(message(15, 10));
    bench.signal(Signal::Closed);
    bench.pass(1_100);
    assert!(bench.open[0].2.ends_with(&format!("&after={}", id(15))));
    bench.frame(Frame::Cursor { cursor: id(15) });
    bench.frame(Frame::Cursor { cursor: id(40) });
    bench.pass_alive(6);
    bench.signal(Signal::Closed);
    bench.pass(1_100);
    assert!(bench.open[0].2.ends_with(&format!("&after={}", id(40))), "heartbeats move the cursor");
}

#[test]
fn pauses_grow_and_stay_below_twenty_seconds() {
    let mut bench = Bench::live();
    let mut longest = 0;
    for _ in 0..40 {
        let before = bench.now;
        bench.signal(Signal::Closed);
        if bench.open.is_empty() {
            bench.now = bench.machine.wake_at().unwrap();
            while bench.open.is_empty() {
                bench.now = bench.machine.wake_at().unwrap().max(bench.now);
                bench.event(Event::Wake);
            }
            longest = longest.max(bench.now - before);
        }
    }
    assert!((8_000..=20_000).contains(&longest), "{longest}");
}

#[test]
fn sse_changes_over_to_websocket_without_loss() {
    let mut bench = Bench::live_over_sse();
    let stream = bench.open[0].0;
    bench.pass_alive(30);
    assert_eq!((bench.open.len(), bench.transport()), (2, Transport::WebSocket));
    assert!(bench.open[1].2.contains(&format!("after={}", id(12))));
    let event = |signal| Event::Carrier { generation: stream, signal };
    bench.event(event(Signal::Frame(Frame::Message(Box::new(message(15, 10))))));
    bench.establish(12);
    assert_eq!(bench.open.len(), 1, "the stream is closed");
    bench.message(message(15, 10));
    bench.message(message(16, 15));
    bench.event(event(Signal::Frame(Frame::Message(Box::new(message(16, 15))))));
    assert_eq!(bench.ids(), [15, 16]);
    assert_eq!(bench.machine.reader.duplicates(), 1);
    assert!(matches!(bench.link, Some(Link::Live { transport: Transport::WebSocket, .. })));
}

#[test]
fn upgrades_are_tried_less_and_less() {
    let mut bench = Bench::live_over_sse();
    let mut tries = Vec::new();
    for second in 0..1_000 {
        bench.pass_alive(1);
        if bench.open.len() == 2 {
            tries.push(second);
            bench.signal(Signal::Closed);
        }
    }
    let pauses: Vec<i32> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!((tries[0], pauses), (29, vec![60, 120, 240, 300]));
}

#[test]
fn an_upgrade_that_is_silent_leaves_the_stream_alone() {
    let mut bench = Bench::live_over_sse();
    bench.pass_alive(30);
    bench.signal(Signal::Opened);
    bench.pass_alive(6);
    assert_eq!((bench.open.len(), bench.transport()), (1, Transport::Sse));
}

#[test]
fn a_fallback_by_bad_luck_is_soon_undone() {
    let mut bench = Bench::live();
    bench.signal(Signal::Closed);
    bench.pass(1_100);
    bench.signal(Signal::Closed);
    assert_eq!(bench.transport(), Transport::Sse);
    bench.establish(12);
    bench.pass(2_000);
    assert_eq!(bench.transport(), Transport::WebSocket);
}

#[test]
fn websockets_that_die_young_make_room_for_sse() {
    let mut bench = Bench::live();
    bench.signal(Signal::Closed);
    bench.pass(2_000);
    bench.establish(12);
    bench.signal(Signal::Closed);
    bench.pass(2_000);
    assert_eq!(bench.transport(), Transport::Sse);
}

#[test]
fn goodbye_says_when_to_come_back() {
    let mut bench = Bench::live();
    bench.frame(Frame::Bye { code: 1001, reason: "restart".into(), retry_ms: 3_000 });
    bench.pass(2_999);
    assert!(bench.open.is_empty());
    bench.pass(2_000);
    assert_eq!(bench.open.len(), 1);
}

#[test]
fn good_news_shorten_the_wait() {
    for news in [Event::Online(true), Event::Visible(true)] {
        let mut bench = Bench::live();
        bench.signal(Signal::Closed);
        bench.event(news);
        assert_eq!(bench.open.len(), 1);
    }
    let mut bench = Bench::live();
    let first = bench.open[0].0;
    bench.event(Event::Visible(true));
    assert_eq!(bench.open[0].0, first, "a fresh connection stays");
    bench.pass(20_000);
    bench.event(Event::Visible(true));
    assert_ne!(bench.open[0].0, first, "a stale one does not");
    let second = bench.open[0].0;
    bench.act(UserAction::Reconnect);
    assert_eq!(bench.open.len(), 1);
    assert_ne!(bench.open[0].0, second);
}

#[test]
fn another_network_means_another_connection() {
    let mut bench = Bench::live();
    let first = bench.open[0].0;
    bench.pass(5_000);
    bench.event(Event::Online(false));
    bench.pass(3_000);
    bench.event(Event::Online(true));
    assert_ne!(bench.open[0].0, first);
}

#[test]
fn a_page_put_away_holds_nothing_open() {
    let mut bench = Bench::live();
    bench.event(Event::Hide);
    assert!(bench.open.is_empty());
    assert_eq!(bench.machine.wake_at(), None);
    bench.pass(60_000);
    bench.event(Event::Show);
    assert_eq!(bench.open.len(), 1);
    bench.establish(12);
    assert!(matches!(bench.feed[..], [Entry::Away { seconds: 60, .. }]));
}

#[test]
fn the_home_page_has_one_stream() {
    let mut bench = Bench::of(&with_screen(Screen::Home(app::page::Home { channels: Vec::new() })));
    assert_eq!(bench.open[0].1, Transport::Sse);
    assert_eq!(bench.open[0].2, "/?as=sse");
    let entry = ChannelEntry { channel: "a".parse().unwrap(), last: message(3, 0), pace: Vec::new(), here: 1 };
    let effects = bench.signal(Signal::Channel(Box::new(entry.clone())));
    assert!(effects.contains(&Effect::Update(Update::Channel(entry))));
    bench.frame(Frame::Cursor { cursor: id(12) });
    assert_eq!(bench.link, Some(Link::Live { transport: Transport::Sse, round_trip_ms: None }));
    bench.signal(Signal::Closed);
    bench.pass(1_100);
    assert_eq!((bench.open.len(), bench.transport()), (1, Transport::Sse));
}

#[test]
fn a_problem_has_no_connection() {
    let problem = app::page::Problem { status: 404, message: String::new() };
    assert!(Machine::new(&with_screen(Screen::Problem(problem)), 1).is_none());
}
