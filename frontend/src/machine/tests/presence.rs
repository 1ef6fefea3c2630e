//! Tests the list of readers and the typing notices.

use super::Bench;
use crate::machine::{Effect, Event};
use app::{
    live::{Here, Update, UserAction},
    wire::{ChannelName, Frame, Kind, PresenceUpdate, Sender, Typing},
};

fn sender(id: &str) -> Sender {
    Sender { id: id.into(), name: id.to_uppercase(), kind: Kind::Person }
}

fn channel() -> ChannelName {
    "온실".parse().unwrap()
}

fn presence(whole: bool, people: u32, joined: &[&str], left: &[&str]) -> Frame {
    let senders = |ids: &[&str]| ids.iter().map(|id| sender(id)).collect();
    Frame::Presence(PresenceUpdate {
        channel: channel(),
        people,
        programs: 0,
        whole,
        joined: senders(joined),
        left: senders(left),
    })
}

fn here(effects: &[Effect]) -> Option<&Here> {
    effects.iter().find_map(|effect| match effect {
        Effect::Update(Update::Here(here)) => Some(here),
        _ => None,
    })
}

fn ids(here: &Here) -> Vec<&str> {
    here.who.iter().map(|sender| sender.id.as_str()).collect()
}

fn typed(bench: &mut Bench, on: bool) -> Vec<String> {
    let effects = bench.event(Event::Action { action: UserAction::Typing(on), key: String::new() });
    let sent = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send { text, .. } if text.contains("typing") => Some(text),
        _ => None,
    });
    sent.collect()
}

#[test]
fn who_comes_and_goes_is_added_and_taken_away() {
    let mut bench = Bench::live();
    assert_eq!(ids(here(&bench.frame(presence(true, 2, &["a", "b"], &[]))).unwrap()), ["a", "b"]);
    let effects = bench.frame(presence(false, 2, &["c"], &["a"]));
    let after = here(&effects).unwrap();
    assert_eq!((ids(after), after.people), (vec!["b", "c"], 2));
    assert_eq!(ids(here(&bench.frame(presence(false, 2, &["c"], &[]))).unwrap()), ["b", "c"], "no duplicates");
    assert_eq!(ids(here(&bench.frame(presence(true, 1, &["d"], &[]))).unwrap()), ["d"], "the list is replaced");
}

#[test]
fn of_oneself_one_is_not_told_that_one_writes() {
    let mut bench = Bench::live();
    let own = super::page(Vec::new()).visitor;
    let effects = bench.frame(Frame::Typing(Typing { channel: channel(), who: vec![own, sender("a")] }));
    assert!(effects.contains(&Effect::Update(Update::Typing(vec![sender("a")]))));
}

#[test]
fn writing_is_said_now_and_then_and_over_a_websocket_only() {
    let mut bench = Bench::live();
    assert!(typed(&mut bench, false).is_empty(), "no end without a start");
    assert_eq!(typed(&mut bench, true).len(), 1);
    assert!(typed(&mut bench, true).is_empty(), "no notice for every letter");
    bench.now += 3_000;
    assert_eq!(typed(&mut bench, true).len(), 1);
    let end = typed(&mut bench, false);
    assert!(end[0].contains("\"on\":false"), "{end:?}");
    let mut bench = Bench::live_over_sse();
    assert!(typed(&mut bench, true).is_empty());
}
