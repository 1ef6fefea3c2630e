//! Property test: the machine keeps its guarantees under any sequence of network and user events.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another publisher publishes a message.
    Publish,
    /// An open carrier delivers its next frame.
    Deliver(usize),
    /// A carrier fails.
    Break(usize),
    /// A message of this page reaches the server and is stored. The answer may be lost.
    Take {
        answered: bool,
    },
    Say,
    Retry,
    Pass(u64),
    Online(bool),
    Visible(bool),
    Reconnect,
    PutAway(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Publish),
        8 => (0..2usize).prop_map(Step::Deliver),
        1 => (0..2usize).prop_map(Step::Break),
        3 => any::<bool>().prop_map(|answered| Step::Take { answered }),
        2 => Just(Step::Say),
        1 => Just(Step::Retry),
        3 => (1..30_000u64).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Online),
        1 => any::<bool>().prop_map(Step::Visible),
        1 => Just(Step::Reconnect),
        1 => any::<bool>().prop_map(Step::PutAway),
    ]
}

/// A correct server: a log, and for each carrier the position up to which it has delivered.
struct World {
    bench: Bench,
    log: Vec<Message>,
    readers: HashMap<u32, Reading>,
    /// The number of effects of the bench that were processed.
    looked: usize,
    /// Messages on their way to the server: generation (`None` for a request), reference and key.
    coming: Vec<(Option<u32>, u64, String)>,
    said: u64,
}

struct Reading {
    at: u64,
    opened: bool,
    told_current: bool,
}

impl World {
    fn new() -> Self {
        let bench = Bench::new();
        let log = vec![message(10, 9)];
        let mut world = Self { bench, log, readers: HashMap::new(), looked: 0, coming: Vec::new(), said: 0 };
        world.look();
        world
    }

    fn append(&mut self, key: Option<String>) -> (Id, bool) {
        if let Some(known) = self.log.iter().find(|message| key.is_some() && message.key == key) {
            return (known.id, true);
        }
        let last = self.log.last().unwrap().id.offset;
        let offset = (last + 1 + last % 3).max(13);
        self.log.push(Message { key, ..message(offset, last) });
        (id(offset), false)
    }

    fn look(&mut self) {
        let news = self.bench.effects[self.looked..].to_vec();
        self.looked = self.bench.effects.len();
        for effect in news {
            match effect {
                Effect::Open { generation, path, .. } => {
                    let after = path.split("after=").nth(1).unwrap().trim_end_matches("&as=sse");
                    let at = after.parse::<Id>().unwrap().offset;
                    self.readers.insert(generation, Reading { at, opened: false, told_current: false });
                }
                Effect::Close { generation } => {
                    self.readers.remove(&generation);
                }
                Effect::Send { generation, .. } => {
                    for (reference, key) in published(&[effect]) {
                        self.coming.push((Some(generation), reference, key));
                    }
                }
                Effect::Post { key, .. } => self.coming.push((None, 0, key)),
                _ => {}
            }
        }
    }

    fn pick(&self, nth: usize) -> Option<u32> {
        self.bench.open.get(nth).map(|(generation, ..)| *generation)
    }

    fn deliver(&mut self, generation: u32) {
        let Some(reading) = self.readers.get_mut(&generation) else { return };
        let next = self.log.iter().find(|message| message.id.offset > reading.at);
        let frame = if !std::mem::replace(&mut reading.opened, true) {
            Frame::Cursor { cursor: id(reading.at) }
        } else if let Some(next) = next {
            reading.at = next.id.offset;
            Frame::Message(Box::new(next.clone()))
        } else {
            reading.told_current = true;
            Frame::Cursor { cursor: id(reading.at) }
        };
        self.bench.event(Event::Carrier { generation, signal: Signal::Frame(frame) });
    }

    fn take(&mut self, answered: bool) {
        if self.coming.is_empty() {
            return;
        }
        let (generation, reference, key) = self.coming.remove(0);
        let (stored, duplicate) = self.append(Some(key.clone()));
        match generation {
            Some(generation) if answered => {
                let signal = Signal::Frame(ack(reference, stored.offset, duplicate));
                self.bench.event(Event::Carrier { generation, signal });
            }
            Some(_) => {}
            None => {
                let stored = Ack { id: Some(stored), duplicate: Some(duplicate), ..Ack::default() };
                let answer = if answered { Answer::Stored(stored) } else { Answer::Lost };
                self.bench.event(Event::Posted { key, answer });
            }
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Publish => {
                self.append(None);
            }
            Step::Deliver(nth) => {
                if let Some(generation) = self.pick(nth) {
                    self.deliver(generation);
                }
            }
            Step::Break(nth) => {
                if let Some(generation) = self.pick(nth) {
                    self.bench.event(Event::Carrier { generation, signal: Signal::Closed });
                }
            }
            Step::Take { answered } => self.take(answered),
            Step::Say => {
                self.said += 1;
                let key = format!("key{}", self.said);
                self.bench.event(Event::Action { action: UserAction::Send(Body::Text("x".into())), key });
            }
            Step::Retry => {
                if let Some(key) = self.bench.outgoing.first().map(|out| out.key.clone()) {
                    self.bench.act(UserAction::Retry { key });
                }
            }
            Step::Pass(millis) => {
                self.bench.pass(millis);
            }
            Step::Online(online) => {
                self.bench.event(Event::Online(online));
            }
            Step::Visible(visible) => {
                self.bench.event(Event::Visible(visible));
            }
            Step::Reconnect => {
                self.bench.act(UserAction::Reconnect);
            }
            Step::PutAway(away) => {
                self.bench.event(if away { Event::Hide } else { Event::Show });
            }
        }
        self.look();
    }

    fn check(&self) {
        let ids = self.bench.ids();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "ids must increase: {ids:?}");
        let stored: Vec<u64> = self.log.iter().skip(1).map(|message| message.id.offset).collect();
        assert_eq!(ids[..], stored[..ids.len()], "nothing is left out");
        let cursor = self.bench.machine.reader.cursor().unwrap().offset;
        let passed = stored.iter().filter(|offset| **offset <= cursor).count();
        assert!(passed <= ids.len(), "the cursor passed a message that was not shown");
        let keys: Vec<&String> = self
            .bench
            .feed
            .iter()
            .filter_map(|entry| match entry {
                Entry::Message { message, .. } => message.key.as_ref(),
                _ => None,
            })
            .collect();
        let distinct: HashSet<&String> = keys.iter().copied().collect();
        assert_eq!(keys.len(), distinct.len(), "no message of this page is shown twice");
        for said in 1..=self.said {
            let key = format!("key{said}");
            let waits = self.bench.outgoing.iter().any(|out| out.key == key);
            let kept = self.log.iter().any(|message| message.key.as_ref() == Some(&key));
            assert!(waits || kept, "{key} is lost");
        }
        assert!(self.bench.open.len() <= 2);
        assert!(!self.bench.machine.reader.has_doubted(), "a correct server causes no gap");
        let at_work =
            self.bench.machine.net.hidden || !self.bench.open.is_empty() || self.bench.machine.wake_at().is_some();
        assert!(at_work, "the machine must keep trying");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn promises_hold(websocket in any::<bool>(), steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        if !websocket {
            // The page falls back to SSE; a WebSocket is tried later in parallel.
            world.run(Step::Break(0));
            world.run(Step::Deliver(0));
            world.run(Step::Pass(20_000));
            world.run(Step::Deliver(0));
            world.run(Step::Pass(10_000));
        }
        for step in steps {
            world.run(step);
            world.check();
        }
        // The network recovers: now every message must arrive and no message may stay pending.
        world.bench.event(Event::Show);
        world.bench.event(Event::Online(true));
        world.look();
        for _ in 0..400 {
            world.run(Step::Deliver(0));
            world.run(Step::Take { answered: true });
            if world.bench.open.is_empty() {
                world.run(Step::Pass(1_000));
            }
        }
        world.check();
        prop_assert_eq!(world.bench.ids().len(), world.log.len() - 1);
        let stuck = world.bench.outgoing.iter().any(|out| !matches!(out.state, app::live::OutgoingState::Failed { .. }));
        prop_assert!(!stuck, "{:?}", world.bench.outgoing);
    }
}
