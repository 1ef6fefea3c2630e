//! The epochs of a log: decides whether a client's cursor belongs to this log and where reading continues.

use super::Offset;
use app::wire::{Epoch, Id, MissedReason};

/// The epochs of a log and the last offset assigned in each. An epoch is the time between two starts of the engine.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// Ended epochs, ordered by their last offset. An epoch without messages repeats the last offset of its
    /// predecessor.
    past: Vec<(Epoch, Offset)>,
    current: Epoch,
    /// The last offset assigned before the current epoch.
    start: Offset,
}

/// What a cursor means in this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Continue exactly after this offset.
    At(Offset),
    /// The cursor is beyond the end of its epoch or belongs to another log: report `missed`, then continue after
    /// `resume`.
    Missed {
        /// Why messages are missed.
        reason: MissedReason,
        /// The offset after which reading continues.
        resume: Offset,
    },
}

impl Lineage {
    /// `past` lists the earlier epochs in the order of their starts; `start` is the last offset assigned so far.
    pub fn new(past: Vec<(Epoch, Offset)>, current: Epoch, start: Offset) -> Self {
        Self { past, current, start }
    }

    /// The last offset assigned before the current epoch.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The id of the message at this offset, with the epoch that assigned the offset.
    pub fn id(&self, offset: Offset) -> Id {
        let epoch = if offset > self.start {
            self.current
        } else {
            let at = self.past.partition_point(|(_, last)| *last < offset);
            self.past.get(at).map_or(self.current, |(epoch, _)| *epoch)
        };
        Id { epoch, offset }
    }

    /// A cursor at this offset in the current epoch.
    pub fn cursor(&self, offset: Offset) -> Id {
        Id { epoch: self.current, offset }
    }

    /// Says where a cursor continues: exactly, only if its epoch is known and its offset is not beyond that epoch's
    /// last.
    pub fn resolve(&self, cursor: Id, head: Offset) -> Resolved {
        let last = if cursor.epoch == self.current {
            Some(head)
        } else {
            self.past.iter().rev().find(|(epoch, _)| *epoch == cursor.epoch).map(|(_, last)| *last)
        };
        match last {
            Some(last) if cursor.offset <= last => Resolved::At(cursor.offset),
            Some(last) => Resolved::Missed { reason: MissedReason::Lost, resume: last },
            None => Resolved::Missed { reason: MissedReason::UnknownCursor, resume: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_of_every_known_epoch_continue_and_no_others() {
        let epochs: Vec<Epoch> = (0..4).map(Epoch::from_random).collect();
        // The second epoch has no messages.
        let lineage = Lineage::new(vec![(epochs[0], 10), (epochs[1], 10)], epochs[2], 10);
        let at = |epoch: usize, offset| lineage.resolve(Id { epoch: epochs[epoch], offset }, 15);
        assert_eq!(at(0, 10), Resolved::At(10));
        assert_eq!(at(1, 10), Resolved::At(10));
        assert_eq!(at(2, 15), Resolved::At(15));
        assert_eq!(at(0, 11), Resolved::Missed { reason: MissedReason::Lost, resume: 10 });
        assert_eq!(at(2, 16), Resolved::Missed { reason: MissedReason::Lost, resume: 15 });
        assert_eq!(at(3, 1), Resolved::Missed { reason: MissedReason::UnknownCursor, resume: 0 });
        assert_eq!(lineage.id(10).epoch, epochs[0]);
        assert_eq!(lineage.id(11).epoch, epochs[2]);
    }
}
