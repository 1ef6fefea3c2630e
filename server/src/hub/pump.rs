//! The pumps: they take the lanes in which something is new, one slice after the other, so that a full channel does
//! not hold up the others, nor its publishers.

use super::{
    Hub,
    lane::{Key, Lane, Place, Rider, Way},
};
use crate::map::Map;
use app::wire::ChannelName;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::{JoinSet, yield_now},
    time::{Instant, MissedTickBehavior, interval},
};

/// All lanes, and a pump for each core.
pub(super) struct Lanes {
    /// Held to find, add or drop a lane.
    lanes: Mutex<Map<Key, Arc<Lane>>>,
    pumps: Vec<Pump>,
    /// Readers are spread over the pumps in turn.
    turn: AtomicUsize,
    /// The server stops: nobody is taken in.
    closed: AtomicBool,
    start: Instant,
}

/// What one pump has to do.
#[derive(Default)]
struct Pump {
    /// Lanes in which something is new; each at most twice, so it is bounded by the number of readers.
    queue: Mutex<VecDeque<Arc<Lane>>>,
    woken: Notify,
}

impl Pump {
    fn next(&self) -> Option<Arc<Lane>> {
        self.queue().pop_front()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Lane>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            lanes: Mutex::default(),
            pumps: (0..cores).map(|_| Pump::default()).collect(),
            turn: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            start: Instant::now(),
        }
    }

    /// Whole seconds since the start: fine enough to tell who heard nothing for a while, and small.
    pub(super) fn second(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    fn lanes(&self) -> MutexGuard<'_, Map<Key, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is new in these lanes.
    pub(super) fn touch(&self, lanes: &[Arc<Lane>]) {
        for lane in lanes {
            if lane.touch() {
                self.enqueue(Arc::clone(lane));
            }
        }
    }

    fn enqueue(&self, lane: Arc<Lane>) {
        let pump = &self.pumps[lane.key.shard];
        let idle = {
            let mut queue = pump.queue();
            queue.push_back(lane);
            queue.len() == 1
        };
        if idle {
            pump.woken.notify_one();
        }
    }

    /// Writes to a slice of a lane's readers.
    fn deliver(&self, hub: &Hub, lane: Arc<Lane>) {
        let has_more = lane.deliver(hub);
        self.retire(hub, &lane);
        if has_more {
            self.enqueue(lane);
        }
    }

    /// Takes what the pumps were told of and not begun, and writes to the readers, if they are few: the pumps would have
    /// to be scheduled for it, and whoever publishes is here.
    pub(super) fn hurry(&self, hub: &Hub) {
        for pump in &self.pumps {
            let few = pump.queue().pop_front_if(|lane| lane.is_small());
            if let Some(lane) = few {
                self.deliver(hub, lane);
            }
        }
    }

    fn shard(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.pumps.len()
    }

    /// Drops a lane, if nobody is in it any more.
    fn retire(&self, hub: &Hub, lane: &Arc<Lane>) {
        if !lane.is_empty() {
            return;
        }
        let mut lanes = self.lanes();
        // Looked at again under the lock: somebody may just have come.
        if lane.is_empty() && lanes.get(&lane.key).is_some_and(|known| Arc::ptr_eq(known, lane)) {
            lanes.remove(&lane.key);
            hub.0.ring.unwatch(lane);
        }
    }

    fn clear(&self) {
        self.closed.store(true, Ordering::Release);
        let all: Vec<_> = self.lanes().values().cloned().collect();
        for lane in all {
            lane.clear();
        }
    }
}

/// Puts a reader into its lane, unless the server stops. What is new by then is pushed to it.
pub(super) fn ride(hub: &Hub, channels: &Arc<[ChannelName]>, presence: bool, place: Place, way: &Way) -> Option<Seat> {
    let lanes = &hub.0.lanes;
    let key = Key { channels: Arc::clone(channels), form: way.form, presence, shard: lanes.shard() };
    let mut all = lanes.lanes();
    // Under the lock, as is the look at all lanes when they are cleared: nobody is left behind in one.
    if lanes.closed.load(Ordering::Acquire) {
        return None;
    }
    let lane = match all.get(&key) {
        Some(lane) => Arc::clone(lane),
        None => {
            let lane = Arc::new(Lane::new(key.clone()));
            hub.0.ring.watch(&lane);
            all.insert(key, Arc::clone(&lane));
            lane
        }
    };
    let rider = Arc::clone(&way.rider);
    let seat = lane.enter(place, Arc::clone(&rider), lanes.second());
    drop(all);
    // The lane is watched: what is dispatched from here on touches it by itself.
    if hub.head() > place.at || (presence && !hub.0.attendance.is_known(place.seen)) {
        lanes.touch(std::slice::from_ref(&lane));
    }
    Some(Seat { hub: hub.clone(), lane, seat, rider })
}

const IN_OR_OUT: &str = "a reader is in its lane until it was put out, and leaves it once";

/// A reader's seat in a lane; it goes with it.
pub(super) struct Seat {
    hub: Hub,
    lane: Arc<Lane>,
    seat: usize,
    rider: Arc<Rider>,
}

impl Seat {
    /// The channels of the lane.
    pub(super) fn channels(&self) -> &Arc<[ChannelName]> {
        &self.lane.key.channels
    }

    /// Where the reader is, or was put out.
    pub(super) fn place(&self) -> Place {
        // Whoever is out need not look for its seat, here and below.
        let out = self.rider.exit();
        out.or_else(|| self.lane.place(self.seat, &self.rider)).or_else(|| self.rider.exit()).expect(IN_OR_OUT)
    }

    /// Resolves when the reader was put out: it does not keep up, or the server stops.
    pub(super) fn poll_put_out(&self, cx: &mut Context<'_>) -> Poll<Place> {
        self.rider.poll_put_out(cx)
    }

    /// Leaves; where the reader was.
    pub(super) fn leave(&self) -> Place {
        self.give_up().or_else(|| self.rider.exit()).expect(IN_OR_OUT)
    }

    /// Leaves, if the reader is still there. Whoever is put out, is so by the pump or by the beat: they look after the
    /// lane.
    pub(super) fn give_up(&self) -> Option<Place> {
        if self.rider.exit().is_some() {
            return None;
        }
        let place = self.lane.leave(self.seat, &self.rider)?;
        self.hub.0.lanes.retire(&self.hub, &self.lane);
        Some(place)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Runs every pump until the server stops; then everybody leaves the lanes.
pub(super) async fn run(hub: &Hub) {
    let mut pumps = JoinSet::new();
    for shard in 0..hub.0.lanes.pumps.len() {
        pumps.spawn(pump(hub.clone(), shard));
        pumps.spawn(beat(hub.clone(), shard));
    }
    hub.closed().await;
    hub.0.lanes.clear();
}

async fn pump(hub: Hub, shard: usize) {
    let pump = &hub.0.lanes.pumps[shard];
    loop {
        pump.woken.notified().await;
        while let Some(lane) = pump.next() {
            hub.0.lanes.deliver(&hub, lane);
            if !pump.queue().is_empty() {
                // Publishers that are ready go first: what they bring goes out in the next pass, in one write.
                yield_now().await;
            }
        }
    }
}

/// Each second a look at all readers: cheaper than a timer for each.
async fn beat(hub: Hub, shard: usize) {
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let lanes: Vec<_> = hub.0.lanes.lanes().values().filter(|lane| lane.key.shard == shard).cloned().collect();
        for (number, lane) in lanes.into_iter().enumerate() {
            let mut from = Some(0);
            while let Some(seat) = from {
                from = lane.beat(&hub, seat);
                if from.is_some() {
                    yield_now().await;
                }
            }
            hub.0.lanes.retire(&hub, &lane);
            if number % 64 == 63 {
                yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chunk, Delivery, Form, Outlet, Start, Subscription, Then};
    use super::*;
    use crate::engine::{Draft, Engine, Options, memory::Memory};
    use app::wire::{Body, Id, Kind, Sender};
    use bytes::{Bytes, BytesMut};
    use std::convert::Infallible;
    use tokio::time::timeout;

    /// Lets its reader go in this way, at a push and at a heartbeat.
    struct Once(Then);

    impl Outlet for Once {
        fn push(&self, _: &Chunk) -> Then {
            self.0
        }

        fn beat(&self, _: &Bytes) -> Then {
            self.0
        }
    }

    struct Plain;

    impl Form for Plain {
        fn name(&self) -> &'static str {
            "plain"
        }

        fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
            out.extend(deliveries.iter().map(|_| b'x'));
        }

        fn beat(&self, _: Id) -> Bytes {
            Bytes::from_static(b"x")
        }
    }

    /// Waits for one push.
    async fn put_out(reader: &mut Subscription, way: &Way) {
        reader.wait(way).unwrap();
        std::future::poll_fn(|cx| reader.poll_put_out(cx)).await;
    }

    async fn until_empty(hub: &Hub) {
        let empty = async {
            while !hub.0.lanes.lanes().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(5), empty).await.expect("a lane without readers goes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_goes_with_its_last_reader_however_that_leaves() {
        let Ok(hub) =
            Hub::open(|tail| Ok::<_, Infallible>(Arc::new(Memory::open(Options::default(), tail)) as Arc<dyn Engine>));
        tokio::spawn(hub.clone().keep());
        let from = Sender { id: "p".into(), name: "p".into(), kind: Kind::Program };
        for then in [Then::Leaves, Then::Ends] {
            for hurried in [false, true] {
                for is_pushed in [false, true] {
                    let channel: ChannelName = "a".parse().unwrap();
                    let mut reader = hub.subscribe(vec![channel.clone()], Start::Now).await.unwrap();
                    let way = Way::new(Arc::new(Once(then)), &Plain);
                    let (body, from) = (Body::Text("x".into()), from.clone());
                    let draft = Draft { channel, from, body, key: None, expected: None };
                    let publish = async {
                        // The reader is in its lane.
                        tokio::task::yield_now().await;
                        if is_pushed {
                            hub.publish(draft).await.unwrap();
                            if hurried {
                                hub.hurry();
                            }
                        }
                    };
                    // A reader that ends is not woken; a heartbeat comes after fifteen seconds.
                    let _ =
                        timeout(Duration::from_secs(20), async { tokio::join!(put_out(&mut reader, &way), publish) })
                            .await;
                    until_empty(&hub).await;
                    // Whoever gives up waiting leaves by itself.
                    let stays = Way::new(Arc::new(Once(Then::Stays)), &Plain);
                    let _ = timeout(Duration::from_secs(1), put_out(&mut reader, &stays)).await;
                    let _ = timeout(Duration::from_secs(1), reader.next(&stays)).await;
                    assert!(!hub.0.lanes.lanes().is_empty());
                    reader.replace(vec!["b".parse().unwrap()]);
                    until_empty(&hub).await;
                    let _ = timeout(Duration::from_secs(1), reader.next(&stays)).await;
                    drop(reader);
                    until_empty(&hub).await;
                }
            }
        }
    }
}
