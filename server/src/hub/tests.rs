//! Lanes come and go with their readers.

use super::{Chunk, Delivery, Encoder, Hub, PushResult, Reader, Sink, Start, Subscription};
use crate::engine::{Draft, Engine, Options, memory::Memory};
use app::wire::{Body, ChannelName, Id, Kind, Sender};
use bytes::{Bytes, BytesMut};
use std::{convert::Infallible, future::poll_fn, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Instant, timeout},
};

/// Answers every push and every heartbeat with the same result.
struct Once {
    result: PushResult,
    written: Notify,
}

impl Once {
    fn new(result: PushResult) -> Arc<Self> {
        Arc::new(Self { result, written: Notify::new() })
    }
}

impl Sink for Once {
    fn push(&self, _: &Chunk) -> PushResult {
        self.written.notify_one();
        self.result
    }

    fn heartbeat(&self, _: &Bytes) -> PushResult {
        self.written.notify_one();
        self.result
    }
}

/// What writes to the reader.
#[derive(Clone, Copy, Debug)]
enum Write {
    ByPublisher,
    ByWorker,
    Heartbeat,
}

struct Plain;

impl Encoder for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        out.extend(deliveries.iter().map(|_| b'x'));
    }

    fn heartbeat(&self, _: Id) -> Bytes {
        Bytes::from_static(b"x")
    }
}

/// Longer than a heartbeat.
const UNWOKEN: Duration = Duration::from_secs(60);

/// Waits for one push or heartbeat.
async fn put_out(reader: &mut Subscription, way: &Arc<Reader>) {
    reader.wait(way).unwrap();
    poll_fn(|cx| reader.poll_put_out(cx)).await;
}

async fn until_empty(hub: &Hub) {
    let empty = async {
        while hub.fanout.has_lanes() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), empty).await.expect("a lane without readers goes");
}

/// One write puts the reader out: its task is woken if the reader is behind, and not if it is done.
async fn leaves_after_one_write(hub: &Hub, result: PushResult, write: Write) -> Subscription {
    let channel: ChannelName = "a".parse().unwrap();
    let mut subscription = hub.subscribe(vec![channel.clone()], Start::Now).await.unwrap();
    let sink = Once::new(result);
    let reader = Reader::new(Arc::clone(&sink) as _, &Plain);
    let from = Sender { id: "p".into(), name: "p".into(), kind: Kind::Program };
    let draft = Draft { channel, from, body: Body::Text("x".into()), key: None, expected: None };
    let publish = async {
        // The reader joins its lane first.
        yield_now().await;
        match write {
            Write::ByPublisher => drop(hub.publish(draft).await.unwrap()),
            Write::ByWorker => drop(hub.fanout.log.engine.append(draft.into()).await.unwrap()),
            Write::Heartbeat => {}
        }
    };
    // A task of its own, so that nothing else wakes it; the time ends the wait of one that is not woken.
    let begun = Instant::now();
    let waits = tokio::spawn(async move {
        let _ = timeout(UNWOKEN, put_out(&mut subscription, &reader)).await;
        (subscription, begun.elapsed())
    });
    tokio::join!(publish, sink.written.notified());
    let (subscription, waited) = waits.await.unwrap();
    assert_eq!(waited < UNWOKEN, result == PushResult::Behind, "{result:?} {write:?}");
    subscription
}

#[tokio::test(start_paused = true)]
async fn a_lane_goes_with_its_last_reader_however_that_leaves() {
    let Ok(hub) = Hub::open(|dispatcher| {
        Ok::<_, Infallible>(Arc::new(Memory::open(Options::default(), dispatcher)) as Arc<dyn Engine>)
    });
    tokio::spawn(hub.clone().keep());
    for result in [PushResult::Behind, PushResult::Done] {
        for write in [Write::ByPublisher, Write::ByWorker, Write::Heartbeat] {
            let mut subscription = leaves_after_one_write(&hub, result, write).await;
            until_empty(&hub).await;
            // A reader that gives up waiting leaves on its own.
            let stays = Reader::new(Once::new(PushResult::Written), &Plain);
            let _ = timeout(Duration::from_secs(1), put_out(&mut subscription, &stays)).await;
            let _ = timeout(Duration::from_secs(1), subscription.next(&stays)).await;
            assert!(hub.fanout.has_lanes());
            subscription.replace(vec!["b".parse().unwrap()]);
            until_empty(&hub).await;
            let _ = timeout(Duration::from_secs(1), subscription.next(&stays)).await;
            drop(subscription);
            until_empty(&hub).await;
        }
    }
}
