//! Counts the messages that readers receive, checks their order and records their latency.

use super::{body::Found, histogram::Histogram};

/// Marks a message number that has no position yet.
const NONE: u32 = u32::MAX;

/// The position of one reader.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The position that the reader must see next.
    next: u32,
    /// The positions that were skipped; empty if no message is missing.
    gaps: Vec<u32>,
}

/// The numbers of faulty deliveries, summed over all readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Messages that did not arrive.
    pub(crate) lost: u64,
    /// Messages that arrived again.
    pub(crate) doubled: u64,
    /// Messages that arrived after later messages.
    pub(crate) disordered: u64,
}

/// The deliveries of all readers. The first reader that sees a message defines its position, and every other reader
/// must see the same order.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The number of positions.
    length: u32,
    /// The position of each message number.
    positions: Vec<u32>,
    /// Whether deliveries and their latency are being counted.
    pub(crate) counting: bool,
    /// Counted deliveries.
    pub(crate) deliveries: u64,
    /// All deliveries.
    pub(crate) all: u64,
    /// The time from when a message was due until a reader had it.
    pub(crate) latency: Histogram,
    /// The faulty deliveries.
    pub(crate) faults: Faults,
    /// How often a server reported missed messages.
    pub(crate) told: u64,
}

impl Tally {
    /// Records that a reader received a message.
    pub(crate) fn seen(&mut self, place: &mut Place, found: Found, now: u64) {
        self.all += 1;
        if self.counting {
            self.deliveries += 1;
            if let Some(due) = found.due {
                self.latency.record(now.saturating_sub(due));
            }
        }
        let position = self.position(found.number);
        if position == place.next {
            place.next += 1;
        } else {
            self.fault(place, position);
        }
    }

    /// The position of a message. A message that no reader has seen before gets the next position.
    fn position(&mut self, number: u32) -> u32 {
        let index = number as usize;
        if index >= self.positions.len() {
            self.positions.resize((index + 1).next_power_of_two(), NONE);
        }
        if self.positions[index] == NONE {
            self.positions[index] = self.length;
            self.length += 1;
        }
        self.positions[index]
    }

    #[cold]
    fn fault(&mut self, place: &mut Place, position: u32) {
        if position > place.next {
            self.faults.lost += u64::from(position - place.next);
            place.gaps.extend(place.next..position);
            place.next = position + 1;
        } else if let Some(at) = place.gaps.iter().position(|&gap| gap == position) {
            place.gaps.swap_remove(at);
            self.faults.lost -= 1;
            self.faults.disordered += 1;
        } else {
            self.faults.doubled += 1;
        }
    }

    /// The number of messages that a reader has not received yet.
    pub(crate) fn ahead(&self, place: &Place) -> u64 {
        u64::from(self.length - place.next.min(self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(readers: &[&[u32]]) -> (Faults, Vec<u64>) {
        let mut tally = Tally::default();
        let mut places = Vec::new();
        for numbers in readers {
            let mut place = Place::default();
            for &number in *numbers {
                tally.seen(&mut place, Found { number, due: None }, 0);
            }
            places.push(place);
        }
        (tally.faults, places.iter().map(|place| tally.ahead(place)).collect())
    }

    #[test]
    fn the_first_reader_defines_the_order() {
        assert_eq!(run(&[&[1, 0, 2], &[1, 0, 2]]), (Faults::default(), vec![0, 0]));
        assert_eq!(run(&[&[0, 1, 2], &[0]]), (Faults::default(), vec![0, 2]));
    }

    #[test]
    fn faults_are_told_apart() {
        let faults = |lost, doubled, disordered| Faults { lost, doubled, disordered };
        assert_eq!(run(&[&[0, 1, 2], &[0, 2]]).0, faults(1, 0, 0));
        assert_eq!(run(&[&[0, 1, 2], &[0, 1, 1, 2]]).0, faults(0, 1, 0));
        assert_eq!(run(&[&[0, 1, 2], &[0, 2, 1]]).0, faults(0, 0, 1));
        assert_eq!(run(&[&[0, 1], &[1, 2]]).0, faults(1, 0, 0));
    }
}
