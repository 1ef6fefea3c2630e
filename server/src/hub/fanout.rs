//! What drives the lanes: a worker for each core takes the lanes with news, one slice after the other, so that a full
//! channel does not hold up the others, nor its publishers.

use super::{
    delivery::Position,
    lane::{Lane, LaneQueue},
    lane_key::LaneKey,
    log::Log,
    recent::Watcher,
    sink::{Place, Reader},
};
use crate::{limits::LANES_AT_ONCE, lock::Lock, map::Map};
use app::wire::ChannelName;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, MissedTickBehavior, interval},
};

/// All lanes, and the workers that drive them.
pub(super) struct Fanout {
    pub(super) log: Arc<Log>,
    /// Held to find, add or drop a lane.
    lanes: Lock<Map<LaneKey, Arc<Lane>>>,
    /// The lanes with news, for each worker.
    queues: Vec<Arc<LaneQueue>>,
    /// Readers are spread over the workers in turn.
    turn: AtomicUsize,
    /// The server stops: no reader is taken in.
    closed: AtomicBool,
    start: Instant,
}

impl Fanout {
    pub(super) fn new(log: Arc<Log>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            log,
            lanes: Lock::default(),
            queues: (0..cores).map(|_| Arc::default()).collect(),
            turn: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            start: Instant::now(),
        }
    }

    /// Whole seconds since the start: fine enough for heartbeats, and small.
    fn second(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Puts a reader into its lane. What is new by then is pushed to it. `None` if the server stops.
    pub(super) fn join(
        self: &Arc<Self>,
        channels: &Arc<[ChannelName]>,
        presence: bool,
        position: Position,
        reader: &Arc<Reader>,
    ) -> Option<Membership> {
        let worker = self.turn.fetch_add(1, Ordering::Relaxed) % self.queues.len();
        let key = LaneKey { channels: Arc::clone(channels), encoder: reader.encoder, presence, worker };
        let mut lanes = self.lanes.lock();
        // Looked at under the lock, under which all lanes are cleared: no reader is left behind in one.
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        let lane = match lanes.get(&key) {
            Some(lane) => Arc::clone(lane),
            None => self.open_lane(&mut lanes, key),
        };
        lane.join(position, Arc::clone(reader), self.second());
        drop(lanes);
        // The lane watches already: what is dispatched from here on wakes it.
        if self.log.head() > position.at || (presence && !self.log.presence.is_known(position.seen)) {
            Arc::clone(&lane).wake();
        }
        Some(Membership { fanout: Arc::clone(self), lane, reader: Arc::clone(reader) })
    }

    fn open_lane(&self, lanes: &mut Map<LaneKey, Arc<Lane>>, key: LaneKey) -> Arc<Lane> {
        let lane = Arc::new(Lane::new(key.clone(), Arc::clone(&self.queues[key.worker])));
        self.log.recent.watch(&key.channels, &(Arc::clone(&lane) as Arc<dyn Watcher>));
        lanes.insert(key, Arc::clone(&lane));
        lane
    }

    /// Writes to a slice of a lane's members.
    fn deliver(&self, lane: Arc<Lane>) {
        let has_more = lane.deliver(&self.log, self.second());
        self.drop_if_empty(&lane);
        if has_more {
            Arc::clone(&lane.queue).push(lane);
        }
    }

    /// Writes to the readers of small lanes with news that no worker has begun with. The publisher's task is running
    /// already; a worker would have to be scheduled (bench row `ws-latency`).
    pub(super) fn deliver_small(&self) {
        for queue in &self.queues {
            if let Some(lane) = queue.pop_small() {
                self.deliver(lane);
            }
        }
    }

    fn drop_if_empty(&self, lane: &Arc<Lane>) {
        if !lane.is_empty() {
            return;
        }
        let mut lanes = self.lanes.lock();
        // Looked at again under the lock: a reader may just have joined.
        if lane.is_empty() && lanes.get(&lane.key).is_some_and(|known| Arc::ptr_eq(known, lane)) {
            lanes.remove(&lane.key);
            self.log.recent.unwatch(&lane.key.channels, &(Arc::clone(lane) as Arc<dyn Watcher>));
        }
    }

    #[cfg(test)]
    pub(super) fn has_lanes(&self) -> bool {
        !self.lanes.lock().is_empty()
    }

    /// Puts every reader out of its lane.
    fn clear(&self) {
        self.closed.store(true, Ordering::Release);
        let lanes: Vec<_> = self.lanes.lock().values().cloned().collect();
        lanes.iter().for_each(|lane| lane.clear());
    }

    /// Runs every worker until the server stops; then every reader leaves its lane.
    pub(super) async fn run(self: Arc<Self>) {
        let mut workers = JoinSet::new();
        for worker in 0..self.queues.len() {
            workers.spawn(Arc::clone(&self).work(worker));
            workers.spawn(Arc::clone(&self).send_heartbeats(worker));
        }
        self.log.closed().await;
        self.clear();
    }

    async fn work(self: Arc<Self>, worker: usize) {
        let queue = &self.queues[worker];
        loop {
            queue.filled().await;
            while let Some(lane) = queue.pop() {
                self.deliver(lane);
                if !queue.is_empty() {
                    // Publishers that are ready go first: what they bring goes out in the next round, in one write.
                    yield_now().await;
                }
            }
        }
    }

    /// Looks at all members once a second: cheaper than a timer for each.
    async fn send_heartbeats(self: Arc<Self>, worker: usize) {
        let mut clock = interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let lanes: Vec<_> = self.lanes.lock().values().filter(|lane| lane.key.worker == worker).cloned().collect();
            for (number, lane) in lanes.into_iter().enumerate() {
                let mut next = Some(0);
                while let Some(from) = next {
                    next = lane.heartbeat(&self.log, self.second(), from);
                    if next.is_some() {
                        yield_now().await;
                    }
                }
                self.drop_if_empty(&lane);
                if number % LANES_AT_ONCE == LANES_AT_ONCE - 1 {
                    yield_now().await;
                }
            }
        }
    }
}

/// A reader's membership in a lane; it ends when this is dropped.
pub(super) struct Membership {
    fanout: Arc<Fanout>,
    lane: Arc<Lane>,
    reader: Arc<Reader>,
}

impl Membership {
    /// The channels of the lane.
    pub(super) fn channels(&self) -> &Arc<[ChannelName]> {
        &self.lane.key.channels
    }

    /// Where the reader is, or was put out.
    pub(super) fn position(&self) -> Position {
        self.put_out().or_else(|| self.lane.position(&self.reader)).or_else(|| self.put_out()).expect(IN_OR_OUT)
    }

    /// Resolves when the reader was put out: it does not keep up, it wants no more, or the server stops.
    pub(super) fn poll_put_out(&self, cx: &mut Context<'_>) -> Poll<Position> {
        self.reader.poll_put_out(cx)
    }

    /// Leaves the lane. Returns where the reader was, or `None` if it was put out before.
    pub(super) fn leave(&self) -> Option<Position> {
        // A reader that was put out is known without the lane's lock, and its worker looked after the lane.
        if self.put_out().is_some() {
            return None;
        }
        let position = self.lane.leave(&self.reader)?;
        self.fanout.drop_if_empty(&self.lane);
        Some(position)
    }

    fn put_out(&self) -> Option<Position> {
        match self.reader.place() {
            Place::PutOut(position) => Some(position),
            Place::Outside | Place::Inside(_) => None,
        }
    }
}

const IN_OR_OUT: &str = "a reader is in its lane until it is put out or leaves";

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}
