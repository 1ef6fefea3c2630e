//! Readers that are up to date, side by side: what comes is encoded once and pushed to each.
//!
//! A reader in a lane has no task that wakes, no timer and no buffer. Whoever does not keep up leaves the lane, reads
//! on by itself, and comes back when it is up to date again.

use super::{Delivery, Hub};
use crate::{
    engine::Offset,
    limits::{BATCH_BYTES, HEARTBEAT, LANE_SLICE},
};
use app::wire::{ChannelName, Id};
use bytes::{Bytes, BytesMut};
use futures::task::AtomicWaker;
use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// Seconds after which a reader that heard nothing gets a heartbeat.
const QUIET: u32 = HEARTBEAT.as_secs() as u32;
/// Chunks of one pass that are kept for readers at the same place. Few places are ever in use at once: who lags far
/// behind is no longer in the lane.
const CHUNKS: usize = 8;

/// Readers that are written to by whoever publishes: waking a pump takes as long as writing to one of them.
const FEW: usize = 4;

/// Readers that are looked at together: as many as a processor fetches at once.
const LOOKED_AT: usize = 8;

/// What one write carries, the same for every reader at the same place.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// As they go over the line.
    pub bytes: Bytes,
    /// Messages in it.
    pub messages: usize,
}

/// What becomes of a reader that was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It keeps up.
    Stays,
    /// It keeps something, or is broken: it leaves the lane and is woken.
    Leaves,
    /// It wanted no more than this: it leaves the lane, and nobody is woken for it.
    Ends,
}

/// Where a reader in a lane is written to.
pub trait Outlet: Send + Sync {
    /// Takes a chunk, all of it; what cannot be written at once it keeps.
    fn push(&self, chunk: &Chunk) -> Then;
    /// Takes a heartbeat, after each [`HEARTBEAT`] without anything else.
    fn beat(&self, bytes: &Bytes) -> Then;
    /// Looks at what a push begins with, and does nothing.
    fn look(&self) {}
}

/// How deliveries look on a line.
pub trait Form: Send + Sync {
    /// Readers share a lane if the names of their forms are the same.
    fn name(&self) -> &'static str;
    /// Appends deliveries, which bring the reader to `to`; `more` are waiting behind it.
    fn encode(&self, deliveries: &[Delivery], to: Id, more: bool, out: &mut BytesMut);
    /// A heartbeat: everything up to `cursor` was handed out.
    fn beat(&self, cursor: Id) -> Bytes;
}

/// How one reader is written to while it is in a lane: it may come into one again and again.
pub struct Way {
    pub(super) form: &'static dyn Form,
    pub(super) rider: Arc<Rider>,
}

impl Way {
    /// To this outlet, in this form.
    pub fn new(outlet: Arc<dyn Outlet>, form: &'static dyn Form) -> Self {
        Self { form, rider: Arc::new(Rider { outlet, out_at: Mutex::default(), out: AtomicWaker::new() }) }
    }
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Everything up to here was handed out.
    pub(super) at: Offset,
    /// What it was told of who is there, if it wants to know.
    pub(super) seen: Option<u64>,
}

/// What the readers of a lane have in common.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) channels: Arc<[ChannelName]>,
    pub(super) form: &'static dyn Form,
    pub(super) presence: bool,
    pub(super) shard: usize,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.shard == other.shard
            && self.presence == other.presence
            && self.form.name() == other.form.name()
            && self.channels == other.channels
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.channels.hash(state);
        self.form.name().hash(state);
        (self.presence, self.shard).hash(state);
    }
}

/// Readers that are up to date on the same channels, in the same form.
pub(super) struct Lane {
    pub(super) key: Key,
    /// Held while a slice of the readers is written to; nothing waits in it.
    riders: Mutex<Riders>,
    /// It is in its pump's queue, or about to be: something is new since its last pass began.
    touched: AtomicBool,
}

#[derive(Default)]
struct Riders {
    seats: Vec<Option<Taken>>,
    free: Vec<usize>,
    /// The pass under way.
    pass: Option<Pass>,
}

/// A seat that is taken.
struct Taken {
    place: Place,
    /// The second in which the reader last heard something ([`super::pump::Lanes::second`]).
    heard: u32,
    rider: Arc<Rider>,
}

/// One reader.
pub(super) struct Rider {
    outlet: Arc<dyn Outlet>,
    /// Where it was put out, since it came into a lane last.
    out_at: Mutex<Option<Place>>,
    /// Who waits for that: one task at most.
    out: AtomicWaker,
}

/// Once through the readers, up to where the log ended when it began: all get the same bytes.
struct Pass {
    to: Offset,
    second: u32,
    next: usize,
    chunks: Vec<(Place, Step)>,
    /// Somebody needs another pass.
    again: bool,
}

/// What lies between a reader's place and the end of the pass.
enum Step {
    /// Memory does not reach back that far.
    TooFar,
    /// Nothing the reader is told.
    Silent(Place),
    /// This.
    Say(Chunk, Place),
}

impl Lane {
    pub(super) fn new(key: Key) -> Self {
        Self { key, riders: Mutex::default(), touched: AtomicBool::new(false) }
    }

    fn riders(&self) -> MutexGuard<'_, Riders> {
        self.riders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is new; whether the pump has to be told.
    pub(super) fn touch(&self) -> bool {
        !self.touched.swap(true, Ordering::SeqCst)
    }

    /// Takes a reader in that is in no lane; the number of its seat.
    pub(super) fn enter(&self, place: Place, rider: Arc<Rider>, second: u32) -> usize {
        *rider.out_at() = None;
        let mut riders = self.riders();
        let taken = Some(Taken { place, heard: second, rider });
        match riders.free.pop() {
            Some(seat) => {
                riders.seats[seat] = taken;
                seat
            }
            None => {
                riders.seats.push(taken);
                riders.seats.len() - 1
            }
        }
    }

    /// Where the reader on this seat is, if it is still there.
    pub(super) fn place(&self, seat: usize, rider: &Arc<Rider>) -> Option<Place> {
        let riders = self.riders();
        let taken = riders.seats.get(seat)?.as_ref()?;
        Arc::ptr_eq(&taken.rider, rider).then_some(taken.place)
    }

    /// Lets a reader go that wants to; where it was, if it was still there.
    pub(super) fn leave(&self, seat: usize, rider: &Arc<Rider>) -> Option<Place> {
        let mut riders = self.riders();
        let there = riders.seats.get(seat)?.as_ref().is_some_and(|taken| Arc::ptr_eq(&taken.rider, rider));
        there.then(|| riders.vacate(seat)).flatten().map(|taken| taken.place)
    }

    pub(super) fn is_empty(&self) -> bool {
        let riders = self.riders();
        riders.free.len() == riders.seats.len()
    }

    /// Whether its readers are so few that whoever publishes can write to them.
    pub(super) fn is_small(&self) -> bool {
        // Not waited for: whoever holds it is writing to them.
        self.riders.try_lock().is_ok_and(|riders| riders.seats.len() <= FEW)
    }

    /// Writes to the next slice of the readers; whether there is more to do.
    pub(super) fn deliver(&self, hub: &Hub) -> bool {
        let mut riders = self.riders();
        let mut pass = riders.pass.take().unwrap_or_else(|| {
            // Before the head is looked at: what comes in between is seen here, or touches the lane again.
            self.touched.store(false, Ordering::SeqCst);
            Pass::new(hub)
        });
        let mut written = 0;
        while pass.next < riders.seats.len() && written < LANE_SLICE {
            let seat = pass.next;
            if seat.is_multiple_of(LOOKED_AT) {
                riders.look_at(seat);
            }
            pass.next += 1;
            written += usize::from(riders.serve(&self.key, hub, &mut pass, seat));
        }
        let ended = pass.next >= riders.seats.len();
        let again = ended && pass.again && self.touch();
        if !ended {
            riders.pass = Some(pass);
        }
        !ended || again
    }

    /// A heartbeat to those who heard nothing for a while, from a seat on; the seat to go on with.
    pub(super) fn beat(&self, hub: &Hub, from: usize) -> Option<usize> {
        let mut riders = self.riders();
        let mut pass = Pass::new(hub);
        let mut beats: Option<(Offset, Bytes)> = None;
        let mut written = 0;
        for seat in from..riders.seats.len() {
            let quiet = |taken: &Taken| pass.second.saturating_sub(taken.heard) >= QUIET;
            if !riders.seats[seat].as_ref().is_some_and(quiet) {
                continue;
            }
            if written == LANE_SLICE {
                return Some(seat);
            }
            written += 1;
            // Only so may the cursor pass what other channels got: nothing of ours lies between.
            if riders.serve(&self.key, hub, &mut pass, seat) {
                continue;
            }
            let Some(Some(taken)) = riders.seats.get_mut(seat) else { continue };
            taken.heard = pass.second;
            let at = taken.place.at;
            let (_, bytes) = match &mut beats {
                Some(beat) if beat.0 == at => beat,
                other => other.insert((at, self.key.form.beat(hub.cursor(at)))),
            };
            let then = taken.rider.outlet.beat(bytes);
            riders.follow(seat, then);
        }
        None
    }

    /// Everybody out: the server stops.
    pub(super) fn clear(&self) {
        let mut riders = self.riders();
        for seat in 0..riders.seats.len() {
            riders.put_out(seat);
        }
    }
}

impl Riders {
    /// Looks at some readers before they are written to. Of a thousand readers the memory of each is far away, and in one
    /// place after the other: so it is fetched for some of them at once, while the processor would wait for each.
    fn look_at(&self, from: usize) {
        self.seats[from..].iter().take(LOOKED_AT).flatten().for_each(|taken| taken.rider.outlet.look());
    }

    fn vacate(&mut self, seat: usize) -> Option<Taken> {
        let taken = self.seats.get_mut(seat)?.take()?;
        self.free.push(seat);
        if self.free.len() == self.seats.len() {
            // Nobody is left: a crowd that is gone keeps no memory.
            (self.seats, self.free) = (Vec::new(), Vec::new());
        }
        Some(taken)
    }

    fn put_out(&mut self, seat: usize) {
        self.follow(seat, Then::Leaves);
    }

    fn follow(&mut self, seat: usize, then: Then) {
        if then == Then::Stays {
            return;
        }
        if let Some(Taken { place, rider, .. }) = self.vacate(seat) {
            *rider.out_at() = Some(place);
            if then == Then::Leaves {
                rider.out.wake();
            }
        }
    }

    /// Brings one reader to the end of the pass; whether anything was said.
    fn serve(&mut self, key: &Key, hub: &Hub, pass: &mut Pass, seat: usize) -> bool {
        let Some(Some(taken)) = self.seats.get_mut(seat) else { return false };
        let known = pass.step(key, hub, taken.place);
        let (then, said) = match &pass.chunks[known].1 {
            Step::TooFar => (Then::Leaves, false),
            Step::Silent(to) => {
                taken.place = *to;
                (Then::Stays, false)
            }
            Step::Say(chunk, to) => {
                taken.place = *to;
                taken.heard = pass.second;
                pass.again |= to.at < pass.to;
                (taken.rider.outlet.push(chunk), true)
            }
        };
        self.follow(seat, then);
        said
    }
}

impl Pass {
    fn new(hub: &Hub) -> Self {
        Self { to: hub.head(), second: hub.0.lanes.second(), next: 0, chunks: Vec::new(), again: false }
    }

    /// Which of the chunks has the step from this place.
    fn step(&mut self, key: &Key, hub: &Hub, from: Place) -> usize {
        if let Some(known) = self.chunks.iter().rposition(|(place, _)| *place == from) {
            return known;
        }
        let step = self.prepare(key, hub, from);
        if self.chunks.len() == CHUNKS {
            self.chunks.remove(0);
        }
        self.chunks.push((from, step));
        self.chunks.len() - 1
    }

    fn prepare(&self, key: &Key, hub: &Hub, from: Place) -> Step {
        let to = self.to.max(from.at);
        let Some((messages, at)) = hub.0.ring.recent(&key.channels, from.at, to, BATCH_BYTES) else {
            return Step::TooFar;
        };
        let count = messages.len();
        let mut deliveries: Vec<Delivery> = messages.into_iter().map(Delivery::Message).collect();
        let mut seen = from.seen;
        if key.presence {
            hub.0.attendance.tell(&key.channels, &mut seen, &mut deliveries);
        }
        let place = Place { at, seen };
        if deliveries.is_empty() {
            return Step::Silent(place);
        }
        let mut out = BytesMut::new();
        key.form.encode(&deliveries, hub.cursor(at), at < to, &mut out);
        if out.is_empty() {
            return Step::Silent(place);
        }
        Step::Say(Chunk { bytes: out.freeze(), messages: count }, place)
    }
}

impl Rider {
    fn out_at(&self) -> MutexGuard<'_, Option<Place>> {
        self.out_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it was put out, if it was.
    pub(super) fn exit(&self) -> Option<Place> {
        *self.out_at()
    }

    /// Resolves when it was put out.
    pub(super) fn poll_put_out(&self, cx: &mut Context<'_>) -> Poll<Place> {
        // Before the look: whoever puts it out after that wakes this task.
        self.out.register(cx.waker());
        self.exit().map_or(Poll::Pending, Poll::Ready)
    }
}
