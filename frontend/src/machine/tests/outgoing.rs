//! Tests that a message is sent exactly once, or shown as failed.

use super::*;
use app::live::OutgoingState;

fn state(bench: &Bench) -> OutgoingState {
    bench.outgoing[0].state.clone()
}

fn posts(effects: &[Effect]) -> Vec<String> {
    let key = |effect: &Effect| match effect {
        Effect::Post { key, .. } => Some(key.clone()),
        _ => None,
    };
    effects.iter().filter_map(key).collect()
}

fn error(reference: u64, code: ErrorCode) -> Frame {
    Frame::Error { reference: Some(reference.into()), code, message: "why".into() }
}

#[test]
fn a_message_leaves_when_it_is_seen() {
    let mut bench = Bench::live();
    let sent = published(&bench.say("hi"));
    assert_eq!(sent[0].1, KEY);
    assert_eq!(state(&bench), OutgoingState::Sending);
    bench.frame(ack(sent[0].0, 13, false));
    assert_eq!(bench.outgoing.len(), 1, "acknowledged, but not in the feed yet");
    bench.message(keyed(13, 10, KEY));
    assert!(bench.outgoing.is_empty());
    assert_eq!(bench.stored, None);
}

#[test]
fn an_acknowledgement_after_the_message_changes_nothing() {
    let mut bench = Bench::live();
    let sent = published(&bench.say("hi"));
    bench.message(keyed(13, 10, KEY));
    bench.frame(ack(sent[0].0, 13, false));
    assert!(bench.outgoing.is_empty());
}

#[test]
fn a_duplicate_is_settled_by_its_acknowledgement() {
    let mut bench = Bench::live();
    let sent = published(&bench.say("hi"));
    bench.frame(ack(sent[0].0, 99, true));
    assert!(bench.outgoing.is_empty());
}

#[test]
fn lost_before_the_answer_means_catch_up_then_the_same_key() {
    let mut bench = Bench::live();
    bench.say("hi");
    bench.signal(Signal::Closed);
    assert_eq!(state(&bench), OutgoingState::Waiting);
    bench.pass(1_100);
    bench.signal(Signal::Opened);
    assert!(published(&bench.frame(Frame::Cursor { cursor: id(12) })).is_empty());
    let sent = published(&bench.frame(Frame::Cursor { cursor: id(12) }));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1, KEY);
}

#[test]
fn found_while_catching_up_it_is_not_sent_again() {
    let mut bench = Bench::live();
    bench.say("hi");
    bench.signal(Signal::Closed);
    bench.pass(1_100);
    bench.frame(Frame::Cursor { cursor: id(12) });
    bench.message(keyed(13, 10, KEY));
    assert!(published(&bench.frame(Frame::Cursor { cursor: id(13) })).is_empty());
    assert!(bench.outgoing.is_empty());
}

#[test]
fn without_connection_messages_wait() {
    let mut bench = Bench::new();
    bench.say("hi");
    assert_eq!(state(&bench), OutgoingState::Waiting);
    bench.establish(12);
    assert_eq!(state(&bench), OutgoingState::Sending);
    assert_eq!(published(&bench.effects).len(), 1);
}

#[test]
fn no_answer_is_told_and_a_late_one_still_counts() {
    let mut bench = Bench::live();
    let sent = published(&bench.say("hi"));
    bench.pass(9_999);
    assert_eq!(state(&bench), OutgoingState::Sending);
    bench.pass(1);
    assert_eq!(state(&bench), OutgoingState::Failed { reason: None });
    bench.frame(ack(sent[0].0, 13, false));
    bench.message(keyed(13, 10, KEY));
    assert!(bench.outgoing.is_empty());
}

#[test]
fn refused_for_good_can_be_sent_again_or_forgotten() {
    let mut bench = Bench::live();
    let sent = published(&bench.say("hi"));
    bench.frame(error(sent[0].0, ErrorCode::TooLarge));
    assert_eq!(state(&bench), OutgoingState::Failed { reason: Some("why".into()) });
    let again = published(&bench.act(UserAction::Retry { key: KEY.into() }));
    assert_eq!(again[0].1, KEY);
    assert_eq!(state(&bench), OutgoingState::Sending);
    bench.frame(error(again[0].0, ErrorCode::TooLarge));
    bench.act(UserAction::Discard { key: KEY.into() });
    assert!(bench.outgoing.is_empty());
}

#[test]
fn refused_for_now_is_tried_three_times_more() {
    let mut bench = Bench::live();
    let mut sent = published(&bench.say("hi"));
    for _ in 0..3 {
        bench.frame(error(sent[0].0, ErrorCode::Unavailable));
        assert_eq!(state(&bench), OutgoingState::Sending);
        sent = published(&bench.pass(5_000));
        assert_eq!(sent[0].1, KEY);
    }
    bench.frame(error(sent[0].0, ErrorCode::Unavailable));
    assert_eq!(state(&bench), OutgoingState::Failed { reason: Some("why".into()) });
}

#[test]
fn over_sse_one_request_at_a_time_in_order() {
    let mut bench = Bench::live_over_sse();
    assert_eq!(posts(&bench.say("one")), [KEY]);
    let second = Event::Action { action: UserAction::Send(Body::Json("{}".into())), key: "k2".into() };
    assert!(posts(&bench.event(second)).is_empty());
    let stored = Ack { id: Some(id(13)), duplicate: Some(false), ..Ack::default() };
    let next = bench.event(Event::Posted { key: KEY.into(), answer: Answer::Stored(stored) });
    assert_eq!(posts(&next), ["k2"]);
    assert!(next.iter().any(|effect| matches!(effect, Effect::Post { content_type: "application/json", .. })));
    bench.event(Event::Posted { key: "k2".into(), answer: Answer::Lost });
    assert_eq!(posts(&bench.pass(1_500)), ["k2"]);
}

#[test]
fn the_queue_survives_a_reload() {
    let mut bench = Bench::new();
    bench.say("hi");
    let stored = bench.stored.clone();
    assert!(stored.is_some());
    let mut again = Bench::unstarted(&page(vec![message(10, 9)]));
    again.event(Event::Start { online: true, visible: true, stored: stored.clone() });
    assert_eq!(again.outgoing, bench.outgoing);
    again.establish(12);
    assert_eq!(published(&again.effects)[0].1, KEY);
    let mut stored_meanwhile = Bench::unstarted(&page(vec![keyed(10, 9, KEY)]));
    stored_meanwhile.event(Event::Start { online: true, visible: true, stored });
    assert!(stored_meanwhile.outgoing.is_empty());
    let mut broken = Bench::unstarted(&page(Vec::new()));
    broken.event(Event::Start { online: true, visible: true, stored: Some("{".into()) });
    assert!(broken.outgoing.is_empty());
}

#[test]
fn the_queue_is_bounded_and_says_so() {
    let mut bench = Bench::new();
    for n in 0..300 {
        bench.event(Event::Action { action: UserAction::Send(Body::Text("x".into())), key: format!("k{n}") });
    }
    assert_eq!(bench.outgoing.len(), 200);
    assert!(matches!(bench.outgoing[100].state, OutgoingState::Failed { reason: Some(_) }));
    assert!(bench.effects.iter().any(|effect| matches!(effect, Effect::Warn(_))));
}
