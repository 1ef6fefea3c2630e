//! One pass over the members of a lane: everybody at the same position gets the same bytes.

use super::{
    delivery::{Delivery, Position},
    lane_key::LaneKey,
    log::Log,
    sink::Chunk,
};
use crate::{
    engine::Offset,
    limits::{BATCH_BYTES, ROUND_SEGMENTS},
};
use bytes::BytesMut;

/// One pass over the members, up to where the log ended when it began.
pub(super) struct Round {
    pub(super) to: Offset,
    pub(super) second: u32,
    /// The index of the next member.
    pub(super) next: usize,
    /// The segments from the positions at which members were met, oldest first.
    segments: Vec<(Position, Segment)>,
    /// Some member needs another round.
    pub(super) again: bool,
}

/// What lies between a member's position and the end of the round.
pub(super) enum Segment {
    /// The recent log does not reach back that far.
    TooFar,
    /// Nothing that the member is told.
    Silent(Position),
    /// This, and where it brings the member.
    Chunk(Chunk, Position),
}

impl Round {
    pub(super) fn new(to: Offset, second: u32) -> Self {
        Self { to, second, next: 0, segments: Vec::new(), again: false }
    }

    /// The segment from a position on; encoded once for all members that are there.
    pub(super) fn segment(&mut self, key: &LaneKey, log: &Log, from: Position) -> &Segment {
        let known = self.segments.iter().rposition(|(position, _)| *position == from);
        let index = known.unwrap_or_else(|| {
            if self.segments.len() == ROUND_SEGMENTS {
                self.segments.remove(0);
            }
            let segment = encode(key, log, from, self.to.max(from.at));
            self.segments.push((from, segment));
            self.segments.len() - 1
        });
        &self.segments[index].1
    }
}

fn encode(key: &LaneKey, log: &Log, from: Position, to: Offset) -> Segment {
    let Some((messages, at)) = log.recent.range(&key.channels, from.at, to, BATCH_BYTES) else {
        return Segment::TooFar;
    };
    let count = messages.len();
    let mut deliveries: Vec<Delivery> = messages.into_iter().map(Delivery::Message).collect();
    let mut seen = from.seen;
    if key.presence {
        log.presence.tell(&key.channels, &mut seen, &mut deliveries);
    }
    let position = Position { at, seen };
    let mut out = BytesMut::new();
    if !deliveries.is_empty() {
        key.encoder.encode(&deliveries, log.cursor(at), at < to, &mut out);
    }
    // An encoder may have nothing to say of a delivery.
    if out.is_empty() {
        return Segment::Silent(position);
    }
    Segment::Chunk(Chunk { bytes: out.freeze(), messages: count }, position)
}
