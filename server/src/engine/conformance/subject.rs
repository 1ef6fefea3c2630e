//! An engine under test with its data folder, its clock and a dispatcher that records everything.

use crate::{
    clock::Clock,
    engine::{
        Appended, Dispatch, Draft, Engine, Offset, Options, Query, Retention, Slice, Stored,
        embedded::{Embedded, Fsync},
        memory::Memory,
    },
};
use app::wire::{Body, ChannelName, Kind as SenderKind, Sender, Time};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Embedded,
}

/// A dispatcher that records all messages and floors.
#[derive(Default)]
pub(crate) struct Journal(Mutex<Vec<Arc<Stored>>>, Mutex<Vec<(ChannelName, Offset)>>);

impl Dispatch for Journal {
    fn begin(&self, _: Offset, _: Vec<(ChannelName, Time)>) {}
    fn stored(&self, batch: &[Arc<Stored>]) {
        self.0.lock().unwrap().extend_from_slice(batch);
    }
    fn trimmed(&self, channel: &ChannelName, floor: Offset) {
        self.1.lock().unwrap().push((channel.clone(), floor));
    }
}

impl Journal {
    pub(crate) fn all(&self) -> Vec<Arc<Stored>> {
        self.0.lock().unwrap().clone()
    }

    /// The last floor received for a channel.
    pub(crate) fn floor(&self, channel: &str) -> Option<Offset> {
        let told = self.1.lock().unwrap();
        told.iter().rev().find(|(name, _)| name.as_str() == channel).map(|(_, floor)| *floor)
    }

    pub(crate) fn offsets(&self) -> Vec<Offset> {
        self.all().iter().map(|stored| stored.offset()).collect()
    }
}

/// The time of a test clock, set by the test.
#[derive(Clone)]
pub(crate) struct Hands {
    wall: Arc<AtomicI64>,
    steady: Arc<AtomicU64>,
}

impl Default for Hands {
    fn default() -> Self {
        Self { wall: Arc::new(AtomicI64::new(1_795_000_000_000)), steady: Arc::default() }
    }
}

impl Hands {
    /// A clock that shows this time; its steady time begins at zero now.
    pub(crate) fn clock(&self) -> Clock {
        let (wall, steady) = (Arc::clone(&self.wall), Arc::clone(&self.steady));
        let begun = steady.load(Ordering::SeqCst);
        Clock::of(
            move || Time(wall.load(Ordering::SeqCst)),
            move || Duration::from_millis(steady.load(Ordering::SeqCst) - begun),
        )
    }

    /// Moves both clocks forward.
    pub(crate) fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.steady.fetch_add(millis, Ordering::SeqCst);
        self.wall.fetch_add(i64::try_from(millis).unwrap(), Ordering::SeqCst);
    }

    /// Changes the wall clock only.
    pub(crate) fn set_wall_by(&self, seconds: i64) {
        self.wall.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) fn wall(&self) -> Time {
        Time(self.wall.load(Ordering::SeqCst))
    }
}

pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) hands: Hands,
    pub(crate) folder: TempDir,
    retention: Retention,
}

impl Subject {
    pub(crate) fn open(kind: Kind) -> Self {
        Self::open_in(kind, tempfile::tempdir().unwrap(), Retention::default(), Hands::default())
    }

    fn open_in(kind: Kind, folder: TempDir, retention: Retention, hands: Hands) -> Self {
        let journal = Arc::new(Journal::default());
        let options = Options { retention: retention.clone(), clock: hands.clock() };
        let engine: Arc<dyn Engine> = match kind {
            Kind::Memory => Arc::new(Memory::open(options, journal.clone())),
            Kind::Embedded => Arc::new(Embedded::open(folder.path(), Fsync::Never, options, journal.clone()).unwrap()),
        };
        Self { kind, engine, journal, hands, folder, retention }
    }

    /// Replaces the engine with a new, empty engine of this retention.
    pub(crate) async fn keeping(self, retention: Retention) -> Self {
        self.engine.close().await;
        Self::open(self.kind).with(retention)
    }

    fn with(self, retention: Retention) -> Self {
        let Self { kind, hands, engine, .. } = self;
        drop(engine);
        Self::open_in(kind, tempfile::tempdir().unwrap(), retention, hands)
    }

    /// Closes the engine and opens its folder again.
    pub(crate) async fn restart(self) -> Self {
        let retention = self.retention.clone();
        self.restart_keeping(retention).await
    }

    pub(crate) async fn restart_keeping(self, retention: Retention) -> Self {
        self.engine.close().await;
        let Self { kind, engine, folder, hands, .. } = self;
        drop(engine);
        Self::open_in(kind, folder, retention, hands)
    }

    /// Opens an engine on the files that a killed process leaves at this moment, including the write-ahead log.
    pub(crate) fn crash(self) -> Self {
        let left = self.copy(&["baro.db", "baro.db-wal"]);
        Self::open_in(self.kind, left, self.retention, self.hands)
    }

    /// Opens a second engine on a copy of the files.
    pub(crate) fn copied(&self) -> Self {
        let copy = self.copy(&["baro.db", "baro.db-wal"]);
        Self::open_in(self.kind, copy, self.retention.clone(), Hands::default())
    }

    fn copy(&self, files: &[&str]) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for file in files {
            let _ = std::fs::copy(self.folder.path().join(file), copy.path().join(file));
        }
        copy
    }

    pub(crate) async fn append(&self, draft: Box<Draft>) -> Appended {
        self.engine.append(draft).await.unwrap()
    }

    pub(crate) async fn say(&self, channel: &str, text: &str) -> Offset {
        self.append(draft(channel, text, None)).await.id.offset
    }

    pub(crate) async fn read(&self, channel: &str, after: Offset, limit: usize) -> Slice {
        let query = Query { channel: name(channel), after, up_to: i64::MAX as u64, limit, bytes: 1 << 20 };
        self.engine.read(query).await.unwrap()
    }

    pub(crate) async fn all(&self, channel: &str) -> Vec<String> {
        texts(&self.read(channel, 0, 10_000).await)
    }

    /// Trims until nothing is left to delete. Returns the number of deleted messages.
    pub(crate) async fn trim(&self) -> u64 {
        let mut gone = 0;
        loop {
            match self.engine.trim().await.unwrap() {
                0 => return gone,
                slice => gone += slice,
            }
        }
    }
}

pub(crate) fn name(text: &str) -> ChannelName {
    text.parse().unwrap()
}

pub(crate) fn draft(channel: &str, text: &str, key: Option<&str>) -> Box<Draft> {
    let from = Sender { id: "p1".into(), name: "test".into(), kind: SenderKind::Program };
    let (body, key) = (Body::Text(text.into()), key.map(str::to_owned));
    Box::new(Draft { channel: name(channel), from, body, key, expected: None })
}

pub(crate) fn texts(slice: &Slice) -> Vec<String> {
    slice.messages.iter().map(|stored| String::from_utf8(stored.message.body.as_bytes().to_vec()).unwrap()).collect()
}
