//! What a reader received, compared with what was published and stored; and the random numbers of a run.

use super::CHANNELS;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

/// Faults of which the text is kept. More texts would only repeat the first ones.
const EXAMPLES: usize = 5;

/// Random numbers that are the same for the same seed (splitmix64).
pub(super) struct Random(u64);

impl Random {
    /// One of many independent streams of a seed, so that the numbers of a task do not depend on when others draw.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut this = Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        this.draw();
        this
    }

    pub(super) fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` up to, but not including, `high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low)
    }

    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.between(0, times) == 0
    }

    pub(super) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    pub(super) fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.between(0, count as u64)).unwrap()
    }
}

/// Identifies a message without its id: its channel, its publisher, and the publisher's number for it in that channel.
pub(super) type Sent = (usize, u64, u64);

/// A message as a reader received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    offset: u64,
    prev: Option<u64>,
    sent: Sent,
}

/// All messages that a reader received, in order, and their faults. Keeps only numbers, because there are many.
#[derive(Default)]
pub(super) struct Journal {
    lines: Vec<Line>,
    seen: HashSet<u64>,
    /// The epoch of all ids. There is only one, because the server does not restart in this test.
    epoch: Option<String>,
    /// The offset of each channel's last message.
    last: [Option<u64>; CHANNELS.len()],
    /// The number that is expected next from each publisher in each channel.
    next: HashMap<(usize, u64), u64>,
    faults: Faults,
}

impl Journal {
    /// Takes one message. A fault is only noted, so that the run shows all faults.
    pub(super) fn take(&mut self, message: &Value) {
        let line = self.line(message);
        if !self.seen.insert(line.offset) {
            self.faults.note(Kind::Doubled, 1, || format!("{line:?} came again"));
            return;
        }
        if let Some(before) = self.lines.last().filter(|before| before.offset >= line.offset) {
            self.faults.note(Kind::Disordered, 1, || format!("{line:?} after {before:?}"));
        }
        let (channel, publisher, n) = line.sent;
        // A reader can check this itself, because each message names the one before it.
        let last = self.last[channel].replace(line.offset);
        if line.prev != last {
            self.faults.note(Kind::Lost, 1, || format!("{line:?} does not follow {last:?}"));
        }
        // Only the numbers prove this: `prev` would be right even if the server had lost an acknowledged message.
        let next = self.next.entry((channel, publisher)).or_default();
        if n > *next {
            self.faults.note(Kind::Lost, n - *next, || format!("{line:?} and not number {next} before it"));
        } else if n < *next {
            self.faults.note(Kind::Doubled, 1, || format!("{line:?} under another id, or late; due was {next}"));
        }
        *next = (*next).max(n + 1);
        self.lines.push(line);
    }

    fn line(&mut self, message: &Value) -> Line {
        let name = message["channel"].as_str().unwrap();
        let number = |field: &str| message["body"][field].as_u64().unwrap();
        let channel = CHANNELS.iter().position(|channel| *channel == name).unwrap();
        Line {
            offset: self.offset(message["id"].as_str().unwrap()),
            prev: message["prev"].as_str().map(|prev| self.offset(prev)),
            sent: (channel, number("p"), number("n")),
        }
    }

    /// Splits an id, which a client must not do. The journal does it to check the order that ids promise.
    fn offset(&mut self, id: &str) -> u64 {
        let (epoch, offset) = id.split_once('.').unwrap();
        let known = self.epoch.get_or_insert_with(|| epoch.to_owned());
        if known.as_str() != epoch {
            self.faults.note(Kind::Disordered, 1, || format!("{id} is of another epoch"));
        }
        offset.parse().unwrap()
    }

    /// Notes an event that must not occur in this test, such as a `missed`, `error` or `bye` frame or a refusal.
    pub(super) fn strange(&mut self, what: &str) {
        self.faults.note(Kind::Strange, 1, || what.to_owned());
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn last(&self) -> [Option<u64>; CHANNELS.len()] {
        self.last
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How often each message is in this journal.
    pub(super) fn counts(&self) -> HashMap<Sent, usize> {
        let mut counts = HashMap::new();
        for line in &self.lines {
            *counts.entry(line.sent).or_default() += 1;
        }
        counts
    }

    /// Compares this journal with all messages that are stored in the reader's channels.
    pub(super) fn compare(mut self, history: &Self, channels: &[usize], cuts: usize) -> Verdict {
        let mine: HashMap<u64, Line> = self.lines.iter().map(|line| (line.offset, *line)).collect();
        let mut stored = 0;
        for line in history.lines.iter().filter(|line| channels.contains(&line.sent.0)) {
            match mine.get(&line.offset) {
                None => self.faults.note(Kind::Lost, 1, || format!("{line:?} never came")),
                Some(found) => {
                    stored += 1;
                    if found != line {
                        self.faults.note(Kind::Strange, 1, || format!("{found:?} is stored as {line:?}"));
                    }
                }
            }
        }
        // The rest was never stored, or belongs to a channel that this reader does not read.
        let foreign = mine.len() - stored;
        if foreign > 0 {
            self.faults.note(Kind::Strange, foreign as u64, || format!("{foreign} messages nobody stored"));
        }
        Verdict { readers: 1, cuts, messages: self.lines.len(), faults: self.faults }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Lost,
    Doubled,
    Disordered,
    Strange,
}

/// The faults that were found. A missing message may count more than once in `lost`, because each check counts it.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    counts: [u64; 4],
    examples: Vec<String>,
}

impl Faults {
    fn note(&mut self, kind: Kind, times: u64, what: impl FnOnce() -> String) {
        self.counts[kind as usize] += times;
        if self.examples.len() < EXAMPLES {
            self.examples.push(what());
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.counts == [0; 4]
    }
}

/// The faults of all readers with the same transport: a row of the table that the test prints.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    readers: usize,
    pub(super) cuts: usize,
    messages: usize,
    pub(super) faults: Faults,
}

impl Verdict {
    pub(super) const HEAD: &str = "readers     cuts   messages     lost  doubled  disordered  strange";

    pub(super) fn add(&mut self, other: Self) {
        self.readers += other.readers;
        self.cuts += other.cuts;
        self.messages += other.messages;
        for (sum, count) in self.faults.counts.iter_mut().zip(other.faults.counts) {
            *sum += count;
        }
        let room = EXAMPLES - self.faults.examples.len();
        self.faults.examples.extend(other.faults.examples.into_iter().take(room));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { readers, cuts, messages, faults } = self;
        let [lost, doubled, disordered, strange] = faults.counts;
        write!(f, "{readers:>7} {cuts:>8} {messages:>10} {lost:>8} {doubled:>8} {disordered:>11} {strange:>8}")
    }
}
