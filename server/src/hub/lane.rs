//! Up-to-date readers of the same channels in the same encoding: what is new is encoded once and written to each.
//!
//! The idea is Phoenix's fastlane: messages go from the dispatcher straight to the connections, past the readers' tasks. A
//! member has no task that wakes, no timer and no buffer. A reader that does not keep up leaves the lane, reads on its
//! own, and joins again when it is up to date.

use super::{
    delivery::Position,
    lane_key::LaneKey,
    log::Log,
    recent::Watcher,
    round::{Round, Segment},
    sink::{Place, PushResult, Reader},
};
use crate::{
    engine::Offset,
    limits::{HEARTBEAT, LANE_SLICE, SMALL_LANE},
    lock::Lock,
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// Seconds after which a member that heard nothing gets a heartbeat.
const QUIET: u32 = HEARTBEAT.as_secs() as u32;

/// Members whose sinks are touched before the first of them is written to: as many loads as a processor has under way.
const PREFETCHED: usize = 8;

/// The lanes with news, for one fan-out worker.
#[derive(Default)]
pub(super) struct LaneQueue {
    /// Each lane is in it at most twice, so the number of lanes bounds it.
    lanes: Lock<VecDeque<Arc<Lane>>>,
    filled: Notify,
}

impl LaneQueue {
    pub(super) fn push(&self, lane: Arc<Lane>) {
        let was_empty = {
            let mut lanes = self.lanes.lock();
            lanes.push_back(lane);
            lanes.len() == 1
        };
        if was_empty {
            self.filled.notify_one();
        }
    }

    pub(super) fn pop(&self) -> Option<Arc<Lane>> {
        self.lanes.lock().pop_front()
    }

    /// Takes the first lane, if it is small.
    pub(super) fn pop_small(&self) -> Option<Arc<Lane>> {
        self.lanes.lock().pop_front_if(|lane| lane.is_small())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.lock().is_empty()
    }

    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }
}

/// Up-to-date readers of the same channels in the same encoding.
pub(super) struct Lane {
    pub(super) key: LaneKey,
    /// Held while a slice of the members is written to; nothing waits while it is held.
    members: Lock<Members>,
    /// Something is new since the last round began: the lane is in its queue, or about to be.
    has_news: AtomicBool,
    pub(super) queue: Arc<LaneQueue>,
}

#[derive(Default)]
struct Members {
    /// Members keep their seat while a round is under way, so that each is served once.
    seats: Vec<Option<Member>>,
    free: Vec<usize>,
    /// The round under way, between two slices.
    round: Option<Round>,
}

/// A reader in a lane.
struct Member {
    position: Position,
    /// The second in which it last heard something.
    heard: u32,
    reader: Arc<Reader>,
}

impl Watcher for Lane {
    fn wants_presence(&self) -> bool {
        self.key.presence
    }

    fn wake(self: Arc<Self>) {
        if self.mark_news() {
            let queue = Arc::clone(&self.queue);
            queue.push(self);
        }
    }
}

impl Lane {
    pub(super) fn new(key: LaneKey, queue: Arc<LaneQueue>) -> Self {
        Self { key, members: Lock::default(), has_news: AtomicBool::new(false), queue }
    }

    /// Returns whether the lane has to be queued. In one order with the log's head: whoever clears the mark and then looks
    /// at the head sees what was there when somebody found the mark set.
    fn mark_news(&self) -> bool {
        !self.has_news.swap(true, Ordering::SeqCst)
    }

    /// Takes in a reader that is in no lane.
    pub(super) fn join(&self, position: Position, reader: Arc<Reader>, second: u32) {
        let mut members = self.members.lock();
        members.sit(Member { position, heard: second, reader });
    }

    /// Where a member is. `None` if the reader is no member.
    pub(super) fn position(&self, reader: &Reader) -> Option<Position> {
        let members = self.members.lock();
        let Place::Inside(seat) = reader.place() else { return None };
        members.seats[seat].as_ref().map(|member| member.position)
    }

    /// Lets a member go that wants to leave. Returns where it was, or `None` if the reader is no member.
    pub(super) fn leave(&self, reader: &Reader) -> Option<Position> {
        let mut members = self.members.lock();
        let Place::Inside(seat) = reader.place() else { return None };
        let member = members.vacate(seat)?;
        member.reader.set_place(Place::Outside);
        members.compact();
        Some(member.position)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.lock().count() == 0
    }

    /// Whether the members are so few that the publisher itself can write to them.
    fn is_small(&self) -> bool {
        // Whoever holds the lock is writing to the members now.
        self.members.try_lock().is_some_and(|members| members.seats.len() <= SMALL_LANE)
    }

    /// Writes to the next slice of the members. Returns whether there is more to do.
    pub(super) fn deliver(&self, log: &Log, second: u32) -> bool {
        let mut members = self.members.lock();
        let mut round = members.round.take().unwrap_or_else(|| {
            // Cleared before the look at the head: what comes in between is seen here, or marks the lane again.
            self.has_news.store(false, Ordering::SeqCst);
            Round::new(log.head(), second)
        });
        let mut written = 0;
        while round.next < members.seats.len() && written < LANE_SLICE {
            let seat = round.next;
            if seat.is_multiple_of(PREFETCHED) {
                members.prefetch(seat);
            }
            round.next += 1;
            let Some(member) = &mut members.seats[seat] else { continue };
            let (said, result) = member.serve(&self.key, log, &mut round);
            written += usize::from(said);
            members.follow(seat, result);
        }
        let ended = round.next >= members.seats.len();
        let again = ended && round.again && self.mark_news();
        if ended {
            members.compact();
        } else {
            members.round = Some(round);
        }
        !ended || again
    }

    /// Sends a heartbeat to the members from a seat on that heard nothing for a while. Returns the seat to go on with, after
    /// one slice. A member that moves to a lower seat meanwhile is looked at a second later.
    pub(super) fn heartbeat(&self, log: &Log, second: u32, from: usize) -> Option<usize> {
        let mut members = self.members.lock();
        let mut round = Round::new(log.head(), second);
        let mut last_beat: Option<(Offset, Bytes)> = None;
        let mut written = 0;
        for seat in from..members.seats.len() {
            let Some(Some(member)) = members.seats.get_mut(seat) else { continue };
            if second.saturating_sub(member.heard) < QUIET {
                continue;
            }
            if written == LANE_SLICE {
                return Some(seat);
            }
            written += 1;
            // A cursor may pass the messages of other channels only after this: no message of the lane's lies between.
            let (said, mut result) = member.serve(&self.key, log, &mut round);
            if !said && result == PushResult::Written {
                let at = member.position.at;
                let (_, bytes) = match &mut last_beat {
                    Some(beat) if beat.0 == at => beat,
                    other => other.insert((at, self.key.encoder.heartbeat(log.cursor(at)))),
                };
                member.heard = second;
                result = member.reader.sink.heartbeat(bytes);
            }
            members.follow(seat, result);
        }
        members.compact();
        None
    }

    /// Puts every member out: the server stops.
    pub(super) fn clear(&self) {
        let mut members = self.members.lock();
        for member in std::mem::take(&mut *members).seats.into_iter().flatten() {
            member.put_out(PushResult::Behind);
        }
    }
}

impl Members {
    fn count(&self) -> usize {
        self.seats.len() - self.free.len()
    }

    fn sit(&mut self, member: Member) {
        let seat = self.free.pop().unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() - 1
        });
        member.reader.set_place(Place::Inside(seat));
        self.seats[seat] = Some(member);
    }

    /// See [`super::Sink::prefetch`].
    fn prefetch(&self, from: usize) {
        self.seats[from..].iter().take(PREFETCHED).flatten().for_each(|member| member.reader.sink.prefetch());
    }

    /// Keeps a member after a push, or lets it go.
    fn follow(&mut self, seat: usize, result: PushResult) {
        if result != PushResult::Written
            && let Some(member) = self.vacate(seat)
        {
            member.put_out(result);
        }
    }

    fn vacate(&mut self, seat: usize) -> Option<Member> {
        let member = self.seats.get_mut(seat)?.take()?;
        self.free.push(seat);
        Some(member)
    }

    /// Gives free seats back when they are more than the members, unless a round is under way: a crowd that left is neither
    /// kept nor walked.
    fn compact(&mut self) {
        if self.round.is_some() || self.free.len() <= self.count() {
            return;
        }
        let members = self.count();
        let seats = std::mem::replace(&mut self.seats, Vec::with_capacity(members));
        self.free = Vec::new();
        seats.into_iter().flatten().for_each(|member| self.sit(member));
    }
}

impl Member {
    /// Brings the member to the end of the round. Returns whether anything was pushed, and what became of it.
    fn serve(&mut self, key: &LaneKey, log: &Log, round: &mut Round) -> (bool, PushResult) {
        let (to, second) = (round.to, round.second);
        match round.segment(key, log, self.position) {
            Segment::TooFar => (false, PushResult::Behind),
            Segment::Silent(position) => {
                self.position.advance(*position);
                (false, PushResult::Written)
            }
            Segment::Chunk(chunk, position) => {
                self.position.advance(*position);
                self.heard = second;
                let result = self.reader.sink.push(chunk);
                let is_short = position.at < to;
                round.again |= is_short;
                (true, result)
            }
        }
    }

    /// Tells the reader that it is no member any more.
    fn put_out(self, result: PushResult) {
        self.reader.set_place(Place::PutOut(self.position));
        if result == PushResult::Behind {
            self.reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Chunk, Delivery, Encoder, Sink};
    use app::wire::Id;
    use bytes::BytesMut;
    use proptest::prelude::*;

    struct Nowhere;

    impl Sink for Nowhere {
        fn push(&self, _: &Chunk) -> PushResult {
            PushResult::Written
        }

        fn heartbeat(&self, _: &Bytes) -> PushResult {
            PushResult::Written
        }
    }

    impl Encoder for Nowhere {
        fn name(&self) -> &'static str {
            "nowhere"
        }

        fn encode(&self, _: &[Delivery], _: Id, _: bool, _: &mut BytesMut) {}

        fn heartbeat(&self, _: Id) -> Bytes {
            Bytes::new()
        }
    }

    proptest! {
        /// Whichever members leave between the slices of a round: each one that stays is served once, knows its seat, and
        /// the seats of the others are given back when the round has ended.
        #[test]
        fn no_member_is_left_out_of_a_round_when_others_leave(
            count in 1usize..40, slices in prop::collection::vec((0usize..10, prop::collection::vec(0usize..40, 0..6)), 0..12),
        ) {
            let readers: Vec<_> = (0..count).map(|_| Reader::new(Arc::new(Nowhere), &Nowhere)).collect();
            let mut members = Members { round: Some(Round::new(0, 0)), ..Members::default() };
            for (number, reader) in readers.iter().enumerate() {
                let position = Position { at: number as Offset, seen: None };
                members.sit(Member { position, heard: 0, reader: Arc::clone(reader) });
            }
            let mut served = vec![0; count];
            let mut gone = vec![false; count];
            let everybody = (usize::MAX, Vec::new());
            for (slice, leaving) in slices.into_iter().chain([everybody]) {
                let round = members.round.as_mut().unwrap();
                let end = round.next.saturating_add(slice).min(members.seats.len());
                for member in members.seats[round.next..end].iter().flatten() {
                    served[member.position.at as usize] += 1;
                }
                round.next = end;
                for number in leaving.into_iter().filter(|number| *number < count) {
                    if !std::mem::replace(&mut gone[number], true) {
                        let Place::Inside(seat) = readers[number].place() else { panic!("it is inside") };
                        prop_assert_eq!(members.vacate(seat).unwrap().position.at, number as Offset);
                        members.compact();
                    }
                }
            }
            members.round = None;
            members.compact();
            for number in 0..count {
                prop_assert!(served[number] <= 1 && (gone[number] || served[number] == 1), "{number}: {served:?}");
            }
            prop_assert_eq!(members.count(), gone.iter().filter(|gone| !**gone).count());
            prop_assert!(members.seats.len() <= 2 * members.count());
            for (seat, member) in members.seats.iter().enumerate() {
                let is_right = |member: &Member| matches!(member.reader.place(), Place::Inside(at) if at == seat);
                prop_assert!(member.as_ref().is_none_or(is_right));
            }
        }
    }
}
