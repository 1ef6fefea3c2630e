use serde_json::Value;
use std::{collections::HashMap, fmt};

/// A message as a reader got it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    id: String,
    prev: Option<String>,
    channel: String,
    body: String,
}

/// Everything a reader was handed, in order.
#[derive(Default)]
pub(super) struct Journal {
    lines: Vec<Line>,
    /// Frames that say that something is gone: nothing is, in this test.
    missed: Vec<Value>,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    readers: usize,
    pub(super) cuts: usize,
    messages: usize,
    lost: usize,
    doubled: usize,
    disordered: usize,
    /// The first thing that was wrong.
    example: Option<String>,
}

impl Journal {
    pub(super) fn take(&mut self, message: &Value) {
        let text = |name: &str| message[name].as_str().map(str::to_owned);
        self.lines.push(Line {
            id: text("id").unwrap(),
            prev: text("prev"),
            channel: text("channel").unwrap(),
            body: text("body").unwrap(),
        });
    }

    pub(super) fn missed(&mut self, frame: &Value) {
        self.missed.push(frame.clone());
    }

    /// The bodies.
    pub(super) fn sent(&self) -> impl Iterator<Item = &String> {
        self.lines.iter().map(|line| &line.body)
    }

    /// Against the whole history, of the first channel or of all.
    pub(super) fn compare(&self, history: &Self, all: bool) -> Verdict {
        let expected: Vec<_> = history.lines.iter().filter(|line| all || line.channel == super::CHANNELS[0]).collect();
        let mut verdict = Verdict { readers: 1, messages: self.lines.len(), ..Verdict::default() };
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut last: HashMap<&str, &str> = HashMap::new();
        let mut at = 0;
        for line in &self.lines {
            *seen.entry(&line.id).or_default() += 1;
            let offset: u64 = line.id.split_once('.').unwrap().1.parse().unwrap();
            if offset <= at {
                verdict.note(|verdict| &mut verdict.disordered, 1, format!("{line:?} after offset {at}"));
            }
            at = at.max(offset);
            // What a reader can prove by itself: each message names the one before it.
            if line.prev.as_deref() != last.insert(&line.channel, &line.id) {
                verdict.note(|verdict| &mut verdict.lost, 1, format!("a hole before {line:?}"));
            }
        }
        for line in &expected {
            match seen.get(line.id.as_str()) {
                None => verdict.note(|verdict| &mut verdict.lost, 1, format!("{line:?} never came")),
                Some(1) => {}
                Some(times) => {
                    verdict.note(|verdict| &mut verdict.doubled, times - 1, format!("{line:?} came {times} times"));
                }
            }
        }
        if let Some(frame) = self.missed.first() {
            verdict.note(|verdict| &mut verdict.lost, self.missed.len(), format!("told was {frame}"));
        }
        verdict
    }
}

impl Verdict {
    pub(super) const HEAD: &str = "readers     cuts   messages     lost  doubled  disordered";

    pub(super) fn add(&mut self, other: Self, cuts: usize) {
        self.readers += other.readers;
        self.cuts += cuts;
        self.messages += other.messages;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.example = self.example.take().or(other.example);
    }

    pub(super) fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.disordered == 0
    }

    fn note(&mut self, count: impl Fn(&mut Self) -> &mut usize, times: usize, what: String) {
        *count(self) += times;
        self.example.get_or_insert(what);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { readers, cuts, messages, lost, doubled, disordered, .. } = self;
        write!(f, "{readers:>7} {cuts:>8} {messages:>10} {lost:>8} {doubled:>8} {disordered:>11}")
    }
}
