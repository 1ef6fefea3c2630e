use super::Offset;
use app::wire::{Epoch, Id, MissedReason};

/// The epochs of a log and the offsets each gave out: what says whether a cursor is one of ours.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// Ended epochs in order of their last offset; those that gave out nothing repeat the one before.
    past: Vec<(Epoch, Offset)>,
    current: Epoch,
    /// The last offset given out before the current epoch.
    start: Offset,
}

/// What a cursor means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Continue exactly after this offset.
    At(Offset),
    /// The cursor is beyond what this log holds, or of another one: say `missed`, go on after `resume`.
    Missed {
        /// Why.
        reason: MissedReason,
        /// Where to go on.
        resume: Offset,
    },
}

impl Lineage {
    /// `past` as recorded, in the order of the starts; `start` is the last offset given out so far.
    pub fn new(past: Vec<(Epoch, Offset)>, current: Epoch, start: Offset) -> Self {
        Self { past, current, start }
    }

    /// The last offset given out before the current epoch.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The id of a stored message or a cursor at this offset.
    pub fn id(&self, offset: Offset) -> Id {
        let epoch = if offset > self.start {
            self.current
        } else {
            let at = self.past.partition_point(|(_, last)| *last < offset);
            self.past.get(at).map_or(self.current, |(epoch, _)| *epoch)
        };
        Id { epoch, offset }
    }

    /// A reader's cursor in the current epoch.
    pub fn cursor(&self, offset: Offset) -> Id {
        Id { epoch: self.current, offset }
    }

    /// A cursor of a known epoch, at or below that epoch's last offset, continues exactly; nothing else does.
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
        // The second epoch gave out nothing.
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
