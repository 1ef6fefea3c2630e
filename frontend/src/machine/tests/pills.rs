//! Tests the connection state and the round trip that the pill shows.

use super::*;

#[test]
fn connecting_shows_after_300_ms() {
    let mut bench = Bench::new();
    assert_eq!(bench.link, Some(Link::Snapshot));
    bench.pass(299);
    assert_eq!(bench.link, Some(Link::Snapshot));
    bench.pass(1);
    assert_eq!(bench.link, Some(Link::Connecting));
}

#[test]
fn reconnecting_shows_after_a_second_and_counts_down() {
    let mut bench = Bench::live();
    bench.frame(Frame::Bye { code: 1001, reason: String::new(), retry_ms: 5_000 });
    bench.pass(999);
    assert!(matches!(bench.link, Some(Link::Live { .. })));
    bench.pass(1);
    let Some(Link::Reconnecting { seconds }) = bench.link else { panic!("{:?}", bench.link) };
    bench.pass(2_000);
    assert_eq!(bench.link, Some(Link::Reconnecting { seconds: seconds - 2 }));
}

#[test]
fn three_failed_tries_mean_the_server_is_down() {
    let mut bench = Bench::live();
    bench.signal(Signal::Closed);
    for _ in 0..3 {
        bench.pass(25_000 - 20_000);
        while !bench.open.is_empty() {
            bench.signal(Signal::Closed);
        }
    }
    bench.pass(1_000);
    assert_eq!(bench.link, Some(Link::ServerDown));
    bench.act(UserAction::Reconnect);
    assert_eq!(bench.link, Some(Link::Reconnecting { seconds: 0 }), "a try that a person asked for is shown");
    bench.establish(12);
    bench.pass(4_000);
    assert!(matches!(bench.link, Some(Link::Live { .. })));
}

#[test]
fn offline_is_said_unless_the_server_still_speaks() {
    let mut bench = Bench::live();
    bench.event(Event::Online(false));
    bench.pass(1_000);
    assert_eq!(bench.link, Some(Link::Offline));
    let mut local = Bench::live();
    local.pass(100);
    local.event(Event::Online(false));
    local.pass(50);
    local.frame(Frame::Cursor { cursor: id(12) });
    local.pass(1_000);
    assert!(matches!(local.link, Some(Link::Live { .. })));
}

fn ping(effects: &[Effect]) -> Option<app::wire::Ref> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send { text, .. } => match app::wire::Command::parse(text) {
            Ok(app::wire::Command::Ping { reference }) => reference,
            _ => None,
        },
        _ => None,
    })
}

#[test]
fn the_round_trip_is_the_median_of_five() {
    let mut bench = Bench::live();
    let mut reference = ping(&bench.effects);
    for took in [900, 12, 14, 10, 11, 13] {
        bench.pass(took);
        bench.frame(Frame::Ack(Ack { reference: reference.take(), ..Ack::default() }));
        while reference.is_none() {
            reference = ping(&bench.pass(1));
        }
    }
    assert_eq!(bench.link, Some(Link::Live { transport: Transport::WebSocket, round_trip_ms: Some(12) }));
}

#[test]
fn over_sse_the_round_trip_is_a_request() {
    let mut bench = Bench::live_over_sse();
    let id = bench.effects.iter().find_map(|effect| if let Effect::Probe { id } = effect { Some(*id) } else { None });
    bench.pass(31);
    bench.event(Event::Probed { id: id.unwrap(), ok: true });
    assert_eq!(bench.link, Some(Link::Live { transport: Transport::Sse, round_trip_ms: Some(31) }));
}
